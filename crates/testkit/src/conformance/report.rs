//! How trials went.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use super::{
    fault::Fault,
    leaks::Census,
    trial::{Failure, Trial},
};

/// How an adapter fared.
#[derive(Clone, Debug)]
pub struct Report {
    adapter: String,
    outcomes: Vec<Outcome>,
    before: Census,
    left: Option<String>,
}

/// How one trial went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    trial: Trial,
    failure: Option<String>,
    /// What went wrong the first time, when the second time went well.
    wavered: Option<String>,
    took: Duration,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    green: usize,
    all: usize,
    longest: Duration,
}

impl Report {
    pub(super) fn new(
        adapter: &str,
        outcomes: Vec<Outcome>,
        before: Census,
        left: Option<String>,
    ) -> Self {
        Self {
            adapter: adapter.to_owned(),
            outcomes,
            before,
            left,
        }
    }

    /// This and another report of the same adapter, as one.
    pub fn with(mut self, other: Self) -> Self {
        self.outcomes.extend(other.outcomes);
        self.left = self.left.or(other.left);
        self
    }

    /// Whether every trial went as it must, and nothing is left.
    pub fn is_green(&self) -> bool {
        self.left.is_none() && self.failures().is_empty()
    }

    /// How many trials there were.
    pub fn trials(&self) -> usize {
        self.outcomes.len()
    }

    /// What went wrong.
    pub fn failures(&self) -> Vec<Failure> {
        self.outcomes
            .iter()
            .filter_map(|outcome| {
                Some(Failure {
                    trial: outcome.trial.clone(),
                    what: outcome.failure.clone()?,
                })
            })
            .collect()
    }

    /// What is left of the adapter when everything is closed, if anything is.
    pub fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// A table of scenarios and adapters: how many trials of a kind are green, and how long the longest
    /// one took. A row holds a fault alone, or first in a pair with every other one.
    pub fn table(reports: &[&Self]) -> String {
        let mut rows: BTreeMap<(usize, String), Vec<Cell>> = BTreeMap::new();
        for (column, report) in reports.iter().enumerate() {
            for outcome in &report.outcomes {
                let cells = rows
                    .entry(outcome.row())
                    .or_insert_with(|| vec![Cell::default(); reports.len()]);
                if let Some(cell) = cells.get_mut(column) {
                    cell.add(outcome);
                }
            }
        }
        let width = rows.keys().map(|(_, row)| row.len()).max().unwrap_or(0);
        let mut table = format!("{:<width$}", "scenario");
        for report in reports {
            let _ = write!(table, " | {:>20}", report.adapter);
        }
        for ((_, row), cells) in &rows {
            let _ = write!(table, "\n{row:<width$}");
            for cell in cells {
                let _ = write!(table, " | {:>20}", cell.to_string());
            }
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.failures();
        for failure in &failures {
            writeln!(f, "{}: {failure}", self.adapter)?;
        }
        for outcome in &self.outcomes {
            if let Some(what) = &outcome.wavered {
                let (adapter, trial) = (&self.adapter, &outcome.trial);
                writeln!(
                    f,
                    "{adapter}: {trial} went well only the second time: {what}"
                )?;
            }
        }
        if let Some(left) = &self.left {
            writeln!(f, "{}: something is left: {left}", self.adapter)?;
        }
        let green = self.outcomes.len() - failures.len();
        write!(
            f,
            "{}: {green} of {} trials are green",
            self.adapter,
            self.outcomes.len()
        )?;
        if !self.before.is_complete() {
            f.write_str("; files and threads were not counted: there is no /proc here")?;
        }
        Ok(())
    }
}

impl Outcome {
    pub(super) fn new(trial: Trial, failure: Option<String>, took: Duration) -> Self {
        Self {
            trial,
            failure,
            wavered: None,
            took,
        }
    }

    /// It failed the first time it was run.
    pub(super) fn wavered(&mut self, what: String) {
        if self.failure.is_none() {
            self.wavered = Some(what);
        }
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    /// The row it belongs to, after where that stands.
    fn row(&self) -> (usize, String) {
        let Trial {
            side,
            faults,
            reach,
            ..
        } = &self.trial;
        let alone = Trial::new(*side, faults.get(..1).unwrap_or_default(), *reach, 0);
        let place = faults.first().map_or(0, |first| {
            1 + Fault::ALL
                .iter()
                .position(|fault| fault == first)
                .unwrap_or_default()
        });
        let side_place = *side as usize * 10_000;
        match faults.len() {
            0 | 1 => {
                let alone = Trial {
                    is_nameless: self.trial.is_nameless,
                    ..alone
                };
                (side_place + 2 * place, alone.to_string())
            }
            2 => {
                let first = Trial::new(
                    *side,
                    faults.get(..1).unwrap_or_default(),
                    super::Reach::Link,
                    0,
                );
                (side_place + 1000 + place, format!("{first}, then any"))
            }
            count => (side_place + 2000, format!("{side}: any {count} in a row")),
        }
    }
}

impl Cell {
    fn add(&mut self, outcome: &Outcome) {
        self.all += 1;
        self.green += usize::from(outcome.failure.is_none());
        self.longest = self.longest.max(outcome.took);
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all == 0 {
            return f.write_str("-");
        }
        let longest = self.longest.as_secs_f32();
        write!(f, "{}/{} ≤{longest:.1} s", self.green, self.all)
    }
}
