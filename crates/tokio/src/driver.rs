//! The driver: carries the machine's orders out and tells it what happens.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use attache_driver::{Clock, Machine, Room};
use attache_protocol::{io::Input, time::Timestamp, viewer::Viewer};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

use crate::{
    connections::Connections,
    events::{self, Events, Outlet},
    handle::{self, Handle, Inlet},
};

/// Commands taken before everybody else has a turn.
const TURN: usize = 64;

/// Does a session's work: a future to spawn, which is done when the session is closed and nothing is
/// left to do. Events that the application has not taken by then stay readable. Without a parameter, a
/// viewer's.
///
/// One poll is one turn: take what came, let the machine judge, carry out what it orders. A turn that
/// changed anything asks for another one; the timer is armed in a turn that changed nothing.
///
/// Needs a tokio runtime with I/O and time enabled. Dropping it aborts everything at once.
#[must_use = "nothing happens unless the driver is spawned or polled"]
pub struct Driver<M: Machine = Viewer> {
    machine: M,
    clock: Clock,
    inlet: Inlet<M>,
    outlet: Outlet<M>,
    connections: Connections,
    timer: Option<Pin<Box<Sleep>>>,
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

impl<M: Machine> Driver<M> {
    pub(crate) fn prepare(
        machine: M,
        clock: Clock,
        connections: Connections,
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
            timer: None,
            stage: Stage::New,
            span,
        };
        (handle, events, driver)
    }

    /// One turn. Whether anything changed.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        // The clock first, inputs next, the timer last: what came before a deadline counts.
        let now = self.clock.now();
        let mut changed = self.begin(now);
        changed |= self.take_writes(cx, now);
        changed |= self.take_commands(cx, now);
        changed |= self.connections.report(cx, now, &mut self.machine);
        changed |= self.fire_timer(now);
        changed |= self.connections.carry_out(now, &mut self.machine);
        self.connections.write(cx);
        changed |= self.outlet.deliver(cx, &mut self.machine);
        self.publish_view();
        changed
    }

    fn begin(&mut self, now: Timestamp) -> bool {
        let is_new = self.stage == Stage::New;
        if is_new {
            self.stage = Stage::Commanded;
            self.machine.begin(now);
        }
        is_new
    }

    /// Takes what there is room for. Before commands, so that closing comes after what was written
    /// before it.
    fn take_writes(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        for _ in 0..TURN {
            let Some(writes) = &mut self.inlet.writes else {
                break;
            };
            match self.machine.room() {
                Room::Now => {}
                Room::Later => break,
                Room::Never => {
                    self.inlet.refuse_writes();
                    break;
                }
            }
            let Poll::Ready(Some(write)) = writes.poll_recv(cx) else {
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
            match self.inlet.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => command(&mut self.machine, now),
                Poll::Ready(None) => {
                    self.stage = Stage::Abandoned;
                    self.machine.close(now);
                }
                Poll::Pending => break,
            }
            changed = true;
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
        self.inlet.view.send_if_modified(|published| {
            let changed = *published != view;
            if changed {
                tracing::info!(?view);
                *published = view;
            }
            changed
        });
    }

    /// Waits for the machine's deadline. Ready if that has come already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.machine.deadline();
        let Some(instant) = deadline.and_then(|deadline| self.clock.instant(deadline)) else {
            return Poll::Pending;
        };
        let instant = Instant::from_std(instant);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(instant)));
        if timer.deadline() != instant {
            timer.as_mut().reset(instant);
        }
        timer.as_mut().poll(cx)
    }
}

impl<M: Machine> Future for Driver<M> {
    type Output = M::Cause;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Cause> {
        let this = &mut *self;
        let span = this.span.clone();
        let _entered = span.enter();
        let changed = this.turn(cx);
        // The turn has carried every order out; events that are left wait for the application.
        let cause = M::cause(&this.inlet.view.borrow());
        if let Some(cause) = cause {
            this.outlet.finish(&mut this.machine);
            this.inlet.finish();
            return Poll::Ready(cause);
        }
        if changed || this.poll_timer(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<M: Machine> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("view", &self.machine.view())
            .finish_non_exhaustive()
    }
}
