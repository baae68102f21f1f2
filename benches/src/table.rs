//! Figures beside what they should be.

use std::{fmt, fs, io, path::Path};

use serde::Serialize;

/// Figures, in the order in which they were measured.
#[derive(Debug, Default, Serialize)]
pub struct Table {
    rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// How much it was.
    pub figure: f64,
    /// In what.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Copy, Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// So much, or less.
    AtMost(f64),
    /// So much, or more.
    AtLeast(f64),
}

impl Goal {
    fn is_met_by(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

impl Table {
    /// Adds a figure.
    pub fn add(&mut self, what: impl Into<String>, figure: f64, unit: &'static str) {
        self.push(what.into(), figure, unit, None);
    }

    /// Adds a figure that should be something.
    pub fn add_with_goal(
        &mut self,
        what: impl Into<String>,
        figure: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        self.push(what.into(), figure, unit, Some(goal));
    }

    fn push(&mut self, what: String, figure: f64, unit: &'static str, goal: Option<Goal>) {
        let row = Row {
            what,
            figure,
            unit,
            goal,
        };
        eprintln!("  {row}");
        self.rows.push(row);
    }

    /// Writes all of it to `path` as JSON.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.what, digits(self.figure), self.unit)
    }
}

/// As a Markdown table.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.what.chars().count());
        let width = width.max().unwrap_or_default().max(4);
        writeln!(
            f,
            "| {:width$} | {:>16} | {:>9} |      |",
            "what", "figure", "goal"
        )?;
        writeln!(f, "|-{:-<width$}-|-{:->16}:|-{:->9}:|------|", "", "", "")?;
        for row in &self.rows {
            let figure = format!("{} {}", digits(row.figure), row.unit);
            let goal = row.goal.map_or_else(String::new, |goal| goal.to_string());
            let met = match row.goal.map(|goal| goal.is_met_by(row.figure)) {
                Some(true) => "ok",
                Some(false) => "miss",
                None => "",
            };
            writeln!(
                f,
                "| {:width$} | {figure:>16} | {goal:>9} | {met:4} |",
                row.what
            )?;
        }
        Ok(())
    }
}

/// Three digits that count.
fn digits(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{figure:.3}"),
        size if size < 10.0 => format!("{figure:.2}"),
        size if size < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_missed_is_shown_as_missed() {
        let mut table = Table::default();
        table.add_with_goal("memory", 17.25, "KiB", Goal::AtMost(16.0));
        table.add_with_goal("share", 71.0, "%", Goal::AtLeast(70.0));
        table.add("time", 0.1234, "s");
        let lines: Vec<_> = table.to_string().lines().map(str::to_owned).collect();
        let [_, _, memory, share, time] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert!(
            memory.contains("17.2 KiB") && memory.contains("≤ 16 | miss |"),
            "{memory}"
        );
        assert!(share.contains("≥ 70 | ok "), "{share}");
        assert!(time.contains("0.123 s"), "{time}");
    }
}
