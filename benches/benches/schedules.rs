//! What a schedule of ten virtual minutes costs, its own checks included: how many of them fit into a coffee break.

use attache_testkit::schedule::{self, Breach, Choices, Seeded, Span, Tally};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

type Kind = fn(&mut dyn Choices, &Span) -> Result<Tally, Breach>;

/// The next schedule of the kind, each time with a seed of its own.
fn each(bencher: Bencher<'_, '_>, kind: Kind) {
    let span = Span::default();
    let mut seeds = 0..;
    bencher
        .with_inputs(|| Seeded::new(seeds.next().unwrap_or_default()))
        .bench_local_values(|mut seeded| match kind(black_box(&mut seeded), &span) {
            Ok(tally) => tally,
            Err(breach) => panic!("{}", breach.what),
        });
}

#[divan::bench(sample_count = 1000)]
fn viewer(bencher: Bencher<'_, '_>) {
    each(bencher, schedule::viewer);
}

#[divan::bench(sample_count = 1000)]
fn worker(bencher: Bencher<'_, '_>) {
    each(bencher, schedule::worker);
}

#[divan::bench(sample_count = 1000)]
fn both(bencher: Bencher<'_, '_>) {
    each(bencher, schedule::both);
}
