//! The demo agent as a process of its own, and the bridge that makes a session of it.

use std::{net::SocketAddr, time::Duration};

use attache_protocol::{
    SessionId,
    worker::{NewSession, SessionChoice, WorkerConfig, WorkerStatus},
};
use attache_tokio::WorkerSession;
use clap::Args;
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use super::{agent::Actor, channel::Stdio, direction::Directed, random, stage::Stage};
use crate::{
    arguments::RestartPolicy,
    bridge::{self, AgentCommand, Audience, Bridge, Restarts},
    exit::{Exit, Failure},
    signals::{Signal, Signals},
};

/// The time between two attempts of the worker to connect.
const RETRY: Duration = Duration::from_millis(100);
/// How often the worker shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How the process is started.
#[derive(Args, Debug)]
pub(crate) struct DemoAgent {
    /// The time between two words
    #[arg(long, value_name = "MILLISECONDS", default_value = "40")]
    pace: u32,
    /// Take cues from this address, and tell it what was heard
    #[arg(long, value_name = "ADDRESS")]
    director: Option<SocketAddr>,
}

/// Is the agent, until stdin ends.
pub(crate) async fn run(options: DemoAgent) -> Result<(), Failure> {
    let directed = match options.director {
        Some(address) => Directed::by(address).await?,
        None => Directed::by_nobody(),
    };
    let pace = Duration::from_millis(options.pace.into());
    let actor = Actor::new(random()?, pace, directed.cues, directed.record);
    let result = actor.perform(Stdio::new()).await;
    // The record is closed with the actor; what is in it must be told first.
    let _ = directed.telling.await;
    result
}

/// A session that the agent's process plays in, through a bridge.
#[derive(Debug)]
pub(super) struct Bridged {
    worker: WorkerSession,
    stop: mpsc::UnboundedSender<Signal>,
    carrying: JoinHandle<Result<(), Failure>>,
}

impl Bridged {
    /// Starts the agent, and a bridge to the relay of `stage`.
    pub(super) fn start(
        stage: &Stage,
        pace: Duration,
        director: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let session = SessionChoice::Create(NewSession {
            title: Some("demo".to_owned()),
            ..NewSession::default()
        });
        let mut config = WorkerConfig::new(session);
        config.liveness.retry_base = RETRY;
        config.liveness.retry_cap = RETRY;
        config.liveness.heartbeat = HEARTBEAT;
        let bridge = Bridge::open(
            command(pace, director)?,
            Restarts::new(RestartPolicy::Never),
            config,
            stage.options()?,
            stage.token(),
        )?;
        let worker = bridge.worker().clone();
        let (stop, signals) = Signals::by_hand();
        // On a thread of its own: output that nobody takes must not hold the agent up.
        let carrying = tokio::task::spawn_blocking(move || {
            Handle::current().block_on(bridge::carry(bridge, signals, Audience::Nobody))
        });
        Ok(Self {
            worker,
            stop,
            carrying,
        })
    }

    /// Waits until the agent can be attached to. Cancel safe.
    pub(super) async fn session(&self) -> Result<SessionId, Failure> {
        let mut worker = self.worker.clone();
        loop {
            if let (WorkerStatus::Running, Some(session)) = (worker.status(), worker.session()) {
                return Ok(session);
            }
            if worker.status_changed().await.is_err() {
                return Err(Failure::new(
                    Exit::Failure,
                    "the demo agent got no session; try again",
                ));
            }
        }
    }

    /// Makes the agent leave, and waits until it has left.
    pub(super) async fn end(self) -> Result<(), Failure> {
        // The bridge may have ended by itself.
        let _ = self.stop.send(Signal::Terminate);
        self.carrying.await.unwrap_or_else(|error| {
            let message = format!("the demo's bridge failed: {error}; run it again, and report it");
            Err(Failure::new(Exit::Failure, message))
        })
    }
}

/// This program, as the agent.
fn command(pace: Duration, director: Option<SocketAddr>) -> Result<AgentCommand, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        let message = format!("the program can't find itself: {error}; install it again");
        Failure::new(Exit::Failure, message)
    })?;
    let mut arguments = vec![
        "demo-agent".into(),
        "--pace".into(),
        pace.as_millis().to_string().into(),
    ];
    if let Some(director) = director {
        arguments.extend(["--director".into(), director.to_string().into()]);
    }
    Ok(AgentCommand {
        program: program.into(),
        arguments,
        cwd: None,
        variables: Vec::new(),
    })
}
