//! The one timer of a driver.

use std::{
    task::{Context, Poll, ready},
    time::Instant,
};

use super::network::Timer;

/// Wakes the driver at its machine's deadline, which moves with every message, mostly to a later time: a
/// timer that is set for an earlier one is left alone until it goes off.
pub(crate) struct Alarm<T> {
    timer: Option<T>,
    /// What the timer waits for. `None` when it went off.
    set: Option<Instant>,
}

impl<T> Default for Alarm<T> {
    fn default() -> Self {
        Self {
            timer: None,
            set: None,
        }
    }
}

impl<T: Timer> Alarm<T> {
    /// Waits for `deadline`.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let goes_off = match self.set {
                Some(set) if set <= deadline => set,
                Some(_) | None => deadline,
            };
            let timer = self.timer.get_or_insert_with(|| {
                self.set = Some(goes_off);
                T::new(goes_off)
            });
            if self.set != Some(goes_off) {
                timer.reset(goes_off);
                self.set = Some(goes_off);
            }
            ready!(timer.poll(cx));
            self.set = None;
            if goes_off >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        task::Waker,
        time::Duration,
    };

    use super::*;

    /// A timer that goes off when it is told what time it is.
    struct Watched(Arc<Mutex<Watch>>);

    struct Watch {
        now: Instant,
        set: Option<Instant>,
        settings: usize,
    }

    thread_local! {
        static WATCH: Arc<Mutex<Watch>> = Arc::new(Mutex::new(Watch {
            now: Instant::now(),
            set: None,
            settings: 0,
        }));
    }

    impl Timer for Watched {
        fn new(at: Instant) -> Self {
            let mut timer = Self(WATCH.with(Arc::clone));
            timer.reset(at);
            timer
        }

        fn reset(&mut self, at: Instant) {
            let mut watch = self.0.lock().unwrap();
            watch.set = Some(at);
            watch.settings += 1;
        }

        /// Ready once for each setting.
        fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
            let mut watch = self.0.lock().unwrap();
            match watch.set {
                Some(at) if at <= watch.now => {
                    watch.set = None;
                    Poll::Ready(())
                }
                Some(_) | None => Poll::Pending,
            }
        }
    }

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_deadline_that_only_moves_away_is_set_once_and_still_kept() {
        let mut alarm = Alarm::<Watched>::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let watch = WATCH.with(Arc::clone);
        let start = watch.lock().unwrap().now;

        for moved in 0..100 {
            let deadline = start + second(10) + Duration::from_millis(moved);
            assert!(alarm.poll(deadline, cx).is_pending());
        }
        assert_eq!(watch.lock().unwrap().settings, 1);

        let deadline = start + second(20);
        watch.lock().unwrap().now = start + second(10);
        assert!(alarm.poll(deadline, cx).is_pending(), "too early");
        assert_eq!(watch.lock().unwrap().set, Some(deadline));
        watch.lock().unwrap().now = deadline;
        assert!(alarm.poll(deadline, cx).is_ready());
        assert!(alarm.poll(deadline + second(1), cx).is_pending());
        watch.lock().unwrap().now = deadline + second(1);
        assert!(alarm.poll(deadline + second(1), cx).is_ready());
    }

    #[test]
    fn a_deadline_that_comes_nearer_is_set_at_once() {
        let mut alarm = Alarm::<Watched>::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let watch = WATCH.with(Arc::clone);
        let start = watch.lock().unwrap().now;
        assert!(alarm.poll(start + second(10), cx).is_pending());

        assert!(alarm.poll(start + second(1), cx).is_pending());

        assert_eq!(watch.lock().unwrap().set, Some(start + second(1)));
        watch.lock().unwrap().now = start + second(1);
        assert!(alarm.poll(start + second(1), cx).is_ready());
    }
}
