//! How a machine looks, for everybody to see at any time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use attache_driver::Ended;

/// The last published look, and whoever waits for another one.
pub(crate) struct View<V> {
    state: Mutex<State<V>>,
    changed: Condvar,
}

struct State<V> {
    look: V,
    /// Counts the looks.
    version: u64,
    /// There will be no other look.
    is_last: bool,
}

impl<V: Clone + PartialEq> View<V> {
    pub(crate) fn new(look: V) -> Self {
        Self {
            state: Mutex::new(State {
                look,
                version: 0,
                is_last: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn look(&self) -> V {
        self.lock().look.clone()
    }

    /// Waits for a look that `wanted` makes something of. It is shown the present one first, and each
    /// one's number; some may be skipped.
    pub(crate) fn wait_for<T>(
        &self,
        mut wanted: impl FnMut(&V, u64) -> Option<T>,
    ) -> Result<T, Ended> {
        let mut state = self.lock();
        loop {
            if let Some(found) = wanted(&state.look, state.version) {
                return Ok(found);
            }
            if state.is_last {
                return Err(Ended);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Shows another look. Whether it is another one.
    pub(crate) fn publish(&self, look: &V) -> bool {
        let mut state = self.lock();
        let changed = state.look != *look;
        if changed {
            state.look = look.clone();
            state.version = state.version.wrapping_add(1);
            self.changed.notify_all();
        }
        changed
    }

    /// Makes the present look the last one.
    pub(crate) fn end(&self) {
        self.lock().is_last = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
