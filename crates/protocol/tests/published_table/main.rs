//! The tables of outcomes and verdicts: as the documentation shows them, so the machines behave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

mod answers;
mod attempt;
mod closings;
mod reading;
mod refusals;
mod work;

use attache_protocol::policy::TABLE;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_shows_the_table_row_by_row() {
    let shown: Vec<&str> = README
        .lines()
        .skip_while(|line| *line != "| outcome | verdict |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let published: Vec<String> = TABLE
        .iter()
        .map(|row| format!("| {} | {} |", row.outcome, row.verdict))
        .collect();
    assert_eq!(shown, published);
}
