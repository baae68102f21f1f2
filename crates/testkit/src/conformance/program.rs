//! The suite as a program.

use std::{
    env, io,
    process::{self, ExitCode},
    thread,
    time::{Duration, Instant},
};

use super::{
    adapter::Adapter,
    everyday::closing_trials,
    fault::Way,
    folder::Folder,
    proxy::Reach,
    report::Report,
    run::{connect_and_close, run, run_one_by_one},
    stop::{be_the_server, stop_the_server},
    table::{Column, Table},
    trial::{Side, Trial, lone_trials, paired_trials, stormy_trials, trials_over},
};

/// Long rows of faults for each side.
const STORMS: u64 = 50;

/// Connects and closes so often.
const CYCLES: usize = 1000;

/// No adapter is waited for longer than this.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs everything there is for these sides with each adapter, prints a table and what went wrong, and says
/// whether all of it is green: the whole of a test without a harness. It needs the process for itself,
/// because it counts what that holds.
///
/// Words among the program's arguments pick the trials whose names contain all of them; `--seed=7` makes
/// faults strike at other places. When `ATTACHE_CONFORMANCE_TABLE` names a folder, the columns are kept
/// there, and the table shows all that programs with the same suite have left there.
pub fn program(adapters: &[&dyn Adapter], sides: &[Side]) -> ExitCode {
    if let Some(done) = be_the_server() {
        return done;
    }
    let limit = LIMIT * u32::try_from(adapters.len()).unwrap_or(u32::MAX);
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("the adapter hangs: the suite takes longer than {limit:?}");
        process::exit(1);
    });
    let choice = Choice::of(env::args().skip(1));
    let (mut is_green, mut is_empty) = (true, true);
    let mut reports = Vec::new();
    for &adapter in adapters {
        let report = examine(adapter, sides, &choice);
        is_green &= report.is_green();
        is_empty &= report.trials() == 0;
        for side in sides.iter().filter(|side| choice.picks(&stopping(**side))) {
            is_green &= stop(adapter, *side);
            is_empty = false;
        }
        if choice.words.is_empty() {
            is_green &= cycles(adapter, sides);
        }
        reports.push(report);
    }
    match columns(&reports, &choice) {
        Ok(columns) => println!("{}", Table(&columns)),
        Err(error) => {
            println!("the table can't be kept; is its folder there? {error}");
            is_green = false;
        }
    }
    for report in &reports {
        println!("{report}");
    }
    if is_green && !is_empty {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What trials there are: alone, in pairs, in long rows, over other ways, and with faults that stay.
fn suite(sides: &[Side], ways: &[Way], choice: &Choice) -> [Vec<Trial>; 5] {
    let trials = [
        lone_trials(sides),
        paired_trials(sides),
        stormy_trials(sides, STORMS),
        trials_over(ways, sides),
        closing_trials(sides),
    ];
    trials.map(|trials| choice.pick(trials))
}

fn examine(adapter: &dyn Adapter, sides: &[Side], choice: &Choice) -> Report {
    let [alone, pairs, storms, covered, closings] = suite(sides, adapter.ways(), choice);
    let (links, calls): (Vec<_>, Vec<_>) = alone
        .into_iter()
        .partition(|trial| trial.reach == Reach::Link);

    let began = Instant::now();
    let report = run_one_by_one(adapter, &links);
    println!("one by one: {:.1?}", began.elapsed());
    let began = Instant::now();
    let report = report.with(run(adapter, &[calls, pairs, storms, covered].concat()));
    println!("many at a time: {:.1?}", began.elapsed());
    let began = Instant::now();
    let report = report.with(run(adapter, &closings));
    println!("closed with everyday budgets: {:.1?}", began.elapsed());
    report
}

fn stopping(side: Side) -> String {
    format!("{side}: server's process stopped")
}

fn stop(adapter: &dyn Adapter, side: Side) -> bool {
    let (lived, mark) = match stop_the_server(adapter, side) {
        Ok(told) => (true, told),
        Err(what) => (false, format!("failed: {what}")),
    };
    println!("{}: {}: {mark}", adapter.name(), stopping(side));
    lived
}

fn cycles(adapter: &dyn Adapter, sides: &[Side]) -> bool {
    let mut is_green = true;
    for side in sides {
        let began = Instant::now();
        let (cycled, mark) = match connect_and_close(adapter, *side, CYCLES) {
            Ok(()) => (true, "nothing is left".to_owned()),
            Err(what) => (false, what),
        };
        println!("{CYCLES} cycles, {side}, {:.1?}: {mark}", began.elapsed());
        is_green &= cycled;
    }
    is_green
}

/// What the table shows: these, and those of other programs.
fn columns(reports: &[Report], choice: &Choice) -> io::Result<Vec<Column>> {
    let own: Vec<Column> = reports.iter().map(Report::column).collect();
    let Some(folder) = Folder::named(&suite(&Side::ALL, &Way::BESIDES_PLAIN, choice).concat())
    else {
        return Ok(own);
    };
    for column in &own {
        folder.keep(column)?;
    }
    folder.columns()
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

    fn picks(&self, name: &str) -> bool {
        self.words.iter().all(|word| name.contains(word.as_str()))
    }

    fn pick(&self, mut trials: Vec<Trial>) -> Vec<Trial> {
        trials.retain(|trial| self.picks(&trial.to_string()));
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
