//! The adapter keeps the machines' promises on real sockets, whatever happens to them.
//!
//! A program of its own: it prints a table, and counts what the process holds. Words after `--` pick
//! the trials whose names contain all of them; `--seed=7` makes faults strike at other places.

mod adapter;

use std::{env, process::ExitCode, time::Instant};

use attache_testkit::conformance::{
    Reach, Report, Side, Trial, connect_and_close, lone_trials, paired_trials, run, run_one_by_one,
    stormy_trials,
};

use adapter::Blocking;

/// Connects and closes so often.
const CYCLES: usize = 1000;

/// Long rows of faults for each side.
const STORMS: u64 = 50;

fn main() -> ExitCode {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let seed = env::args().find_map(|argument| argument.strip_prefix("--seed=")?.parse().ok());
    let seed: u64 = seed.unwrap_or_default();
    let picked = |mut trials: Vec<Trial>| -> Vec<Trial> {
        for trial in &mut trials {
            trial.seed ^= seed << 32;
        }
        let is_picked = |trial: &Trial| {
            let name = trial.to_string();
            words.iter().all(|word| name.contains(word.as_str()))
        };
        trials.into_iter().filter(is_picked).collect()
    };
    let adapter = Blocking;
    let began = Instant::now();
    let (links, calls): (Vec<_>, Vec<_>) = picked(lone_trials(&Side::ALL))
        .into_iter()
        .partition(|trial| trial.reach == Reach::Link);
    let report = run_one_by_one(&adapter, &links);
    println!("one by one: {:.1?}", began.elapsed());

    let began = Instant::now();
    let pairs = picked(paired_trials(&Side::ALL));
    let storms = picked(stormy_trials(&Side::ALL, STORMS));
    let rest = [calls, pairs, storms].concat();
    let report = report.with(run(&adapter, &rest));
    println!("many at a time: {:.1?}", began.elapsed());
    let mut is_green = report.is_green();

    if words.is_empty() {
        for side in Side::ALL {
            let began = Instant::now();
            let cycled = connect_and_close(&adapter, side, CYCLES);
            println!(
                "{CYCLES} cycles, {side}, {:.1?}: {cycled:?}",
                began.elapsed()
            );
            is_green &= cycled.is_ok();
        }
    }
    println!("{}\n{report}", Report::table(&[&report]));
    if is_green {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
