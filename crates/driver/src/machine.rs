//! A machine as a driver sees it.

use std::fmt::Debug;

use attache_protocol::{
    SessionId,
    io::{Effect, Input},
    policy::CloseCause,
    time::Timestamp,
    viewer::{Cursor, Event, Status, Viewer},
    worker::{Worker, WorkerCloseCause, WorkerEvent, WorkerStatus},
};

/// What a driver needs of a machine, whether that is a [`Viewer`] or a [`Worker`]: one loop carries both.
///
/// The methods are those of the machines, and so is the contract.
pub trait Machine: Sized + Send + Unpin + 'static {
    /// What the application is told.
    type Event: Send + Unpin + 'static;
    /// How far an application is that has taken an event.
    type Place: Clone + Send + Unpin + 'static;
    /// What everybody may see at any time.
    type View: Clone + PartialEq + Debug + Send + Sync + 'static;
    /// Why it is closed.
    type Cause: Copy + Debug + Send + 'static;

    /// Tells it to begin. Harmless when it has begun or is closed.
    fn begin(&mut self, now: Timestamp);

    /// Tells it to close. Harmless when repeated.
    fn close(&mut self, now: Timestamp);

    /// Takes in a fact.
    fn handle_input(&mut self, now: Timestamp, input: Input);

    /// Takes in that time has passed.
    fn handle_timeout(&mut self, now: Timestamp);

    /// The next order.
    fn poll_effect(&mut self) -> Option<Effect>;

    /// The next thing the application should know.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// How far the application is with the events polled so far.
    fn place(&self) -> Self::Place;

    /// When to call [`handle_timeout`](Self::handle_timeout). To be asked again when events or effects
    /// have been taken.
    fn deadline(&self) -> Option<Timestamp>;

    /// How it looks now.
    fn view(&self) -> Self::View;

    /// Whether to read from sockets and streams.
    fn wants_read(&self) -> bool;

    /// Whether there is room for what the application wants to write in bulk.
    fn room(&self) -> Room;

    /// Why a machine that looks like this is closed, if it is.
    fn cause(view: &Self::View) -> Option<Self::Cause>;
}

/// Room for what an application writes in bulk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is some.
    Now,
    /// There will be some.
    Later,
    /// Nothing is taken (any more).
    Never,
}

/// How a worker looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Where it stands.
    pub status: WorkerStatus,
    /// Its session, once there is one.
    pub session: Option<SessionId>,
}

impl Machine for Viewer {
    type Event = Event;
    type Place = Option<Cursor>;
    type View = Status;
    type Cause = CloseCause;

    fn begin(&mut self, now: Timestamp) {
        // The only refusals are that it has begun and that it is closed.
        let _ = self.connect(now);
    }

    fn close(&mut self, now: Timestamp) {
        self.close(now);
    }

    fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.handle_input(now, input);
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_timeout(now);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.poll_effect()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn place(&self) -> Option<Cursor> {
        self.cursor()
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.poll_timeout().map(|(deadline, _)| deadline)
    }

    fn view(&self) -> Status {
        self.status().clone()
    }

    fn wants_read(&self) -> bool {
        self.wants_read()
    }

    /// A viewer's messages are commands, which it refuses when there are too many.
    fn room(&self) -> Room {
        Room::Never
    }

    fn cause(view: &Status) -> Option<CloseCause> {
        match view {
            Status::Closed { cause } => Some(*cause),
            Status::Idle
            | Status::Connecting { .. }
            | Status::CatchingUp
            | Status::Live
            | Status::Waiting { .. }
            | Status::Closing => None,
        }
    }
}

impl Machine for Worker {
    type Event = WorkerEvent;
    type Place = ();
    type View = WorkerView;
    type Cause = WorkerCloseCause;

    fn begin(&mut self, now: Timestamp) {
        // The only refusals are that it has begun and that it is closed.
        let _ = self.start(now);
    }

    fn close(&mut self, now: Timestamp) {
        self.close(now);
    }

    fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.handle_input(now, input);
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_timeout(now);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.poll_effect()
    }

    fn poll_event(&mut self) -> Option<WorkerEvent> {
        self.poll_event()
    }

    /// What viewers said is acknowledged, event by event.
    fn place(&self) {}

    fn deadline(&self) -> Option<Timestamp> {
        self.poll_timeout().map(|(deadline, _)| deadline)
    }

    fn view(&self) -> WorkerView {
        WorkerView {
            status: self.status(),
            session: self.session().cloned(),
        }
    }

    fn wants_read(&self) -> bool {
        self.wants_read()
    }

    fn room(&self) -> Room {
        match self.status() {
            WorkerStatus::Closing | WorkerStatus::Closed(_) => Room::Never,
            WorkerStatus::Idle
            | WorkerStatus::Registering
            | WorkerStatus::Connecting
            | WorkerStatus::Running
            | WorkerStatus::Rebuilding
            | WorkerStatus::Deaf { .. } => {
                if self.wants_write() {
                    Room::Now
                } else {
                    Room::Later
                }
            }
        }
    }

    fn cause(view: &WorkerView) -> Option<WorkerCloseCause> {
        match view.status {
            WorkerStatus::Closed(cause) => Some(cause),
            WorkerStatus::Idle
            | WorkerStatus::Registering
            | WorkerStatus::Connecting
            | WorkerStatus::Running
            | WorkerStatus::Rebuilding
            | WorkerStatus::Deaf { .. }
            | WorkerStatus::Closing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::worker::{NewSession, SessionChoice, WorkerConfig};

    use super::*;

    #[test]
    fn a_worker_has_room_until_it_is_full_and_none_once_it_closes() {
        let now = Timestamp::ORIGIN;
        let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
        config.limits.uploads = 1;
        let mut worker = Worker::new(config, [1; 32], now);
        worker.begin(now);
        worker.begin(now);

        assert_eq!(worker.room(), Room::Now);
        worker.upload(now, r#"{"type":"x"}"#.into()).unwrap();
        assert_eq!(worker.room(), Room::Later);
        Machine::close(&mut worker, now);
        assert_eq!(worker.room(), Room::Never);
        let cause = WorkerCloseCause::Requested;
        assert_eq!(Worker::cause(&worker.view()), Some(cause));
    }
}
