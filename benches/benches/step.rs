//! What a message costs: a whole step of a viewer, and next to it what of that is finding out what it is.

use attache_benches::step::{Attached, Said};
use attache_protocol::{
    ByteString,
    frame::{Frame, split},
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Enough to be new to a viewer that remembers the last 4096.
const MESSAGES: usize = 10_000;

/// Handed in, and everything that comes of it taken out.
#[divan::bench(args = Said::ALL, sample_size = 1000)]
fn step(bencher: Bencher<'_, '_>, said: Said) {
    let mut attached = Attached::live();
    let mut messages = (0..MESSAGES)
        .map(|number| said.message(number))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    bencher
        .with_inputs(|| messages.next().unwrap_or_default())
        .bench_local_values(|message| attached.step(black_box(message)));
}

/// Its frames classified and dropped.
#[divan::bench(args = Said::ALL, sample_size = 1000)]
fn classify(bencher: Bencher<'_, '_>, said: Said) {
    let mut messages = (0..MESSAGES)
        .map(|number| said.message(number))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    // A prompt comes with its withdrawal.
    let frames = |message: ByteString| {
        let mut frames = split(&message);
        (frames.next().unwrap_or_default(), frames.next())
    };
    bencher
        .with_inputs(|| frames(messages.next().unwrap_or_default()))
        .bench_local_values(|(first, second)| {
            let is_one = |text| Frame::classify(text).is_ok();
            is_one(black_box(first)) & second.is_none_or(is_one)
        });
}
