//! The adapter keeps the machines' promises on real sockets, whatever happens to them: under async-std
//! and under smol.
//!
//! A program of its own: it prints a table, and counts what the process holds. Words after `--` pick
//! the trials whose names contain all of them.

mod adapter;

use std::{env, process::ExitCode, time::Instant};

use attache_testkit::conformance::{
    Report, Side, Trial, connect_and_close, lone_trials, paired_trials, run, run_one_by_one,
};

use adapter::{Host, Runtime};

/// Connects and closes so often.
const CYCLES: usize = 1000;

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
        let report = run_one_by_one(host, &picked(lone_trials(&Side::ALL), &words));
        println!("alone: {:.1?}", began.elapsed());
        let began = Instant::now();
        let report = report.with(run(host, &picked(paired_trials(&Side::ALL), &words)));
        println!("in pairs: {:.1?}", began.elapsed());
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
    for side in [Side::ViewerOverSocket, Side::ViewerOverStream] {
        let began = Instant::now();
        let cycled = connect_and_close(host, side, CYCLES);
        let took = began.elapsed();
        println!("{CYCLES} cycles, {side}, {took:.1?}: {cycled:?}");
        is_green &= cycled.is_ok();
    }
    is_green
}
