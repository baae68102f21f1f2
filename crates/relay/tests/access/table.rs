//! The tables of the documentation.

/// What the documentation says.
const DOCUMENT: &str = include_str!("../../ACCESS.md");

/// The rows of the table whose first heading is `heading`, cell by cell.
pub(crate) fn rows(heading: &str) -> Vec<Vec<String>> {
    let start = format!("| {heading} ");
    let lines = DOCUMENT
        .lines()
        .skip_while(|line| !line.starts_with(&start));
    let lines = lines.take_while(|line| line.starts_with('|')).skip(2);
    let rows: Vec<_> = lines.map(cells).collect();
    assert!(!rows.is_empty(), "there is no table of the {heading}s");
    rows
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim_matches('|');
    let cells = inner.split('|').map(|cell| cell.trim().trim_matches('`'));
    cells.map(str::to_owned).collect()
}
