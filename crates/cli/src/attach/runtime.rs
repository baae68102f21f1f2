//! A session on any of the adapters, commanded and heard alike.

use attache_driver::{CommandError, Ended, Options, OptionsError, asynchronous};
use attache_protocol::{
    frame::{RequestId, control::Fields},
    io::TokenReason,
    policy::CloseCause,
    time::Timestamp,
    viewer::{
        Content, Cursor, DecideError, Decision, Event, MessageId, ReconnectError, RequestError,
        SendError, ViewerConfig,
    },
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Receiver, Sender},
    task::spawn_blocking,
};

use crate::{
    arguments::Runtime,
    exit::{Exit, Failure},
    token::Tokens,
};

/// Starts a session on `runtime`. To be called on this program's own runtime, whatever `runtime` is.
pub(crate) fn spawn(
    runtime: Runtime,
    config: ViewerConfig,
    options: Options,
    tokens: Tokens,
) -> Result<(Session, Events), Failure> {
    match runtime {
        Runtime::Tokio => {
            let (session, events, _driver) = attache_tokio::spawn(config, options, tokens)?;
            Ok((session.into(), events.into()))
        }
        Runtime::AsyncStd => {
            // Only the file is read here: async-std's threads know nothing of this runtime.
            let here = Handle::current();
            let tokens = move |_: TokenReason| tokens.read_on(&here);
            let (session, events, _driver) = attache_async_std::spawn(config, options, tokens)?;
            Ok((session.into(), events.into()))
        }
        Runtime::Blocking => {
            let (session, events, _driver) = attache_blocking::spawn(config, options, tokens)?;
            Ok((Session::Blocking(session), Events::pumped(events)?))
        }
    }
}

/// A session to command. Clones command the same session.
#[derive(Clone, Debug)]
pub(crate) enum Session {
    /// Any adapter with futures.
    Asynchronous(asynchronous::Session),
    Blocking(attache_blocking::Session),
}

impl Session {
    pub(crate) async fn send(
        &self,
        content: Content,
    ) -> Result<MessageId, CommandError<SendError>> {
        match self {
            Self::Asynchronous(session) => session.send(content).await,
            Self::Blocking(session) => ask(session, move |session| session.send(content)).await,
        }
    }

    pub(crate) async fn decide(
        &self,
        request_id: RequestId,
        decision: Decision,
    ) -> Result<(), CommandError<DecideError>> {
        match self {
            Self::Asynchronous(session) => session.decide(request_id, decision).await,
            Self::Blocking(session) => {
                ask(session, move |session| session.decide(request_id, decision)).await
            }
        }
    }

    pub(crate) async fn request(
        &self,
        subtype: String,
        fields: Fields,
    ) -> Result<RequestId, CommandError<RequestError>> {
        match self {
            Self::Asynchronous(session) => session.request(subtype, fields).await,
            Self::Blocking(session) => {
                ask(session, move |session| session.request(subtype, fields)).await
            }
        }
    }

    pub(crate) async fn interrupt(&self) -> Result<RequestId, CommandError<RequestError>> {
        match self {
            Self::Asynchronous(session) => session.interrupt().await,
            Self::Blocking(session) => ask(session, attache_blocking::Session::interrupt).await,
        }
    }

    pub(crate) async fn reconnect(&self) -> Result<(), CommandError<ReconnectError>> {
        match self {
            Self::Asynchronous(session) => session.reconnect().await,
            Self::Blocking(session) => ask(session, attache_blocking::Session::reconnect).await,
        }
    }

