//! The driver: carries the machine's orders out and tells it what happens.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use attache_protocol::{io::Input, time::Timestamp};
use tracing::Span;

use super::{
    alarm::Alarm,
    connections::{Connections, Progress},
    events::{self, Events, Outlet},
    handle::{self, Handle, Inlet},
    network::Network,
};
use crate::{Clock, Machine, Room};

/// Commands taken before everybody else has a turn.
const TURN: usize = 64;

/// How long a driver that has plenty to read waits for an application that has plenty to look at: reading
/// on at once would only move what was read out of the processor's reach.
const COURTESY: Duration = Duration::from_millis(1);

/// Does a session's work: a future to spawn, which is done when the session is closed and nothing is
/// left to do. Events that the application has not taken by then stay readable.
///
/// One poll is one turn: take what came, let the machine judge, carry out what it orders. A turn that
/// changed anything asks for another one; the timer is armed in a turn that changed nothing, and in one
/// that leaves the application plenty to look at first.
///
/// Needs what its [`Network`] needs. Dropping it aborts everything at once.
#[must_use = "nothing happens unless the driver is spawned or polled"]
pub struct Driver<M: Machine, N: Network> {
    machine: M,
    clock: Clock,
    inlet: Inlet<M>,
    outlet: Outlet<M>,
    connections: Connections<N>,
    alarm: Alarm<N::Timer>,
    stage: Stage,
    span: Span,
}

/// What the next turn must think of.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    /// Nobody has told the machine to begin.
    New,
    /// Commands may come.
    Commanded,
    /// Every handle is gone.
    Abandoned,
}

impl<M: Machine, N: Network> Driver<M, N> {
    pub(crate) fn prepare(
        machine: M,
        clock: Clock,
        connections: Connections<N>,
        span: Span,
    ) -> (Handle<M>, Events<M>, Self) {
        let (inlet, handle) = handle::channel(machine.view());
        let (outlet, events) = events::channel(&handle, machine.place());
        let driver = Self {
            machine,
            clock,
            inlet,
            outlet,
            connections,
            alarm: Alarm::default(),
            stage: Stage::New,
            span,
        };
        (handle, events, driver)
    }

    /// One turn.
    fn turn(&mut self, cx: &mut Context<'_>) -> Progress {
        // The clock first, inputs next, the timer last: what came before a deadline counts.
        let now = self.clock.now();
        let mut changed = self.begin(now);
        changed |= self.take_writes(cx, now);
        changed |= self.take_commands(cx, now);
        let reported = self.connections.report(cx, now, &mut self.machine);
        changed |= self.fire_timer(now);
        changed |= self.connections.carry_out(now, &mut self.machine);
        self.connections.write(cx);
        // Before its events: whoever is told of something sees it.
        self.publish_view();
        let delivered = self.outlet.deliver(cx, &mut self.machine);
        match reported {
            Progress::Plenty if !changed => Progress::Plenty,
            Progress::Plenty | Progress::Something => Progress::Something,
            Progress::Nothing => Progress::of(changed || delivered),
        }
    }

    fn begin(&mut self, now: Timestamp) -> bool {
        let is_new = self.stage == Stage::New;
        if is_new {
            self.stage = Stage::Commanded;
            self.machine.begin(now);
        }
        is_new
    }

    /// Takes what there is room for. Before every command, so that closing comes after what was written
    /// before it.
    fn take_writes(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        for _ in 0..TURN {
            match self.machine.room() {
                Room::Now => {}
                Room::Later => break,
                Room::Never => {
                    self.inlet.refuse_writes();
                    break;
                }
            }
            let Poll::Ready(Some(write)) = self.inlet.poll_write(cx) else {
                break;
            };
            write(&mut self.machine, now);
            changed = true;
        }
        changed
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        if self.inlet.wake.take(cx) {
            self.machine.handle_input(now, Input::Woke);
            changed = true;
        }
        for _ in 0..TURN {
            if self.stage == Stage::Abandoned {
                break;
            }
            let Poll::Ready(command) = self.inlet.poll_command(cx) else {
                break;
            };
            changed = true;
            // What was written before this command was given, perhaps a moment ago.
            self.take_writes(cx, now);
            if let Some(command) = command {
                command(&mut self.machine, now);
            } else {
                self.stage = Stage::Abandoned;
                self.machine.close(now);
            }
        }
        changed
    }

    fn fire_timer(&mut self, now: Timestamp) -> bool {
        let due = self
            .machine
            .deadline()
            .is_some_and(|deadline| deadline <= now);
        if due {
            self.machine.handle_timeout(now);
        }
        due
    }

    fn publish_view(&self) {
        let view = self.machine.view();
        if self.inlet.view.publish(view.clone()) {
            tracing::info!(?view);
        }
    }

    /// Waits for the machine's deadline, and no longer than `patience`. Ready if that has come already.
    fn poll_timer(&mut self, patience: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.machine.deadline();
        let deadline = deadline.and_then(|deadline| self.clock.instant(deadline));
        let patience = patience.and_then(|patience| Instant::now().checked_add(patience));
        match deadline.into_iter().chain(patience).min() {
            Some(instant) => self.alarm.poll(instant, cx),
            None => Poll::Pending,
        }
    }
}

impl<M: Machine, N: Network> Future for Driver<M, N> {
    type Output = M::Cause;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Cause> {
        let this = &mut *self;
        let span = this.span.clone();
        let _entered = span.enter();
        let progress = this.turn(cx);
        // The turn has carried every order out; events that are left wait for the application.
        let cause = M::cause(&this.inlet.view.current());
        if let Some(cause) = cause {
            this.outlet.finish(&mut this.machine);
            this.inlet.finish();
            return Poll::Ready(cause);
        }
        let again = match progress {
            Progress::Nothing => this.poll_timer(None, cx).is_ready(),
            Progress::Plenty if this.outlet.awaits_listener() => {
                this.poll_timer(Some(COURTESY), cx).is_ready()
            }
            Progress::Plenty | Progress::Something => true,
        };
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<M: Machine, N: Network> fmt::Debug for Driver<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("view", &self.machine.view())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Waker,
    };

    use attache_protocol::worker::{NewSession, SessionChoice, Worker, WorkerConfig};

    use super::*;
    use crate::{
        StaticToken,
        asynchronous::{nowhere::Nowhere, token},
    };

    #[test]
    fn what_was_written_before_closing_comes_before_it() {
        let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
        let clock = Clock::start();
        let worker = Worker::new(config, [0; 32], clock.now());
        let connections = Connections::new(Nowhere, token::erase(StaticToken::new("t")));
        let (handle, _events, driver) = Driver::prepare(worker, clock, connections, Span::none());
        let taken = Arc::new(AtomicUsize::new(0));
        // Somebody writes and closes while the driver is busy with a command.
        let busy = {
            let (handle, taken) = (handle.clone(), Arc::clone(&taken));
            move |_: &mut Worker, _| {
                let write = move |_: &mut Worker, _| {
                    taken.fetch_add(1, Ordering::Relaxed);
                };
                handle.writes.try_send(Box::new(write)).unwrap();
                handle.commands.try_send(Box::new(Worker::close)).unwrap();
            }
        };
        handle.commands.try_send(Box::new(busy)).unwrap();

        let mut driver = pin!(driver);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            if driver.as_mut().poll(&mut context).is_ready() {
                break;
            }
        }

        assert_eq!(taken.load(Ordering::Relaxed), 1);
    }
}
