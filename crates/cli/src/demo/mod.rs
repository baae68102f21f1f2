//! `demo`: a relay, an agent and a viewer in one process, over a real socket.

mod agent;
mod frames;
mod record;
mod script;
mod stage;

use std::{sync::Arc, time::Duration};

use attache_protocol::{SessionId, viewer::History};
use attache_relay::{MemoryStore, Relay};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    arguments,
    attach::{self, Drive, Watching},
    exit::{Exit, Failure},
    lines::Lines,
    signals::Signals,
};
use agent::Actor;
use stage::Stage;

/// The time between two words, for people to read along.
const PACE: Duration = Duration::from_millis(40);

pub(crate) async fn run(options: arguments::Demo) -> Result<(), Failure> {
    if options.script {
        return script::run().await;
    }
    let signals = Signals::listen();
    let stage = Stage::open(Arc::new(MemoryStore::new())).await?;
    let performance = Performance::start(&stage.relay, "demo").await?;
    let mut config = attache_protocol::viewer::ViewerConfig::new(performance.session.clone());
    config.history = History::All;
    let (session, events, _driver) = attache_tokio::spawn(config, stage.options()?, stage.token())?;
    let drive = Drive {
        name: performance.session.to_string(),
        session,
        events,
        lines: Lines::of_stdin(),
        signals,
    };
    drive.run(&mut attach::terminal(Watching::AndTalking)).await
}

/// The demo agent, playing in a session of its own until this is dropped.
#[derive(Debug)]
pub(crate) struct Performance {
    pub(crate) session: SessionId,
    task: JoinHandle<()>,
}

impl Performance {
    pub(crate) async fn start(relay: &Relay, title: &str) -> Result<Self, Failure> {
        let session = relay.create_session(title).await?;
        let mut agent = relay.attach_agent(&session).await?;
        let (_, cues) = mpsc::unbounded_channel();
        let (recorder, mut record) = mpsc::unbounded_channel();
        let mut actor = Actor::new(random()?, PACE, cues, recorder);
        let task = tokio::spawn(async move {
            // An agent whose relay is gone has nobody to play to.
            let _ = actor.perform(&mut agent).await;
        });
        // Whoever comes from now on finds the greeting in the history.
        let _ = record.recv().await;
        Ok(Self { session, task })
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
