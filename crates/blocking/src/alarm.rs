//! What wakes the driver's thread.

use std::{io, sync::Arc};

use mio::{Registry, Token, Waker};

/// Wakes the driver's thread, whatever it waits for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Alarm(Arc<Waker>);

/// Rings when it is dropped. Declared behind what it announces the end of.
pub(crate) struct RingOnDrop(pub(crate) Alarm);

impl Alarm {
    /// The token that no socket may have.
    pub(crate) const TOKEN: Token = Token(usize::MAX);

    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self(Arc::new(Waker::new(registry, Self::TOKEN)?)))
    }

    pub(crate) fn ring(&self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "the driver can't be woken");
        }
    }
}

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.ring();
    }
}
