//! The table of scenarios and adapters.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How one adapter fared, row by row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Column {
    pub(super) adapter: String,
    rows: Vec<(Scenario, Cell)>,
}

/// A row's name, after where the row stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct Scenario {
    pub(super) place: usize,
    pub(super) name: String,
}

/// How many trials of a kind are green, and how long the longest one took.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Cell {
    green: usize,
    all: usize,
    longest: Duration,
}

/// Columns side by side, in their order.
pub(super) struct Table<'a>(pub(super) &'a [Column]);

impl Column {
    pub(super) fn new(adapter: &str, cells: BTreeMap<Scenario, Cell>) -> Self {
        Self {
            adapter: adapter.to_owned(),
            rows: cells.into_iter().collect(),
        }
    }

    fn width(&self) -> usize {
        let cells = self.rows.iter().map(|(_, cell)| cell.to_string());
        let widths = cells.map(|cell| cell.chars().count());
        widths.fold(self.adapter.chars().count(), usize::max)
    }
}

impl Cell {
    pub(super) fn add(&mut self, is_green: bool, took: Duration) {
        self.all += 1;
        self.green += usize::from(is_green);
        self.longest = self.longest.max(took);
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.longest.as_secs_f32();
        write!(f, "{}/{} ≤{longest:.1} s", self.green, self.all)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: BTreeMap<&Scenario, String> = BTreeMap::new();
        for (scenario, _) in self.0.iter().flat_map(|column| &column.rows) {
            rows.entry(scenario).or_default();
        }
        let mut head = String::new();
        for column in self.0 {
            let width = column.width();
            write!(head, " | {:>width$}", column.adapter)?;
            let cells: BTreeMap<_, _> = column.rows.iter().map(|(row, cell)| (row, cell)).collect();
            for (scenario, row) in &mut rows {
                let cell = cells.get(*scenario);
                let cell = cell.map_or_else(|| "-".to_owned(), ToString::to_string);
                write!(row, " | {cell:>width$}")?;
            }
        }
        let names = rows.keys().map(|scenario| scenario.name.chars().count());
        let width = names.fold("scenario".len(), usize::max);
        write!(f, "{:<width$}{head}", "scenario")?;
        for (scenario, row) in &rows {
            write!(f, "\n{:<width$}{row}", scenario.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(adapter: &str, rows: &[(usize, &str, u64)]) -> Column {
        let mut cells: BTreeMap<Scenario, Cell> = BTreeMap::new();
        for &(place, name, milliseconds) in rows {
            let name = name.to_owned();
            let cell = cells.entry(Scenario { place, name }).or_default();
            cell.add(milliseconds < 1000, Duration::from_millis(milliseconds));
        }
        Column::new(adapter, cells)
    }

    #[test]
    fn adapters_stand_side_by_side_and_what_one_did_not_do_is_a_dash() {
        let columns = [
            column(
                "one",
                &[(2, "viewer: late", 100), (1, "worker: early", 1200)],
            ),
            column(
                "the other one",
                &[(1, "worker: early", 40), (1, "worker: early", 20)],
            ),
        ];

        let table = Table(&columns).to_string();

        let expected = "\
scenario      |        one | the other one
worker: early | 0/1 ≤1.2 s |    2/2 ≤0.0 s
viewer: late  | 1/1 ≤0.1 s |             -";
        assert_eq!(table, expected);
    }
}
