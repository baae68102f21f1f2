//! What every handle to a machine has in common, and the driver's end of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use attache_driver::{CommandError, Ended, Machine};
use attache_protocol::time::Timestamp;
use futures_util::task::AtomicWaker;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the driver. It takes them at every turn, so few are enough.
const CHANNEL_COMMANDS: usize = 64;

/// What is written in bulk waits outside, with whoever writes it.
const CHANNEL_WRITES: usize = 1;

/// Something to do with the machine, on its way to the driver.
pub(crate) type Command<M> = Box<dyn FnOnce(&mut M, Timestamp) + Send>;

/// A place for one write.
pub(crate) type Place<'a, M> = mpsc::Permit<'a, Command<M>>;

/// The application's end.
pub(crate) struct Handle<M: Machine> {
    commands: mpsc::Sender<Command<M>>,
    writes: mpsc::Sender<Command<M>>,
    pub(crate) view: watch::Receiver<M::View>,
    wake: Arc<Wake>,
}

impl<M: Machine> Handle<M> {
    /// Carries `command` out at the driver's next turn and brings its result back.
    pub(crate) async fn ask<T, E>(
        &self,
        command: impl FnOnce(&mut M, Timestamp) -> Result<T, E> + Send + 'static,
    ) -> Result<T, CommandError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let ask = move |machine: &mut M, now| {
            // Whoever asked may have gone; a reply that nobody waits for is dropped.
            let _ = reply.send(command(machine, now));
        };
        self.tell(ask).await.map_err(|Ended| CommandError::Ended)?;
        let answer = answer.await.map_err(|_| CommandError::Ended)?;
        answer.map_err(CommandError::Refused)
    }

    /// Carries `command` out at the driver's next turn.
    pub(crate) async fn tell(
        &self,
        command: impl FnOnce(&mut M, Timestamp) + Send + 'static,
    ) -> Result<(), Ended> {
        let sent = self.commands.send(Box::new(command)).await;
        sent.map_err(|_| Ended)
    }

    /// Waits until something may be written.
    pub(crate) async fn place(&self) -> Result<Place<'_, M>, Ended> {
        self.writes.reserve().await.map_err(|_| Ended)
    }

    /// Closes the machine and waits until it is closed.
    pub(crate) async fn close(&self) -> Result<M::Cause, Ended> {
        // A driver that is done takes no commands; its last view tells the rest.
        let _ = self.tell(M::close).await;
        let mut view = self.view.clone();
        let last = view
            .wait_for(|view| M::cause(view).is_some())
            .await
            .map_err(|_| Ended)?;
        M::cause(&last).ok_or(Ended)
    }

    pub(crate) fn woke(&self) {
        self.wake.set();
    }

    /// Keeps the machine open while it is held.
    pub(crate) fn hold(&self) -> Hold<M> {
        Hold {
            _open: self.commands.clone(),
        }
    }
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            writes: self.writes.clone(),
            view: self.view.clone(),
            wake: Arc::clone(&self.wake),
        }
    }
}

/// Keeps a machine open.
pub(crate) struct Hold<M> {
    _open: mpsc::Sender<Command<M>>,
}

/// The driver's end of every [`Handle`].
pub(crate) struct Inlet<M: Machine> {
    pub(crate) commands: mpsc::Receiver<Command<M>>,
    /// `None` when nothing is taken any more.
    pub(crate) writes: Option<mpsc::Receiver<Command<M>>>,
    pub(crate) view: watch::Sender<M::View>,
    pub(crate) wake: Arc<Wake>,
}

impl<M: Machine> Inlet<M> {
    /// Refuses every write from now on.
    pub(crate) fn refuse_writes(&mut self) {
        if let Some(mut writes) = self.writes.take() {
            writes.close();
            if writes.try_recv().is_ok() {
                tracing::warn!("a frame is lost: there was no room for it before the end");
            }
        }
    }

    /// Refuses every command from now on, those in line included.
    pub(crate) fn finish(&mut self) {
        self.refuse_writes();
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
    }
}

/// Both ends, for a machine that looks like `view`.
pub(crate) fn channel<M: Machine>(view: M::View) -> (Inlet<M>, Handle<M>) {
    let (command_sender, commands) = mpsc::channel(CHANNEL_COMMANDS);
    let (write_sender, writes) = mpsc::channel(CHANNEL_WRITES);
    let (view_sender, view) = watch::channel(view);
    let wake = Arc::new(Wake::default());
    let handle = Handle {
        commands: command_sender,
        writes: write_sender,
        view,
        wake: Arc::clone(&wake),
    };
    let inlet = Inlet {
        commands,
        writes: Some(writes),
        view: view_sender,
        wake,
    };
    (inlet, handle)
}

/// A flag that wakes the driver.
#[derive(Default)]
pub(crate) struct Wake {
    raised: AtomicBool,
    driver: AtomicWaker,
}

impl Wake {
    fn set(&self) {
        self.raised.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Lowers the flag; whether it was up.
    pub(crate) fn take(&self, cx: &mut Context<'_>) -> bool {
        self.driver.register(cx.waker());
        self.raised.swap(false, Ordering::AcqRel)
    }
}
