//! The suite as a program.

use std::{
    env,
    process::{self, ExitCode},
    thread,
    time::{Duration, Instant},
};

use super::{
    adapter::Adapter,
    proxy::Reach,
    report::Report,
    run::{connect_and_close, run, run_one_by_one},
    trial::{Side, Trial, lone_trials, paired_trials, stormy_trials},
};

/// Long rows of faults for each side.
const STORMS: u64 = 50;

/// Connects and closes so often.
const CYCLES: usize = 1000;

/// An adapter that hangs is not waited for longer than this.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs everything there is for these sides, prints a table and what went wrong, and says whether all of
/// it is green: the whole of a test without a harness. It needs the process for itself, because it counts
/// what that holds.
///
/// Words among the program's arguments pick the trials whose names contain all of them; `--seed=7` makes
/// faults strike at other places.
pub fn program(adapter: &dyn Adapter, sides: &[Side]) -> ExitCode {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("the adapter hangs: the suite takes longer than {LIMIT:?}");
        process::exit(1);
    });
    let choice = Choice::of(env::args().skip(1));
    let (links, calls): (Vec<_>, Vec<_>) = choice
        .pick(lone_trials(sides))
        .into_iter()
        .partition(|trial| trial.reach == Reach::Link);
    let pairs = choice.pick(paired_trials(sides));
    let storms = choice.pick(stormy_trials(sides, STORMS));

    let began = Instant::now();
    let report = run_one_by_one(adapter, &links);
    println!("one by one: {:.1?}", began.elapsed());
    let began = Instant::now();
    let report = report.with(run(adapter, &[calls, pairs, storms].concat()));
    println!("many at a time: {:.1?}", began.elapsed());
    let mut is_green = report.is_green();

    if choice.words.is_empty() {
        for side in sides {
            let began = Instant::now();
            let (cycled, mark) = match connect_and_close(adapter, *side, CYCLES) {
                Ok(()) => (true, "nothing is left".to_owned()),
                Err(what) => (false, what),
            };
            println!("{CYCLES} cycles, {side}, {:.1?}: {mark}", began.elapsed());
            is_green &= cycled;
        }
    }
    println!("{}\n{report}", Report::table(&[&report]));
    if is_green && report.trials() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Which trials are wanted.
struct Choice {
    words: Vec<String>,
    seed: u64,
}

impl Choice {
    fn of(arguments: impl Iterator<Item = String>) -> Self {
        let (options, words): (Vec<_>, Vec<_>) =
            arguments.partition(|argument| argument.starts_with('-'));
        let mut seeds = options.iter().filter_map(|option| {
            let seed = option.strip_prefix("--seed=")?;
            seed.parse().ok()
        });
        Self {
            words,
            seed: seeds.next().unwrap_or_default(),
        }
    }

    fn pick(&self, mut trials: Vec<Trial>) -> Vec<Trial> {
        trials.retain(|trial| {
            let name = trial.to_string();
            self.words.iter().all(|word| name.contains(word.as_str()))
        });
        for trial in &mut trials {
            trial.seed ^= self.seed << 32;
        }
        trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_pick_trials_and_a_seed_moves_their_faults() {
        let arguments = ["--quiet", "worker", "refused", "--seed=7"];
        let choice = Choice::of(arguments.into_iter().map(str::to_owned));

        let picked = choice.pick(lone_trials(&Side::ALL));

        let names: Vec<String> = picked.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "worker: refused",
                "worker: refused (calls as well)",
                "worker: refused (closed meanwhile)",
                "worker: refused (calls as well, closed meanwhile)",
            ]
        );
        assert!(picked.iter().all(|trial| trial.seed >> 32 == 7));
    }
}
