//! The loop that joins a session, a face, a keyboard and signals.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io,
    time::{Duration, Instant},
};

use attache_protocol::{
    frame::RequestId,
    policy::CloseCause,
    viewer::{Cursor, Event, MessageId, PromptState, SendState},
};
use futures_util::FutureExt;
use tokio::time::MissedTickBehavior;

use super::{
    activity::{Activity, LastTurn},
    command::Command,
    face::{CtrlC, Face, Moment},
    runtime::{Events, Session},
};
use crate::{
    exit::{Exit, Failure},
    lines::Lines,
    signals::{Signal, Signals},
};

/// How long the end of stdin waits for what was typed before it.
const PARTING: Duration = Duration::from_secs(10);
/// Events shown in a row before anything else gets its turn.
const AT_ONCE: usize = 64;

/// Everything that an attached program listens to.
pub(crate) struct Drive {
    /// The session's name for people.
    pub(crate) name: String,
    pub(crate) session: Session,
    pub(crate) events: Events,
    pub(crate) lines: Lines,
    pub(crate) signals: Signals,
    /// How far everything was shown when that was last said.
    pub(crate) reached: Option<Cursor>,
}

/// What was asked for and has no outcome yet.
#[derive(Debug, Default)]
struct Outstanding {
    sends: BTreeSet<MessageId>,
    requests: BTreeSet<RequestId>,
    answers: BTreeSet<RequestId>,
}

enum Turn {
    Event(Option<Event>),
    Line(Option<String>),
    Signal(Signal),
    Tick,
}

enum Next {
    GoOn,
    /// Detach: the person asked for it.
    Leave(Result<(), Failure>),
}

