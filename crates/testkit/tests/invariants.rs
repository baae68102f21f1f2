//! The table that says where each promise is held against the machines names functions that are there, so that none is
//! renamed or removed without anybody noticing that a promise is not checked any more.

use std::{fs, path::PathBuf};

const TABLE: &str = include_str!("../src/schedule/invariants.md");

/// Below which folders the functions of each column are.
const COLUMNS: [&str; 3] = ["src", "src/schedule/worker", "../protocol/src"];

/// A function, by its modules and its name.
fn is_there(folder: &str, function: &str) -> bool {
    let (modules, name) = function.rsplit_once("::").unwrap_or(("", function));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let module = folder.join(modules.replace("::", "/"));
    let sources = [module.with_extension("rs"), module.join("mod.rs")];
    let source = sources
        .iter()
        .find_map(|path| fs::read_to_string(path).ok());
    source.is_some_and(|source| source.contains(&format!("fn {name}(")))
}

/// The cells of each row but the first, which says what must hold.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| "));
    rows.skip(1).map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        (cells.next().unwrap_or_default(), cells.collect())
    })
}

/// The functions a cell names: what stands in code, but the variants of enums.
fn functions(cell: &str) -> impl Iterator<Item = &str> {
    let code = cell.split('`').skip(1).step_by(2);
    code.filter(|name| !name.contains(char::is_uppercase))
}

#[test]
fn every_function_that_holds_a_promise_is_there() {
    let mut missing = Vec::new();
    for (promise, cells) in rows() {
        for (folder, cell) in COLUMNS.iter().zip(&cells) {
            let functions = functions(cell).filter(|name| !is_there(folder, name));
            missing.extend(functions.map(|name| format!("{promise}: {name}")));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_promise_is_held_against_the_machines_somewhere() {
    let mut count = 0;
    for (promise, cells) in rows() {
        count += 1;
        assert_eq!(cells.len(), COLUMNS.len(), "{promise}");
        let held = cells.iter().flat_map(|cell| functions(cell)).count();
        assert!(held > 0, "{promise}");
    }
    assert!(count > 15, "of {count} promises");
}

#[test]
fn a_function_that_is_gone_is_found_out() {
    assert!(is_there("src", "checks::opened"));
    assert!(is_there("src/schedule/worker", "recover"));
    assert!(!is_there("src", "checks::closed_twice"));
    assert!(!is_there("src", "nowhere::opened"));
}
