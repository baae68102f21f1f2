//! `bridge`: an agent of one's own becomes a session that people can attach to.
//!
//! The agent is a child process that speaks frames on stdin and stdout. Its frames go up through a
//! worker, what viewers say comes down to it.

mod child;
mod complaints;
mod handshake;
mod inbox;
mod life;
mod obituary;
mod observer;
mod output;
mod restart;
mod unfinished;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use attache_protocol::{
    frame::RequestId,
    worker::{NewSession, SessionChoice, WorkerCloseCause, WorkerConfig, WorkerStatus},
};
use attache_tokio::{Options, TokenSource, WorkerEvents, WorkerSession};
use tokio::{
    select,
    time::{sleep, timeout, timeout_at},
};

use crate::{
    arguments,
    exit::{Exit, Failure},
    render::one_line,
    signals::{Signal, Signals},
    token::Tokens,
};

pub(crate) use child::AgentCommand;
pub(crate) use inbox::Audience;
pub(crate) use restart::Restarts;

use child::Agent;
use handshake::Handshake;
use inbox::Inbox;
use life::{Ending, Life, closed};

/// Everything is over so long after we were asked to stop.
const LEAVING: Duration = Duration::from_millis(4700);
/// Telling viewers of the agent's end may take so long then: there may be no room for it.
const BURY: Duration = Duration::from_millis(250);
/// What is left is sent within this, so that there is still time to archive the session.
const FLUSH: Duration = Duration::from_secs(1);
/// Whoever stops a bridge waits longer than a program that closes a worker, and a session that stays
/// open is in everybody's list: archiving has all the time it may take, even after that.
const FAREWELL: Duration = Duration::from_millis(2500);
/// How long the last words of an agent that has left wait for a server that is away.
const LAST_WORDS: Duration = Duration::from_secs(60);

pub(crate) async fn run(options: arguments::Bridge) -> Result<(), Failure> {
    let signals = Signals::listen();
    let tokens = Tokens::choose(&options.server)?;
    let adapter = options.server.options()?;
    let config = config(&options);
    let mut command = options.command.into_iter();
    let command = AgentCommand {
        program: command.next().unwrap_or_default(),
        arguments: command.collect(),
        cwd: options.cwd,
        variables: options.env,
    };
    let restarts = Restarts::new(options.restart);
    let bridge = Bridge::open(command, restarts, config, adapter, tokens)?;
    carry(bridge, signals, Audience::Terminal).await
}

/// An agent that is started, and its worker.
pub(crate) struct Bridge {
    command: AgentCommand,
    agent: Agent,
    restarts: Restarts,
    worker: WorkerSession,
    events: WorkerEvents,
}

impl Bridge {
    /// Starts an agent and a worker for it. Needs the runtime.
    pub(crate) fn open(
        command: AgentCommand,
        restarts: Restarts,
        config: WorkerConfig,
        adapter: Options,
        tokens: impl TokenSource,
    ) -> Result<Self, Failure> {
        // First, so that a mistyped command leaves no session behind.
        let agent = command.start()?;
        let (worker, events, _driver) = attache_tokio::spawn_worker(config, adapter, tokens)?;
        Ok(Self {
            command,
            agent,
            restarts,
            worker,
            events,
        })
    }

    pub(crate) fn worker(&self) -> &WorkerSession {
        &self.worker
    }
}