impl Drive {
    /// Runs until the session or the person has had enough.
    pub(crate) async fn run(mut self, face: &mut dyn Face) -> Result<(), Failure> {
        let mut outstanding = Outstanding::default();
        let mut activity = Activity::default();
        let mut in_a_row = 0;
        let mut parting: Option<tokio::time::Instant> = None;
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ready = if in_a_row < AT_ONCE {
                self.events.next().now_or_never()
            } else {
                None
            };
            let turn = if let Some(event) = ready {
                in_a_row += 1;
                Turn::Event(event)
            } else {
                in_a_row = 0;
                self.mark(face)?;
                face.flush()?;
                tokio::select! {
                    event = self.events.next() => Turn::Event(event),
                    line = self.lines.next() => Turn::Line(line),
                    signal = self.signals.next() => Turn::Signal(signal),
                    _ = tick.tick() => Turn::Tick,
                }
            };
            let next = match turn {
                Turn::Event(None) => return Err(ended(&self.name)),
                Turn::Event(Some(event)) => {
                    face.event(&event, self.now())?;
                    outstanding.event(&event);
                    if let Event::Message(message) = &event {
                        activity.message(&message.frame);
                    }
                    if let Event::Closed(cause) = event {
                        self.mark(face)?;
                        face.finish()?;
                        return closed(&self.name, cause, activity);
                    }
                    Next::GoOn
                }
                Turn::Line(Some(line)) => match face.line(&line, self.now())? {
                    Some(command) => self.carry_out(command, face, &mut outstanding).await?,
                    None => Next::GoOn,
                },
                Turn::Line(None) => {
                    parting = Some(tokio::time::Instant::now() + PARTING);
                    Next::GoOn
                }
                Turn::Signal(Signal::Terminate) => {
                    Next::Leave(Err(Failure::Silent(Exit::Interrupted)))
                }
                Turn::Signal(Signal::Interrupt) => match face.ctrl_c(self.now())? {
                    CtrlC::Detach => Next::Leave(Err(Failure::Silent(Exit::Interrupted))),
                    CtrlC::Interrupt => {
                        self.carry_out(Command::Interrupt, face, &mut outstanding)
                            .await?
                    }
                },
                Turn::Tick => {
                    face.tick(self.now())?;
                    Next::GoOn
                }
            };
            if let Next::Leave(result) = next {
                return self.leave(face, result).await;
            }
            match parting {
                Some(_) if outstanding.is_empty() => return self.leave(face, Ok(())).await,
                Some(deadline) if deadline <= tokio::time::Instant::now() => {
                    let failure = Failure::new(
                        Exit::TimedOut,
                        format!(
                            "session {}: input ended before everything in it was confirmed; check with `attache log`",
                            self.name
                        ),
                    );
                    return self.leave(face, Err(failure)).await;
                }
                _ => {}
            }
        }
    }

    async fn carry_out(
        &self,
        command: Command,
        face: &mut dyn Face,
        outstanding: &mut Outstanding,
    ) -> Result<Next, Failure> {
        let session = &self.session;
        let refused = match command {
            Command::Send(content) => match session.send(content).await {
                Ok(id) => {
                    outstanding.sends.insert(id);
                    None
                }
                Err(error) => Some(("send", error.to_string())),
            },
            Command::Decide {
                request_id,
                decision,
            } => match session.decide(request_id.clone(), decision).await {
                Ok(()) => {
                    outstanding.answers.insert(request_id);
                    None
                }
                Err(error) => Some(("decide", error.to_string())),
            },
            Command::Request { subtype, fields } => {
                outstanding.request("request", session.request(subtype, fields).await)
            }
            Command::Interrupt => outstanding.request("interrupt", session.interrupt().await),
            Command::Reconnect => match session.reconnect().await {
                Ok(()) => None,
                Err(error) => Some(("reconnect", error.to_string())),
            },
            Command::Close => return Ok(Next::Leave(Ok(()))),
        };
        if let Some((command, reason)) = refused {
            face.refused(command, &reason)?;
        }
        Ok(Next::GoOn)
    }

    /// Closes the session and shows what comes of it.
    async fn leave(
        mut self,
        face: &mut dyn Face,
        result: Result<(), Failure>,
    ) -> Result<(), Failure> {
        let session = self.session.clone();
        let closing = tokio::spawn(async move { session.close().await });
        while let Some(event) = self.events.next().await {
            face.event(&event, self.now())?;
        }
        let _ = closing.await;
        self.mark(face)?;
        face.finish()?;
        result
    }

    /// Says how far everything is shown, if that is further than before.
    fn mark(&mut self, face: &mut dyn Face) -> io::Result<()> {
        let reached = self.events.cursor();
        if let Some(cursor) = &reached
            && reached != self.reached
        {
            face.reached(cursor)?;
            self.reached = reached;
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        Moment {
            instant: Instant::now(),
            timestamp: self.session.now(),
        }
    }
}

impl Outstanding {
    fn request<E: Display>(
        &mut self,
        command: &'static str,
        asked: Result<RequestId, E>,
    ) -> Option<(&'static str, String)> {
        match asked {
            Ok(id) => {
                self.requests.insert(id);
                None
            }
            Err(error) => Some((command, error.to_string())),
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Send {
                id,
                state: SendState::Accepted | SendState::Rejected(_),
            } => {
                self.sends.remove(id);
            }
            Event::Request { request_id, .. } => {
                self.requests.remove(request_id);
            }
            Event::PermissionSettled { request_id, .. }
            | Event::PermissionWithdrawn { request_id }
            | Event::PermissionChanged {
                request_id,
                state: PromptState::Pending,
            } => {
                self.answers.remove(request_id);
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.sends.is_empty() && self.requests.is_empty() && self.answers.is_empty()
    }
}

fn ended(name: &str) -> Failure {
    Failure::new(
        Exit::ConnectionLost,
        format!("session {name}: the connection ended without a word; attach again"),
    )
}

/// What the end of a session means to whoever is attached to it.
fn closed(name: &str, cause: CloseCause, activity: Activity) -> Result<(), Failure> {
    match cause {
        CloseCause::SessionEnded if activity.last_turn == LastTurn::Failed => Err(Failure::new(
            Exit::AgentError,
            format!("session {name} has ended, and its last turn failed; see `attache log`"),
        )),
        CloseCause::Requested | CloseCause::SessionEnded => Ok(()),
        other => Err(Failure::closed(&name, other)),
    }
}
