//! The driver: carries the machine's orders out and tells it what happens.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use attache_driver::{Clock, Machine, Room};
use attache_protocol::{io::Input, time::Timestamp, viewer::Viewer};
use mio::Poll;
use tracing::Span;

use crate::{
    alarm::Alarm,
    connections::Connections,
    events::{self, Events, Outlet},
    handle::{self, Handle, Inlet},
    http::Http,
    token::TokenSource,
};

/// Commands taken before everybody else has a turn.
const TURN: usize = 64;

/// How long the driver waits at its end for threads that nothing can interrupt.
const PARTING: Duration = Duration::from_secs(1);

/// Does a session's work: to be [run](Self::run) on a thread. Without a parameter, a viewer's.
///
/// One turn takes what came, lets the machine judge, and carries out what it orders. A turn that changed
/// anything is followed by another one; after one that did not, the thread sleeps until a command, an
/// answer, a socket or the machine's deadline wakes it.
///
/// Dropping it before it runs ends the session before it began.
#[must_use = "nothing happens unless the driver runs"]
pub struct Driver<M: Machine = Viewer> {
    machine: M,
    clock: Clock,
    inlet: Inlet<M>,
    outlet: Outlet<M>,
    connections: Connections,
    poll: Poll,
    happened: mio::Events,
    stage: Stage,
    span: Span,
}

/// What the next turn must think of.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    /// Commands may come.
    Commanded,
    /// Every handle is gone.
    Abandoned,
}

impl<M: Machine> Driver<M> {
    pub(crate) fn prepare(
        machine: M,
        clock: Clock,
        http: Http,
        tokens: impl TokenSource,
        span: Span,
    ) -> io::Result<(Handle<M>, Events<M>, Self)> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry())?;
        let registry = poll.registry().try_clone()?;
        let connections = Connections::new(http, tokens, registry, alarm.clone());
        let (inlet, handle) = handle::channel(machine.view(), alarm);
        let (outlet, events) = events::channel(&handle, machine.place());
        let driver = Self {
            machine,
            clock,
            inlet,
            outlet,
            connections,
            poll,
            happened: mio::Events::with_capacity(64),
            stage: Stage::Commanded,
            span,
        };
        Ok((handle, events, driver))
    }

    /// Does the work until the session is closed and nothing is left to do: no socket, no thread, no
    /// timer. Events that the application has not taken by then stay readable.
    ///
    /// A name lookup or a token source that hangs can't be interrupted; its thread is waited for no
    /// longer than a second, and ends by itself.
    pub fn run(mut self) -> M::Cause {
        let span = self.span.clone();
        let _entered = span.enter();
        self.machine.begin(self.clock.now());
        loop {
            let changed = self.turn();
            // The turn has carried every order out; events that are left wait for the application.
            let view = self.machine.view();
            if let Some(cause) = M::cause(&view) {
                self.connections.abort();
                self.outlet.finish(&mut self.machine);
                self.publish(&view);
                drop(self.inlet);
                drop(self.outlet);
                self.connections.finish(Instant::now() + PARTING);
                return cause;
            }
            if !changed {
                self.wait();
            }
        }
    }

    /// One turn. Whether anything changed.
    fn turn(&mut self) -> bool {
        // The clock first, inputs next, the timer last: what came before a deadline counts.
        let now = self.clock.now();
        let mut changed = self.take_writes(now);
        changed |= self.take_commands(now);
        changed |= self.connections.report(now, &mut self.machine);
        changed |= self.fire_timer(now);
        changed |= self.connections.carry_out(now, &mut self.machine);
        changed |= self.connections.write();
        // Before its events: whoever is told of something sees it. The end is shown when all is over.
        let view = self.machine.view();
        if M::cause(&view).is_none() {
            self.publish(&view);
        }
        changed |= self.outlet.deliver(&mut self.machine);
        changed
    }

    /// Takes what there is room for. Before commands, so that closing comes after what was written
    /// before it.
    fn take_writes(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        for _ in 0..TURN {
            let Some(writes) = &self.inlet.writes else {
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
            let Ok(write) = writes.try_recv() else {
                break;
            };
            write(&mut self.machine, now);
            changed = true;
        }
        changed
    }

    fn take_commands(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        if self.inlet.take_woke() {
            self.machine.handle_input(now, Input::Woke);
            changed = true;
        }
        for _ in 0..TURN {
            if self.stage == Stage::Abandoned {
                break;
            }
            match self.inlet.commands.try_recv() {
                Ok(command) => {
                    // What was written before the command comes before it.
                    self.take_writes(now);
                    command(&mut self.machine, now);
                }
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    self.stage = Stage::Abandoned;
                    self.machine.close(now);
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
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

    fn publish(&self, view: &M::View) {
        if self.inlet.view.publish(view) {
            tracing::info!(?view);
        }
    }

    /// Sleeps until something happens, or until the machine's deadline.
    fn wait(&mut self) {
        let deadline = self.machine.deadline();
        let instant = deadline.and_then(|deadline| self.clock.instant(deadline));
        let left = instant.map(|instant| instant.saturating_duration_since(Instant::now()));
        match self.poll.poll(&mut self.happened, left) {
            // Which socket it was does not matter: a turn asks them all.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => tracing::error!(%error, "the driver can't wait"),
        }
    }
}

impl<M: Machine> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("view", &self.machine.view())
            .finish_non_exhaustive()
    }
}
