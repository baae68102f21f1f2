//! A session for people: what is said goes to stdout, what happens to the connection to stderr.

mod asking;
mod progress;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use attache_protocol::{
    frame::{RequestId, relay::Behavior},
    viewer::{
        Content, Cursor, Event, GapCause, MessageId, PromptState, RequestOutcome, SendState,
        SettledBy, Status,
    },
};

use asking::Answer;
use progress::Progress;

use super::{
    activity::{Activity, Doing},
    command::Command,
    face::{CtrlC, Face, Moment},
};
use crate::{
    prompts::OpenPrompts,
    render::{BOLD, DIM, Transcript, one_line},
};

/// A second Ctrl-C within this time detaches.
const SECOND_CTRL_C: Duration = Duration::from_secs(2);
const BRIEF: usize = 200;

/// Writes the conversation to `O` and notes about the connection to `N`.
#[derive(Debug)]
pub(crate) struct Terminal<O, N> {
    transcript: Transcript<O>,
    notes: N,
    countdown: Countdown,
    /// How many characters of a countdown stand on the current line.
    counting: usize,
    watching: Watching,
    prompts: OpenPrompts,
    shown: Option<RequestId>,
    prompt_gone_at: Option<Instant>,
    typing: Typing,
    link: Link,
    activity: Activity,
    interrupted_at: Option<Instant>,
    progress: Progress,
}

/// Whether anything may be said back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    Only,
    AndTalking,
}

/// Whether the wait for the next attempt is counted down in place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Countdown {
    Live,
    Once,
}

/// What the next typed line is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Typing {
    Message,
    Input(RequestId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
    Waiting { until: Instant, cause: String },
}

impl<O: Write, N: Write> Terminal<O, N> {
    pub(crate) fn new(out: O, notes: N, countdown: Countdown, watching: Watching) -> Self {
        Self {
            transcript: Transcript::new(out),
            notes,
            countdown,
            counting: 0,
            watching,
            prompts: OpenPrompts::default(),
            shown: None,
            prompt_gone_at: None,
            typing: Typing::Message,
            link: Link::Down,
            activity: Activity::default(),
            interrupted_at: None,
            progress: Progress::default(),
        }
    }

    /// Shows a line about what happens, as part of the conversation. `text` must be safe to print.
    pub(crate) fn narrate(&mut self, text: &str) -> io::Result<()> {
        self.transcript.line(BOLD, &format!("== {text}"))?;
        self.transcript.flush()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.clear_countdown()?;
        self.transcript.finish_line()?;
        self.transcript.flush()?;
        writeln!(self.notes, "{DIM}{text}{DIM:#}")?;
        self.notes.flush()
    }

    fn status(&mut self, status: &Status, now: Moment) -> io::Result<()> {
        match status {
            Status::Idle | Status::CatchingUp | Status::Closing | Status::Closed { .. } => Ok(()),
            Status::Connecting { attempt: 0 } => self.note("connecting"),
            Status::Connecting { attempt } => {
                self.link = Link::Down;
                self.note(&format!("reconnecting, try {attempt}"))
            }
            Status::Live => {
                self.link = Link::Up;
                self.note("connected")
            }
            Status::Waiting {
                next_attempt_at,
                cause,
                ..
            } => {
                let wait = next_attempt_at.saturating_since(now.timestamp);
                self.link = Link::Waiting {
                    until: now.instant + wait,
                    cause: cause.to_string(),
                };
                self.transcript.finish_line()?;
                self.transcript.flush()?;
                self.waiting(now)
            }
        }
    }

    fn waiting(&mut self, now: Moment) -> io::Result<()> {
        let Link::Waiting { until, cause } = &self.link else {
            return Ok(());
        };
        let left = until
            .saturating_duration_since(now.instant)
            .as_secs_f64()
            .ceil();
        let text = format!("not connected: {cause}; next attempt in {left} s");
        if self.countdown == Countdown::Once {
            writeln!(self.notes, "{DIM}{text}{DIM:#}")?;
            return self.notes.flush();
        }
        // Spaces, not escapes: they work with NO_COLOR, too.
        let width = self.counting;
        write!(self.notes, "\r{DIM}{text:width$}{DIM:#}")?;
        self.counting = text.chars().count();
        self.notes.flush()
    }

    fn clear_countdown(&mut self) -> io::Result<()> {
        let width = std::mem::take(&mut self.counting);
        if width == 0 {
            return Ok(());
        }
        write!(self.notes, "\r{:width$}\r", "")?;
        self.notes.flush()
    }

    fn send_state(&mut self, id: &MessageId, state: &SendState) -> io::Result<()> {
        if let Some(progress) = self.progress.changed(id.as_str(), state) {
            self.note(&format!("your message: {progress}"))?;
        }
        match state {
            SendState::Queued if self.link != Link::Up => {
                self.note("kept; it will be sent when the connection is back")
            }
            SendState::Queued
            | SendState::InFlight
            | SendState::Delivered
            | SendState::Processing
            | SendState::Processed => Ok(()),
            SendState::Accepted => {
                self.activity.sent();
                Ok(())
            }
            SendState::Unknown => self.note("the server did not confirm the message; trying again"),
            SendState::Rejected(why) => self.note(&format!("the message was not sent: {why}")),
        }
    }

