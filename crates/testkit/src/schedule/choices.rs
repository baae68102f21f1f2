//! Where the decisions of a schedule come from: a seed, a fuzzer's bytes, or the record of an earlier run.

use std::{fmt, num::ParseIntError, str::FromStr};

/// Where the decisions of a schedule come from.
pub trait Choices {
    /// A number below `bound`, which is at least 1; 0 once the source is spent.
    fn below(&mut self, bound: u32) -> u32;

    /// Whether there is nothing left: the schedule then ends calmly.
    fn is_spent(&self) -> bool;

    /// What is drawn from here on belongs to the next step of the schedule. What is drawn before the first step is the step's
    /// that sets everything up.
    ///
    /// A record keeps its steps apart, so that it still means something with some of them left out.
    fn begin_step(&mut self) {}
}

/// Decisions without end, from a seed.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The same seed gives the same decisions for ever.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Choices for Seeded {
    fn below(&mut self, bound: u32) -> u32 {
        // SplitMix64, and the upper half of its product with the bound.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let scaled = (mixed >> 32) * u64::from(bound);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    fn is_spent(&self) -> bool {
        false
    }
}

/// The decisions that a fuzzer's bytes stand for: one byte for every choice among up to 256, two or four for more.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Decisions as long as there are bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        let wanted = match bound {
            0..=1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let (taken, left) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = left;
        let number = taken
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        number % bound
    }

    fn is_spent(&self) -> bool {
        self.0.is_empty()
    }
}

/// What was decided in each step of a schedule. As text: the numbers of a step between dots, the steps between dashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What was drawn to set everything up, and then step by step.
    pub steps: Vec<Vec<u32>>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, numbers) in self.steps.iter().enumerate() {
            if step > 0 {
                f.write_str("-")?;
            }
            for (place, number) in numbers.iter().enumerate() {
                if place > 0 {
                    f.write_str(".")?;
                }
                write!(f, "{number}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Record {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let step = |step: &str| {
            let numbers = step.split('.').filter(|number| !number.is_empty());
            numbers.map(str::parse).collect::<Result<Vec<u32>, _>>()
        };
        let steps = text.split('-').map(step).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }
}

/// Passes on what another source decides, and records it.
#[derive(Debug)]
pub struct Recorder<C> {
    source: C,
    record: Record,
}

impl<C: Choices> Recorder<C> {
    /// Records what `source` decides.
    pub fn new(source: C) -> Self {
        let record = Record {
            steps: vec![Vec::new()],
        };
        Self { source, record }
    }

    /// Everything decided so far.
    pub fn into_record(self) -> Record {
        self.record
    }
}

impl<C: Choices> Choices for Recorder<C> {
    fn below(&mut self, bound: u32) -> u32 {
        let number = self.source.below(bound);
        if let Some(step) = self.record.steps.last_mut() {
            step.push(number);
        }
        number
    }

    fn is_spent(&self) -> bool {
        self.source.is_spent()
    }

    fn begin_step(&mut self) {
        self.source.begin_step();
        self.record.steps.push(Vec::new());
    }
}

/// Plays a record back. A step that asks for more than was recorded gets zeros, one that asks for less leaves the rest out.
#[derive(Clone, Debug)]
pub struct Recorded {
    record: Record,
    step: usize,
    place: usize,
}

impl Recorded {
    /// Plays `record` from its beginning.
    pub fn new(record: Record) -> Self {
        Self {
            record,
            step: 0,
            place: 0,
        }
    }
}

impl Choices for Recorded {
    fn below(&mut self, bound: u32) -> u32 {
        let step = self.record.steps.get(self.step);
        let number = step.and_then(|step| step.get(self.place)).copied();
        self.place += 1;
        number.unwrap_or(0) % bound.max(1)
    }

    fn is_spent(&self) -> bool {
        self.step + 1 >= self.record.steps.len()
    }

    fn begin_step(&mut self) {
        self.step += 1;
        self.place = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(choices: &mut dyn Choices) -> Vec<u32> {
        let mut numbers = vec![choices.below(7)];
        for bound in [1, 2, 256, 257, 1 << 20] {
            choices.begin_step();
            numbers.extend([choices.below(bound), choices.below(3)]);
        }
        numbers
    }

    #[test]
    fn a_seed_always_decides_the_same_and_stays_below_the_bound() {
        assert_eq!(drawn(&mut Seeded::new(5)), drawn(&mut Seeded::new(5)));
        assert_ne!(drawn(&mut Seeded::new(5)), drawn(&mut Seeded::new(6)));
        let mut choices = Seeded::new(9);
        let seen: std::collections::BTreeSet<u32> = (0..200).map(|_| choices.below(6)).collect();
        assert!(seen.into_iter().eq(0..6));
    }

    #[test]
    fn bytes_decide_until_they_are_spent() {
        let mut choices = Bytes::new(&[3, 1, 0, 9]);
        assert_eq!(choices.below(2), 1);
        assert_eq!(choices.below(1), 0);
        assert_eq!(choices.below(1000), 256);
        assert!(!choices.is_spent());
        assert_eq!(choices.below(8), 1);
        assert!(choices.is_spent());
        assert_eq!(choices.below(8), 0);
    }

    #[test]
    fn a_record_plays_back_what_was_recorded_also_from_its_text() {
        let mut recorder = Recorder::new(Seeded::new(4));
        let first = drawn(&mut recorder);
        let record = recorder.into_record();
        let read: Record = record.to_string().parse().unwrap();
        assert_eq!(read, record);
        let mut played = Recorded::new(read);
        assert!(!played.is_spent());
        assert_eq!(drawn(&mut played), first);
        assert!(played.is_spent());
    }

    #[test]
    fn a_step_of_a_record_can_be_left_out() {
        let mut record: Record = "4-1.2--3.1".parse().unwrap();
        assert_eq!(record.steps.len(), 4);
        record.steps.remove(1);
        let mut choices = Recorded::new(record);
        assert_eq!(choices.below(5), 4);
        choices.begin_step();
        assert_eq!(choices.below(5), 0);
        choices.begin_step();
        assert_eq!([choices.below(5), choices.below(5)], [3, 1]);
    }
}
