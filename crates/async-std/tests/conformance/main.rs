//! The adapter keeps the machines' promises on real sockets, whatever happens to them: under async-std
//! and under smol.
//!
//! A program of its own: it prints a table, and counts what the process holds. Words after `--` pick
//! the trials whose names contain all of them.

mod adapter;

use std::{env, process::ExitCode, time::Instant};

use attache_testkit::conformance::{
    Reach, Report, Side, Trial, connect_and_close, lone_trials, paired_trials, run, run_one_by_one,
    stormy_trials,
};

use adapter::{Host, Runtime};

/// Connects and closes so often.
const CYCLES: usize = 1000;

/// Long rows of faults for each side.
const STORMS: u64 = 50;

fn main() -> ExitCode {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    // Both before either counts: their threads stay.
    let hosts = [Runtime::AsyncStd, Runtime::Smol].map(Host::new);
    let mut reports = Vec::new();
    let mut is_green = true;
    for host in &hosts {
        let began = Instant::now();
        let (links, calls): (Vec<_>, Vec<_>) = picked(lone_trials(&Side::ALL), &words)
            .into_iter()
            .partition(|trial| trial.reach == Reach::Link);
        let report = run_one_by_one(host, &links);
        println!("one by one: {:.1?}", began.elapsed());
        let began = Instant::now();
        let pairs = picked(paired_trials(&Side::ALL), &words);
        let storms = picked(stormy_trials(&Side::ALL, STORMS), &words);
        let report = report.with(run(host, &[calls, pairs, storms].concat()));
        println!("many at a time: {:.1?}", began.elapsed());
        is_green &= report.is_green();
        reports.push(report);
        if words.is_empty() {
            is_green &= cycles(host);
        }
    }
    println!("{}", Report::table(&reports.iter().collect::<Vec<_>>()));
    for report in &reports {
        println!("{report}");
    }
    if is_green {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn picked(trials: Vec<Trial>, words: &[String]) -> Vec<Trial> {
    let is_picked = |trial: &Trial| {
        let name = trial.to_string();
        words.iter().all(|word| name.contains(word.as_str()))
    };
    trials.into_iter().filter(is_picked).collect()
}

fn cycles(host: &Host) -> bool {
    let mut is_green = true;
    for side in Side::ALL {
        let began = Instant::now();
        let cycled = connect_and_close(host, side, CYCLES);
        let took = began.elapsed();
        println!("{CYCLES} cycles, {side}, {took:.1?}: {cycled:?}");
        is_green &= cycled.is_ok();
    }
    is_green
}
