//! Real time as a machine sees it.

use std::time::Instant;

use attache_protocol::time::Timestamp;

/// A monotonic clock whose origin is the moment it was made.
#[derive(Copy, Clone, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_origin(self.origin.elapsed())
    }

    /// The instant that `timestamp` stands for; `None` past the end of representable time.
    pub fn instant(&self, timestamp: Timestamp) -> Option<Instant> {
        self.origin.checked_add(timestamp.since_origin())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_passes_and_maps_back_to_instants() {
        let clock = Clock::start();
        let before = clock.now();
        let later = before.checked_add(Duration::from_secs(1)).unwrap();

        assert!(clock.now() >= before);
        assert!(clock.instant(later).unwrap() > Instant::now());
        assert_eq!(clock.instant(Timestamp::from_origin(Duration::MAX)), None);
    }
}