/// Carries frames until the agent is gone for good, the worker is closed or a signal comes. Then the
/// agent has left.
pub(crate) async fn carry(
    bridge: Bridge,
    mut signals: Signals,
    audience: Audience,
) -> Result<(), Failure> {
    let Bridge {
        command,
        mut agent,
        mut restarts,
        worker,
        events,
    } = bridge;
    let mut inbox = Inbox::new(worker.clone(), events, audience);
    loop {
        let started = Instant::now();
        let life = Life::new(worker.clone(), Handshake::new(request_id()?));
        let (ending, death) = life.live(agent, &mut inbox, &mut signals).await;
        match ending {
            Ending::Gone => {}
            Ending::Closed(cause) => return Err(over(&worker, cause)),
            Ending::Asked(signal, at) => {
                let farewell = async {
                    let _ = timeout(BURY, life.bury(&death)).await;
                    let _ = worker.close().await;
                };
                let _ = timeout_at(at + LEAVING, farewell).await;
                return stopped(signal);
            }
        }
        let again = restarts.after(death.in_order, started.elapsed());
        let next = async {
            life.bury(&death).await;
            match again {
                Some(delay) => {
                    let (how, seconds) = (&death.how, delay.as_secs());
                    note(&format!(
                        "the agent {how}; it is started again in {seconds} s"
                    ));
                    sleep(delay).await;
                    None
                }
                None => leave(&worker).await,
            }
        };
        let cause = select! {
            cause = next => cause,
            cause = closed(worker.clone()), if again.is_some() => Some(cause),
            signal = signals.next() => {
                let _ = timeout(LEAVING, worker.close()).await;
                return stopped(signal);
            }
        };
        if let Some(cause) = cause
            && cause != WorkerCloseCause::Requested
        {
            return Err(over(&worker, cause));
        }
        if again.is_none() {
            if death.in_order {
                return Ok(());
            }
            let message = format!(
                "the agent {}; see what it wrote above, or let --restart on-failure start it again",
                death.how
            );
            return Err(Failure::new(Exit::AgentError, message));
        }
        agent = match command.start() {
            Ok(agent) => agent,
            Err(failure) => {
                leave(&worker).await;
                return Err(failure);
            }
        };
    }
}

/// Tells the person at the terminal something, on one line.
fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", one_line(text, usize::MAX));
}

fn config(options: &arguments::Bridge) -> WorkerConfig {
    let cwd = options.cwd.clone();
    let cwd = cwd.or_else(|| std::env::current_dir().ok());
    let session = match &options.session {
        Some(session) => SessionChoice::Join(session.clone()),
        None => SessionChoice::Create(NewSession {
            title: options.title.clone(),
            cwd: cwd.map(|cwd| cwd.display().to_string()),
            tags: Vec::new(),
        }),
    };
    let mut config = WorkerConfig::new(session);
    config.patience.flush = FLUSH;
    config.patience.close = FAREWELL;
    config.liveness = options.profile.worker_liveness();
    config
}

/// An id for a request of the bridge's own.
fn request_id() -> Result<RequestId, Failure> {
    let unusable = || Failure::new(Exit::Failure, "the system gave no randomness; try again");
    let seed = attache_driver::seed().map_err(|_| unusable())?;
    let id = seed
        .iter()
        .take(16)
        .fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
    RequestId::new(format!("bridge-{id}")).ok_or_else(unusable)
}

/// Closes `worker`. If the server is away, it gets some time to come back for what the agent said last.
/// Tells why it is closed.
async fn leave(worker: &WorkerSession) -> Option<WorkerCloseCause> {
    let mut connected = worker.clone();
    let back = async {
        while !matches!(
            connected.status(),
            WorkerStatus::Running | WorkerStatus::Closed(_)
        ) {
            if connected.status_changed().await.is_err() {
                return;
            }
        }
    };
    if worker.status() != WorkerStatus::Running {
        let seconds = LAST_WORDS.as_secs();
        note(&format!(
            "the agent is gone; its last words wait {seconds} s for the server"
        ));
    }
    let _ = timeout(LAST_WORDS, back).await;
    worker.close().await.ok()
}

fn stopped(signal: Signal) -> Result<(), Failure> {
    match signal {
        Signal::Interrupt => Err(Failure::Silent(Exit::Interrupted)),
        Signal::Terminate => Ok(()),
    }
}

/// What the end of the worker means.
fn over(worker: &WorkerSession, cause: WorkerCloseCause) -> Failure {
    let (exit, next) = match cause {
        WorkerCloseCause::Superseded => (Exit::Superseded, "this one has stopped its agent"),
        WorkerCloseCause::Unauthorized | WorkerCloseCause::SignedOut => {
            (Exit::Unauthorized, "check ATTACHE_TOKEN or --token-file")
        }
        WorkerCloseCause::SessionNotFound => (
            Exit::SessionNotFound,
            "see the sessions there are with `attache ls`",
        ),
        _ => (
            Exit::ConnectionLost,
            "check the network and --base-url, then start the bridge again",
        ),
    };
    let message = match worker.session() {
        Some(session) => format!("session {session}: {cause}; {next}"),
        None => format!("no session: {cause}; {next}"),
    };
    Failure::new(exit, message)
}
