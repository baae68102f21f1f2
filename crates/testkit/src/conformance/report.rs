//! How trials went.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    fault::Fault,
    leaks::Census,
    table::{Cell, Column, Scenario, Table},
    trial::{Closing, Failure, Trial},
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
    /// What could not be judged, and why.
    excused: Option<String>,
    took: Duration,
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
        let columns: Vec<_> = reports.iter().map(|report| report.column()).collect();
        Table(&columns).to_string()
    }

    pub(super) fn column(&self) -> Column {
        let mut cells: BTreeMap<Scenario, Cell> = BTreeMap::new();
        for outcome in &self.outcomes {
            let cell = cells.entry(outcome.row()).or_default();
            cell.add(outcome.failure.is_none(), outcome.took);
        }
        Column::new(&self.adapter, cells)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.failures();
        for failure in &failures {
            writeln!(f, "{}: {failure}", self.adapter)?;
        }
        for outcome in &self.outcomes {
            if let Some(excused) = &outcome.excused {
                let (adapter, trial) = (&self.adapter, &outcome.trial);
                writeln!(f, "{adapter}: {trial}: not judged, {excused}")?;
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
    /// `told`: what could not be judged if there was anything, or what went wrong.
    pub(super) fn new(trial: Trial, told: Result<Option<String>, String>, took: Duration) -> Self {
        let (excused, failure) = match told {
            Ok(excused) => (excused, None),
            Err(failure) => (None, Some(failure)),
        };
        Self {
            trial,
            failure,
            excused,
            took,
        }
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    /// The row it belongs to, after where that stands.
    fn row(&self) -> Scenario {
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
        if self.trial.closing == Closing::Unhealed {
            let name = format!("{side}: any for good, closed with everyday budgets");
            let place = side_place + 3000;
            return Scenario { place, name };
        }
        let (place, name) = match faults.len() {
            0 | 1 => {
                let alone = Trial {
                    is_nameless: self.trial.is_nameless,
                    way: self.trial.way,
                    ..alone
                };
                let way_place = self.trial.way as usize * 3000;
                (side_place + way_place + 2 * place, alone.to_string())
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
        };
        Scenario { place, name }
    }
}