    fn request_outcome(&mut self, outcome: &RequestOutcome) -> io::Result<()> {
        match outcome {
            RequestOutcome::Succeeded(_) => self.note("the agent was interrupted"),
            RequestOutcome::Failed(error) => {
                let error = one_line(error, BRIEF);
                self.note(&format!("the agent did not stop: {error}"))
            }
            RequestOutcome::Unanswered => self.note("the agent did not answer the interrupt"),
            RequestOutcome::Expired => self.note("the interrupt came too late and was dropped"),
            RequestOutcome::Closed => Ok(()),
        }
    }
}

impl<O: Write, N: Write> Face for Terminal<O, N> {
    fn event(&mut self, event: &Event, now: Moment) -> io::Result<()> {
        self.prompts.event(event);
        self.clear_countdown()?;
        match event {
            Event::Status(status) => self.status(status, now)?,
            Event::Message(message) => {
                self.activity.message(&message.frame);
                self.progress.heard();
                self.transcript.message(&message.frame)?;
            }
            Event::PermissionWithdrawn { request_id } => {
                if self.shown.as_ref() == Some(request_id) {
                    self.note("no longer asked")?;
                }
                self.prompt_gone(request_id, now);
            }
            Event::PermissionSettled {
                request_id,
                by: SettledBy::AnotherViewer { name },
                behavior,
            } if self.shown.as_ref() == Some(request_id) => {
                self.note(&answered(name.as_deref(), *behavior))?;
                self.prompt_gone(request_id, now);
            }
            Event::AnswerRefused { why, .. } => {
                let why = one_line(why, BRIEF);
                self.note(&format!("your answer did not count: {why}"))?;
            }
            Event::PermissionChanged {
                request_id,
                state: PromptState::Answered | PromptState::Sent,
            } => self.prompt_gone(request_id, now),
            Event::Send { id, state } => self.send_state(id, state)?,
            Event::Request { outcome, .. } => self.request_outcome(outcome)?,
            Event::Gap { cause, .. } => {
                let why = gap(*cause);
                self.note(&format!("some messages are missing here: {why}"))?;
            }
            Event::Malformed(malformed) => {
                let error = one_line(&malformed.error.to_string(), BRIEF);
                self.note(&format!("dropped something unreadable: {error}"))?;
            }
            Event::Unresponsive { waited } => {
                let seconds = waited.as_secs();
                self.note(&format!(
                    "no word from the agent for {seconds} s; reconnecting"
                ))?;
            }
            // Prompts are shown below, and the end is told by whoever ends the program.
            _ => {}
        }
        self.show_prompt()
    }

    fn reached(&mut self, _cursor: &Cursor) -> io::Result<()> {
        Ok(())
    }

    fn line(&mut self, line: &str, now: Moment) -> io::Result<Option<Command>> {
        if let Typing::Input(request_id) = self.typing.clone() {
            return self.edited(request_id, line);
        }
        if line.trim().is_empty() {
            return Ok(None);
        }
        if self.watching == Watching::Only {
            self.note("watching only; nothing is sent")?;
            return Ok(None);
        }
        if let Some(open) = self.prompts.current().cloned()
            && let Answer::Understood(command) = self.answer(&open, line)?
        {
            return Ok(command);
        }
        if self.is_afterthought(line, now) {
            self.note("there is no prompt to answer any more; nothing was sent")?;
            return Ok(None);
        }
        Ok(Some(Command::Send(Content::text(line))))
    }

    fn refused(&mut self, command: &str, reason: &str) -> io::Result<()> {
        self.note(&format!("{command}: {reason}"))
    }

    fn ctrl_c(&mut self, now: Moment) -> io::Result<CtrlC> {
        let again = self
            .interrupted_at
            .replace(now.instant)
            .is_some_and(|last| now.instant.saturating_duration_since(last) <= SECOND_CTRL_C);
        let idle = self.activity.now == Doing::Idle && self.prompts.current().is_none();
        if again || idle || self.watching == Watching::Only {
            return Ok(CtrlC::Detach);
        }
        self.note("interrupting the agent; Ctrl-C again detaches")?;
        Ok(CtrlC::Interrupt)
    }

    fn tick(&mut self, now: Moment) -> io::Result<()> {
        // While there is no connection, the countdown says it all.
        if self.link == Link::Up
            && let Some(progress) = self.progress.tick()
        {
            self.note(&format!("your message: {progress}"))?;
        }
        match self.countdown {
            Countdown::Live => self.waiting(now),
            Countdown::Once => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transcript.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.transcript.finish_line()?;
        self.transcript.flush()
    }
}

fn gap(cause: GapCause) -> String {
    match cause {
        GapCause::NoHistory => "the server keeps no history".to_owned(),
        GapCause::NotRetained => "the server no longer has them".to_owned(),
        GapCause::Refused { status } => format!("the server answered {status}"),
        GapCause::Unreachable => "the server could not be reached".to_owned(),
        GapCause::Unreadable => "the server's answer could not be read".to_owned(),
        GapCause::NoPosition => "nothing had been received to resume after".to_owned(),
    }
}

/// That somebody else has answered a prompt.
fn answered(name: Option<&str>, behavior: Option<Behavior>) -> String {
    let who = name.map_or("another viewer".to_owned(), |name| one_line(name, BRIEF));
    match behavior {
        Some(Behavior::Allow) => format!("{who} allowed it"),
        Some(Behavior::Deny) => format!("{who} denied it"),
        Some(Behavior::Error) | None => format!("answered by {who}"),
    }
}

#[cfg(test)]
mod tests;
