//! Ctrl-C and requests to terminate.

use tokio::sync::mpsc;

/// What the system tells the program.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Somebody wants the program to end.
    Terminate,
}

/// The signals, from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Takes signals over from the system's own handling. Needs the runtime.
    pub(crate) fn listen() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let interrupts = sender.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if interrupts.send(Signal::Interrupt).is_err() {
                    return;
                }
            }
        });
        #[cfg(unix)]
        tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            while terminate.recv().await.is_some() {
                if sender.send(Signal::Terminate).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// Only the signals that are sent by hand.
    pub(crate) fn by_hand() -> (mpsc::UnboundedSender<Signal>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
