//! Time as the machines see it: points on a line whose origin the driver chose.

use core::time::Duration;

/// A point in time, measured from an origin that the driver picks once (usually the moment it created
/// the machine).
///
/// Shape: a [`Duration`] since that origin, nanosecond resolution. A machine only ever compares
/// timestamps and adds delays to them, so the origin never matters, and virtual time works as well as
/// a monotonic clock.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The origin itself.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The point that lies `elapsed` after the origin.
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How far this point lies from the origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was, zero if it lies in the future.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The point `delay` later; `None` past the end of representable time, which means *never*.
    pub const fn checked_add(self, delay: Duration) -> Option<Self> {
        match self.0.checked_add(delay) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

/// One optional deadline for each variant of a machine's timer enum.
///
/// `N` is the number of variants. Of two deadlines at the same instant the variant declared first
/// comes first, so the order in which late timers fire is fixed.
#[derive(Clone, Debug)]
pub struct TimerTable<const N: usize> {
    deadlines: [Option<Timestamp>; N],
}

/// What [`TimerTable`] asks of a timer enum: a stable place in the table.
pub trait TimerIndex: Copy + 'static {
    /// Every timer, in the order of declaration.
    const ALL: &'static [Self];
    /// The place of this timer in [`Self::ALL`].
    fn index(self) -> usize;
}

impl<const N: usize> Default for TimerTable<N> {
    fn default() -> Self {
        Self {
            deadlines: [None; N],
        }
    }
}

impl<const N: usize> TimerTable<N> {
    /// Sets `timer` to fire `delay` after `now`, replacing an earlier setting. A zero delay counts as
    /// one nanosecond: what is armed at an instant never fires at that same instant.
    pub fn arm<T: TimerIndex>(&mut self, timer: T, now: Timestamp, delay: Duration) {
        let deadline = now.checked_add(delay.max(Duration::from_nanos(1)));
        self.set(timer, deadline);
    }

    /// Sets `timer` to fire at `deadline`, replacing an earlier setting. A deadline that has passed stays
    /// where it is, however often it is set.
    pub fn arm_at<T: TimerIndex>(&mut self, timer: T, deadline: Timestamp) {
        self.set(timer, Some(deadline));
    }

    /// Forgets `timer`.
    pub fn disarm<T: TimerIndex>(&mut self, timer: T) {
        self.set(timer, None);
    }

    /// When `timer` is due, if it is armed.
    pub fn deadline<T: TimerIndex>(&self, timer: T) -> Option<Timestamp> {
        self.deadlines.get(timer.index()).copied().flatten()
    }

    /// The earliest deadline and its timer.
    pub fn next<T: TimerIndex>(&self) -> Option<(Timestamp, T)> {
        let mut earliest: Option<(Timestamp, usize)> = None;
        for (place, deadline) in self.deadlines.iter().enumerate() {
            if let Some(deadline) = *deadline
                && earliest.is_none_or(|(earlier, _)| deadline < earlier)
            {
                earliest = Some((deadline, place));
            }
        }
        let (deadline, place) = earliest?;
        Some((deadline, *T::ALL.get(place)?))
    }

    /// Forgets every timer.
    pub fn clear(&mut self) {
        self.deadlines = [None; N];
    }

    fn set<T: TimerIndex>(&mut self, timer: T, deadline: Option<Timestamp>) {
        if let Some(slot) = self.deadlines.get_mut(timer.index()) {
            *slot = deadline;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    enum Clock {
        Fast,
        Slow,
    }

    impl TimerIndex for Clock {
        const ALL: &'static [Self] = &[Self::Fast, Self::Slow];
        fn index(self) -> usize {
            self as usize
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earliest_deadline_comes_first_and_none_that_is_forgotten() {
        let mut table = TimerTable::<2>::default();
        table.arm(Clock::Slow, Timestamp::ORIGIN, SECOND * 2);
        table.arm(Clock::Fast, Timestamp::ORIGIN, SECOND);
        let at = |seconds| Timestamp::from_origin(SECOND * seconds);

        assert_eq!(table.next(), Some((at(1), Clock::Fast)));
        table.disarm(Clock::Fast);
        assert_eq!(table.next(), Some((at(2), Clock::Slow)));
        table.disarm(Clock::Slow);
        assert_eq!(table.next::<Clock>(), None);
    }

    #[test]
    fn of_two_deadlines_at_one_instant_the_timer_declared_first_comes_first() {
        let mut table = TimerTable::<2>::default();
        table.arm(Clock::Slow, Timestamp::ORIGIN, SECOND);
        table.arm(Clock::Fast, Timestamp::ORIGIN, SECOND);
        let then = Timestamp::from_origin(SECOND);

        assert_eq!(table.next(), Some((then, Clock::Fast)));
        table.disarm(Clock::Fast);
        assert_eq!(table.next(), Some((then, Clock::Slow)));
    }

    #[test]
    fn a_delay_past_the_end_of_time_means_never() {
        let mut table = TimerTable::<2>::default();
        table.arm(Clock::Fast, Timestamp::from_origin(SECOND), Duration::MAX);

        assert_eq!(table.next::<Clock>(), None);
    }

    #[test]
    fn a_zero_delay_is_still_later_than_now() {
        let mut table = TimerTable::<2>::default();
        table.arm(Clock::Fast, Timestamp::ORIGIN, Duration::ZERO);

        assert!(table.deadline(Clock::Fast) > Some(Timestamp::ORIGIN));
    }
}
