//! `demo`: a relay, a bridge and a viewer in one process, over real sockets, and a scripted agent in
//! another.

mod agent;
mod channel;
mod direction;
mod frames;
mod process;
mod record;
mod script;
mod stage;

use std::{sync::Arc, time::Duration};

use attache_protocol::{
    SessionId,
    viewer::{History, ViewerConfig},
};
use attache_relay::{MemoryStore, Relay, RelayError, SessionStatus, Store, store::SessionDetails};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    arguments,
    attach::{self, Drive, Watching},
    exit::{Exit, Failure},
    lines::Lines,
    signals::Signals,
};

pub(crate) use process::{DemoAgent, run as run_agent};

use agent::Actor;
use direction::Report;
use process::Bridged;
use stage::Stage;

/// The time between two words, for people to read along.
const PACE: Duration = Duration::from_millis(40);

pub(crate) async fn run(options: arguments::Demo) -> Result<(), Failure> {
    if options.script {
        return script::run().await;
    }
    let signals = Signals::listen();
    let stage = Stage::open(Arc::new(MemoryStore::new())).await?;
    let bridged = Bridged::start(&stage, PACE, None)?;
    let result = attend(&stage, &bridged, signals).await;
    bridged.end().await?;
    result
}

/// Attaches the terminal to the agent.
async fn attend(stage: &Stage, bridged: &Bridged, mut signals: Signals) -> Result<(), Failure> {
    let id = tokio::select! {
        id = bridged.session() => id?,
        _ = signals.next() => return Err(Failure::Silent(Exit::Interrupted)),
    };
    let mut config = ViewerConfig::new(id.clone());
    config.history = History::All;
    let (session, events, _driver) = attache_tokio::spawn(config, stage.options()?, stage.token())?;
    let drive = Drive {
        name: id.to_string(),
        session: session.into(),
        events: events.into(),
        lines: Lines::of_stdin(),
        signals,
        reached: None,
    };
    drive.run(&mut attach::terminal(Watching::AndTalking)).await
}

/// The demo agent, playing inside a relay in a session of its own until this is dropped.
#[derive(Debug)]
pub(crate) struct Performance {
    pub(crate) session: SessionId,
    task: JoinHandle<()>,
}

impl Performance {
    /// Plays in the session of this `title` that an earlier performance has left in `store`, or in a
    /// new one.
    pub(crate) async fn start(
        relay: &Relay,
        store: &dyn Store,
        title: &str,
    ) -> Result<Self, Failure> {
        let session = match earlier(store, title).await? {
            Some(session) => session,
            None => relay.create_session(title).await?,
        };
        let agent = relay.attach_agent(&session).await?;
        let (_, cues) = mpsc::unbounded_channel();
        let (recorder, mut record) = mpsc::unbounded_channel();
        let actor = Actor::new(random()?, PACE, cues, recorder);
        let task = tokio::spawn(async move {
            // An agent whose relay is gone has nobody to play to.
            let _ = actor.perform(agent).await;
        });
        // Whoever comes from now on finds the greeting in the history.
        while let Some(report) = record.recv().await {
            if report == Report::Spoke {
                break;
            }
        }
        Ok(Self { session, task })
    }
}

/// The newest session that was played in under this title and is not over.
async fn earlier(store: &dyn Store, title: &str) -> Result<Option<SessionId>, Failure> {
    let mut after = None;
    loop {
        let page = store.sessions(after.as_ref(), 100).await;
        let page = page.map_err(RelayError::from)?;
        let left = page.items.iter().find(|session| {
            // What a bridge has made says more of itself.
            session.title == title
                && session.details == SessionDetails::default()
                && session.status != SessionStatus::Archived
        });
        if let Some(session) = left {
            return Ok(Some(session.id.clone()));
        }
        after = page.items.last().map(|session| session.id.clone());
        if !page.has_more || after.is_none() {
            return Ok(None);
        }
    }
}

impl Drop for Performance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Something that nobody can guess.
fn random() -> Result<u128, Failure> {
    let seed = attache_driver::seed().map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!("the system gave no randomness: {error}; try again"),
        )
    })?;
    Ok(seed.iter().fold(0, |number: u128, &byte| {
        number.rotate_left(8) ^ u128::from(byte)
    }))
}
