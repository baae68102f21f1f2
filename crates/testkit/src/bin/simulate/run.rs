//! Schedules over seeds, on every core.

use std::{
    str::FromStr,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use attache_testkit::schedule::{
    self, Breach, Choices, Record, Recorded, Recorder, Seeded, Span, Tally,
};

use crate::{
    arguments::Arguments,
    progress::{Progress, per_second},
};

/// So many smaller records are tried at most.
const TRIES: usize = 4000;

/// Whose schedule it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Viewer,
    Worker,
    Both,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Viewer, Self::Worker, Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Worker => "worker",
            Self::Both => "both",
        }
    }

    fn run(self, choices: &mut dyn Choices, span: &Span) -> Result<Tally, Breach> {
        match self {
            Self::Viewer => schedule::viewer(choices, span),
            Self::Worker => schedule::worker(choices, span),
            Self::Both => schedule::both(choices, span),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("{name:?} is neither an option nor a kind of schedule"))
    }
}

/// Runs one schedule from its record. Whether every promise was kept.
pub(crate) fn replay(kind: Kind, record: &Record, span: &Span) -> bool {
    match kind.run(&mut Recorded::new(record.clone()), span) {
        Ok(tally) => {
            println!("{}: kept\n{}", kind.name(), counts(&tally));
            true
        }
        Err(breach) => {
            println!("{}: {breach}", kind.name());
            false
        }
    }
}

/// Runs schedules over seeds, until one fails. Whether every promise was kept.
pub(crate) fn seeds(kind: Kind, order: &Arguments) -> bool {
    let next = AtomicU64::new(order.from);
    let end = order.from.saturating_add(order.seeds);
    let stop = AtomicBool::new(false);
    let mut progress = Progress::new(kind.name(), order.seeds);
    let (mut total, mut done, mut failed) = (Tally::default(), 0, None::<u64>);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..order.threads.max(1) {
            let sender = sender.clone();
            let (next, stop, span) = (&next, &stop, &order.span);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let result = kind.run(&mut Seeded::new(seed), span);
                    if sender.send((seed, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (seed, result) in results {
            if let Ok(tally) = result {
                done += 1;
                total.add(&tally);
            } else {
                stop.store(true, Ordering::Relaxed);
                failed = Some(failed.map_or(seed, |first| first.min(seed)));
            }
            progress.show(done);
        }
    });
    progress.clear();
    let took = progress.elapsed();
    println!(
        "{}: {done} schedules in {:.1} s, {} a second\n{}",
        kind.name(),
        took.as_secs_f64(),
        per_second(done, took),
        counts(&total)
    );
    match failed {
        None => {
            println!("  lost 0, duplicated 0, reordered 0: every promise was kept");
            true
        }
        Some(seed) => {
            explain(kind, seed, &order.span);
            false
        }
    }
}

/// Makes a failing schedule small, and shows it.
fn explain(kind: Kind, seed: u64, span: &Span) {
    let mut recorder = Recorder::new(Seeded::new(seed));
    let first = kind.run(&mut recorder, span);
    let name = kind.name();
    let Err(first) = first else {
        println!("{name}: seed {seed} fails, but not when it is run again");
        return;
    };
    println!(
        "{name}: seed {seed} fails: {}\nmaking it small ...",
        first.what
    );
    let record = schedule::shrunk(recorder.into_record(), TRIES, |record| {
        let again = kind.run(&mut Recorded::new(record.clone()), span);
        again.is_err_and(|breach| subject(&breach.what) == subject(&first.what))
    });
    match kind.run(&mut Recorded::new(record.clone()), span) {
        Err(breach) => println!("{breach}"),
        Ok(_) => println!("{first}"),
    }
    println!("again with: simulate {name} --replay {record}");
}

/// What a breach is about, whatever the ids and times in it.
fn subject(what: &str) -> String {
    what.chars()
        .filter(|letter| !letter.is_ascii_hexdigit())
        .collect()
}

fn counts(tally: &Tally) -> String {
    let Tally {
        steps,
        faults,
        connections,
        delivered,
        sent,
        prompts,
        worst_recovery,
        ..
    } = tally;
    format!(
        "  {steps} steps, {faults} faults, {connections} connections, {delivered} messages delivered, {sent} sent, \
         {prompts} prompts\n  worst recovery {:.3} s",
        worst_recovery.as_secs_f64()
    )
}
