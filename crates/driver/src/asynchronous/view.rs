//! How a machine looks, for everybody who holds a handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, listener};

use crate::Ended;

/// Both ends of a value that one publishes and many see.
pub(crate) fn channel<V: Clone>(view: V) -> (Publisher<V>, Observer<V>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            view,
            version: 0,
            stage: Stage::Published,
        }),
        changed: Event::new(),
    });
    let observer = Observer {
        shared: Arc::clone(&shared),
        seen: 0,
    };
    (Publisher { shared }, observer)
}

/// The end that publishes. Whatever was published last stays visible when it is dropped.
pub(crate) struct Publisher<V> {
    shared: Arc<Shared<V>>,
}

/// The end that sees.
#[derive(Clone)]
pub(crate) struct Observer<V> {
    shared: Arc<Shared<V>>,
    /// The version that [`Observer::changed`] told last.
    seen: u64,
}

struct Shared<V> {
    state: Mutex<State<V>>,
    changed: Event,
}

struct State<V> {
    view: V,
    version: u64,
    stage: Stage,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    Published,
    /// There will be no other view.
    Over,
}

impl<V: Clone + PartialEq> Publisher<V> {
    pub(crate) fn current(&self) -> V {
        self.shared.lock().view.clone()
    }

    /// Publishes `view`; whether it is another one.
    pub(crate) fn publish(&self, view: V) -> bool {
        let mut state = self.shared.lock();
        if state.view == view {
            return false;
        }
        state.view = view;
        state.version += 1;
        drop(state);
        self.shared.changed.notify(usize::MAX);
        true
    }
}

impl<V> Drop for Publisher<V> {
    fn drop(&mut self) {
        self.shared.lock().stage = Stage::Over;
        self.shared.changed.notify(usize::MAX);
    }
}

impl<V: Clone> Observer<V> {
    pub(crate) fn current(&self) -> V {
        self.shared.lock().view.clone()
    }

    /// Waits for another view than the one told last. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Result<V, Ended> {
        let seen = self.seen;
        let (view, version) = self
            .shared
            .find(|state| (state.version != seen).then(|| (state.view.clone(), state.version)))
            .await?;
        self.seen = version;
        Ok(view)
    }

    /// Waits for a view of which `pick` makes something. Cancel safe.
    pub(crate) async fn wait_for<T>(&self, pick: impl Fn(&V) -> Option<T>) -> Result<T, Ended> {
        self.shared.find(|state| pick(&state.view)).await
    }
}

impl<V> Shared<V> {
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find<T>(&self, pick: impl Fn(&State<V>) -> Option<T>) -> Result<T, Ended> {
        loop {
            // Listens first and looks then, so that no change falls in between.
            listener!(self.changed => changed);
            let stage = {
                let state = self.lock();
                if let Some(found) = pick(&state) {
                    return Ok(found);
                }
                state.stage
            };
            if stage == Stage::Over {
                return Err(Ended);
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_the_last_one_after_the_end() {
        let (publisher, mut observer) = channel(1);
        assert_eq!(observer.changed().now_or_never(), None);

        assert!(publisher.publish(2));
        assert!(!publisher.publish(2), "nothing new");
        assert_eq!(observer.changed().now_or_never(), Some(Ok(2)));
        assert_eq!(observer.changed().now_or_never(), None);

        publisher.publish(3);
        drop(publisher);
        assert_eq!(observer.changed().now_or_never(), Some(Ok(3)));
        assert_eq!(observer.changed().now_or_never(), Some(Err(Ended)));
        let found = observer.wait_for(|view| (*view == 3).then_some("three"));
        assert_eq!(found.now_or_never(), Some(Ok("three")));
    }

    #[test]
    fn whoever_waits_is_woken() {
        let (publisher, mut observer) = channel(1);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut waiting = Box::pin(observer.changed());
        assert!(waiting.poll_unpin(&mut context).is_pending());

        publisher.publish(2);

        assert_eq!(waiting.now_or_never(), Some(Ok(2)));
    }
}