    pub(crate) async fn close(&self) -> Result<CloseCause, Ended> {
        match self {
            Self::Asynchronous(session) => session.close().await,
            Self::Blocking(session) => {
                let session = session.clone();
                let closed = spawn_blocking(move || session.close()).await;
                closed.unwrap_or(Err(Ended))
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Asynchronous(session) => session.now(),
            Self::Blocking(session) => session.now(),
        }
    }
}

impl From<asynchronous::Session> for Session {
    fn from(session: asynchronous::Session) -> Self {
        Self::Asynchronous(session)
    }
}

/// Lets a thread wait for the driver.
async fn ask<T, E>(
    session: &attache_blocking::Session,
    command: impl FnOnce(&attache_blocking::Session) -> Result<T, CommandError<E>> + Send + 'static,
) -> Result<T, CommandError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let session = session.clone();
    let answer = spawn_blocking(move || command(&session)).await;
    answer.unwrap_or(Err(CommandError::Ended))
}

/// The events of a session, in order.
#[derive(Debug)]
pub(crate) enum Events {
    /// Any adapter with futures.
    Asynchronous(asynchronous::Events),
    /// A thread waits for each event.
    Pumped {
        events: Receiver<Pumped>,
        /// How far what was taken brings whoever took it.
        cursor: Option<Cursor>,
    },
}

/// An event, and how far it brings whoever takes it.
#[derive(Debug)]
pub(crate) struct Pumped {
    event: Event,
    cursor: Option<Cursor>,
}

impl Events {
    fn pumped(events: attache_blocking::Events) -> Result<Self, Failure> {
        // The fewest there can be: whatever is not taken waits in the session, which stops reading then.
        let (sender, receiver) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || pump(with_cursors(events), &sender))
            .map_err(|error| system(&error))?;
        Ok(Self::Pumped {
            events: receiver,
            cursor: None,
        })
    }

    /// How far the events that were taken go.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Asynchronous(events) => events.cursor(),
            Self::Pumped { cursor, .. } => cursor.clone(),
        }
    }

    /// The next event; `None` when there will be none any more.
    ///
    /// Cancel safe: no event is lost when the future is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Asynchronous(events) => events.next().await,
            Self::Pumped { events, cursor } => {
                let pumped = events.recv().await?;
                *cursor = pumped.cursor;
                Some(pumped.event)
            }
        }
    }
}

impl From<asynchronous::Events> for Events {
    fn from(events: asynchronous::Events) -> Self {
        Self::Asynchronous(events)
    }
}

fn with_cursors(mut events: attache_blocking::Events) -> impl Iterator<Item = Pumped> {
    std::iter::from_fn(move || {
        let event = events.next()?;
        let cursor = events.cursor();
        Some(Pumped { event, cursor })
    })
}

/// Hands on every event, until there are no more or nobody wants them.
fn pump(events: impl Iterator<Item = Pumped>, sender: &Sender<Pumped>) {
    for event in events {
        if sender.blocking_send(event).is_err() {
            return;
        }
    }
}

impl From<attache_blocking::StartError> for Failure {
    fn from(error: attache_blocking::StartError) -> Self {
        match error {
            attache_blocking::StartError::Options(error) => OptionsError::into(error),
            other => Self::new(Exit::Failure, other.to_string()),
        }
    }
}

fn system(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("the system gave no thread to wait for events on: {error}; close some programs"),
    )
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_stays_in_the_session() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let events = std::iter::repeat_with(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            Pumped {
                event: Event::CaughtUp,
                cursor: Some(Cursor::Sequence(number as u64)),
            }
        });
        let (sender, receiver) = mpsc::channel(1);
        let pumping = thread::spawn(move || pump(events, &sender));
        let mut events = Events::Pumped {
            events: receiver,
            cursor: None,
        };
        for number in 1..=1000 {
            let event = timeout(Duration::from_secs(10), events.next()).await;
            assert!(matches!(event.unwrap(), Some(Event::CaughtUp)));
            assert_eq!(events.cursor(), Some(Cursor::Sequence(number as u64 - 1)));
            // One lies in the channel, and one in the hand of the thread.
            assert!(taken.load(Ordering::SeqCst) <= number + 2);
        }
        drop(events);
        let end = spawn_blocking(move || pumping.join());
        timeout(Duration::from_secs(10), end)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
