//! Making the record of a failing schedule small: what is not needed for the failure goes.

use super::Record;

/// The smallest record found that still `fails`, by trying at most `tries` smaller ones.
///
/// Whole steps are left out first, in ever smaller runs; then the numbers that are left become zero, or at least smaller.
/// `fails` must say the same about the same record every time.
pub fn shrunk(record: Record, tries: usize, mut fails: impl FnMut(&Record) -> bool) -> Record {
    let mut shrinking = Shrinking {
        record,
        tries,
        fails: &mut fails,
    };
    loop {
        let before = shrinking.record.clone();
        shrinking.leave_out_steps();
        shrinking.lower_numbers();
        if shrinking.record == before || shrinking.tries == 0 {
            return shrinking.record;
        }
    }
}

struct Shrinking<'a> {
    record: Record,
    tries: usize,
    fails: &'a mut dyn FnMut(&Record) -> bool,
}

impl Shrinking<'_> {
    /// Keeps `smaller` if it still fails.
    fn attempt(&mut self, smaller: Record) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        let fails = (self.fails)(&smaller);
        if fails {
            self.record = smaller;
        }
        fails
    }

    /// The first step sets everything up, and stays.
    fn leave_out_steps(&mut self) {
        let mut run = self.record.steps.len() / 2;
        while run > 0 && self.tries > 0 {
            // From the end: what comes after the failure goes at once.
            let mut end = self.record.steps.len();
            while end > 1 && self.tries > 0 {
                let start = end.saturating_sub(run).max(1);
                let mut smaller = self.record.clone();
                smaller.steps.drain(start..end);
                self.attempt(smaller);
                end = start.min(self.record.steps.len());
            }
            run /= 2;
        }
    }

    fn lower_numbers(&mut self) {
        for step in 0..self.record.steps.len() {
            self.empty(step);
            for place in 0..self.record.steps.get(step).map_or(0, Vec::len) {
                self.lower(step, place);
            }
            self.trim(step);
        }
    }

    fn empty(&mut self, step: usize) {
        let mut smaller = self.record.clone();
        if let Some(numbers) = smaller.steps.get_mut(step)
            && !numbers.is_empty()
        {
            numbers.clear();
            self.attempt(smaller);
        }
    }

    /// Zero, or else half the way there as often as that helps.
    fn lower(&mut self, step: usize, place: usize) {
        let number = |record: &Record| record.steps.get(step)?.get(place).copied();
        let with = |record: &Record, number: u32| {
            let mut record = record.clone();
            let place = record
                .steps
                .get_mut(step)
                .and_then(|step| step.get_mut(place));
            place.map(|place| *place = number)?;
            Some(record)
        };
        for lower in [|_| 0, |number| number / 2, |number: u32| number - 1] {
            while let Some(number @ 1..) = number(&self.record) {
                let smaller = with(&self.record, lower(number));
                if !smaller.is_some_and(|smaller| self.attempt(smaller)) {
                    break;
                }
            }
        }
    }

    /// Zeros at the end of a step say nothing.
    fn trim(&mut self, step: usize) {
        if let Some(numbers) = self.record.steps.get_mut(step) {
            while numbers.last() == Some(&0) {
                numbers.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Choices, Recorded, Recorder, Seeded},
        *,
    };

    /// Fails once a step draws 3 of 10 after one that drew 70 or more of 100.
    fn fails(record: &Record) -> bool {
        let mut choices = Recorded::new(record.clone());
        let mut seen = false;
        while !choices.is_spent() {
            choices.begin_step();
            match choices.below(3) {
                1 => seen |= choices.below(100) >= 70,
                2 if seen && choices.below(10) == 3 => return true,
                _ => {}
            }
        }
        false
    }

    fn failing() -> Record {
        let record = |seed| {
            let mut recorder = Recorder::new(Seeded::new(seed));
            for _ in 0..400 {
                recorder.begin_step();
                let bound = [1, 100, 10][recorder.below(3) as usize];
                recorder.below(bound);
            }
            recorder.into_record()
        };
        (0..100).map(record).find(fails).unwrap()
    }

    #[test]
    fn what_is_not_needed_goes() {
        let small = shrunk(failing(), 10_000, fails);
        assert_eq!(small.to_string(), "-1.70-2.3");
    }

    #[test]
    fn the_effort_is_bounded() {
        let record = failing();
        let mut tries = 0;
        let small = shrunk(record.clone(), 10, |record| {
            tries += 1;
            fails(record)
        });
        assert!(fails(&small));
        assert!(small.steps.len() < record.steps.len());
        assert_eq!(tries, 10);
    }
}
