//! What every handle to a machine has in common, and the driver's end of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::{self, Receiver, SyncSender},
};

use attache_driver::{CommandError, Ended, Machine};
use attache_protocol::time::Timestamp;

use crate::{
    alarm::{Alarm, RingOnDrop},
    view::View,
};

/// Commands that wait for the driver. It takes them at every turn, so few are enough.
const CHANNEL_COMMANDS: usize = 64;

/// What is written in bulk waits outside, with whoever writes it.
const CHANNEL_WRITES: usize = 1;

/// Something to do with the machine, on its way to the driver.
pub(crate) type Command<M> = Box<dyn FnOnce(&mut M, Timestamp) + Send>;

/// The application's end.
pub(crate) struct Handle<M: Machine> {
    hold: Hold<M>,
    writes: SyncSender<Command<M>>,
    pub(crate) view: Arc<View<M::View>>,
    woke: Arc<AtomicBool>,
    alarm: Alarm,
}

/// Keeps a machine open. The driver is woken after the last one is gone.
pub(crate) struct Hold<M> {
    commands: SyncSender<Command<M>>,
    ring: RingOnDrop,
}

impl<M: Machine> Handle<M> {
    /// Carries `command` out at the driver's next turn and brings its result back.
    pub(crate) fn ask<T, E>(
        &self,
        command: impl FnOnce(&mut M, Timestamp) -> Result<T, E> + Send + 'static,
    ) -> Result<T, CommandError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        let ask = move |machine: &mut M, now| {
            // Whoever asks waits for this, so there is room.
            let _ = reply.send(command(machine, now));
        };
        self.tell(ask).map_err(|Ended| CommandError::Ended)?;
        let answer = answer.recv().map_err(|_| CommandError::Ended)?;
        answer.map_err(CommandError::Refused)
    }

    /// Carries `command` out at the driver's next turn.
    pub(crate) fn tell(
        &self,
        command: impl FnOnce(&mut M, Timestamp) + Send + 'static,
    ) -> Result<(), Ended> {
        let sent = self.hold.commands.send(Box::new(command));
        self.alarm.ring();
        sent.map_err(|_| Ended)
    }

    /// Puts one write in line. Waits until there is a place.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&mut M, Timestamp) + Send + 'static,
    ) -> Result<(), Ended> {
        let sent = self.writes.send(Box::new(write));
        self.alarm.ring();
        sent.map_err(|_| Ended)
    }

    /// Closes the machine and waits until it is closed.
    pub(crate) fn close(&self) -> Result<M::Cause, Ended> {
        // A driver that is done takes no commands; its last view tells the rest.
        let _ = self.tell(M::close);
        self.view.wait_for(|view, _| M::cause(view))
    }

    pub(crate) fn woke(&self) {
        self.woke.store(true, Ordering::Release);
        self.alarm.ring();
    }

    /// Keeps the machine open while it is held.
    pub(crate) fn hold(&self) -> Hold<M> {
        self.hold.clone()
    }

    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            hold: self.hold.clone(),
            writes: self.writes.clone(),
            view: Arc::clone(&self.view),
            woke: Arc::clone(&self.woke),
            alarm: self.alarm.clone(),
        }
    }
}

impl<M> Clone for Hold<M> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            ring: RingOnDrop(self.ring.0.clone()),
        }
    }
}

/// The driver's end of every [`Handle`]. Dropping it tells everybody that waits.
pub(crate) struct Inlet<M: Machine> {
    pub(crate) commands: Receiver<Command<M>>,
    /// `None` when nothing is taken any more.
    pub(crate) writes: Option<Receiver<Command<M>>>,
    pub(crate) view: Arc<View<M::View>>,
    woke: Arc<AtomicBool>,
}

impl<M: Machine> Inlet<M> {
    /// Whether somebody has said that the machine woke up.
    pub(crate) fn take_woke(&self) -> bool {
        self.woke.swap(false, Ordering::AcqRel)
    }

    /// Refuses every write from now on.
    pub(crate) fn refuse_writes(&mut self) {
        if let Some(writes) = self.writes.take()
            && writes.try_recv().is_ok()
        {
            tracing::warn!("a frame is lost: there was no room for it before the end");
        }
    }
}

impl<M: Machine> Drop for Inlet<M> {
    fn drop(&mut self) {
        self.refuse_writes();
        self.view.end();
    }
}

/// Both ends, for a machine that looks like `view` and a driver that `alarm` wakes.
pub(crate) fn channel<M: Machine>(view: M::View, alarm: Alarm) -> (Inlet<M>, Handle<M>) {
    let (command_sender, commands) = mpsc::sync_channel(CHANNEL_COMMANDS);
    let (write_sender, writes) = mpsc::sync_channel(CHANNEL_WRITES);
    let view = Arc::new(View::new(view));
    let woke = Arc::new(AtomicBool::new(false));
    let handle = Handle {
        hold: Hold {
            commands: command_sender,
            ring: RingOnDrop(alarm.clone()),
        },
        writes: write_sender,
        view: Arc::clone(&view),
        woke: Arc::clone(&woke),
        alarm,
    };
    let inlet = Inlet {
        commands,
        writes: Some(writes),
        view,
        woke,
    };
    (inlet, handle)
}
