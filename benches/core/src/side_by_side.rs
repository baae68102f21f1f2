//! A clock for several ways to do the same thing, in turns, so that a busy moment hits all of them.

use std::time::{Duration, Instant};

/// How often everyone has a turn.
const ROUNDS: usize = 25;

/// About how long a turn takes.
const TURN: Duration = Duration::from_millis(4);

/// What one way takes for one time.
#[derive(Copy, Clone, Debug)]
pub struct Taken {
    /// The median of all turns, in nanoseconds.
    pub median: f64,
    /// The fastest turn, in nanoseconds: what it takes when nothing else runs.
    pub fastest: f64,
}

/// Times `ways` in turns.
pub fn time<const N: usize>(mut ways: [&mut dyn FnMut(); N]) -> [Taken; N] {
    let times = ways.each_mut().map(|way| repetitions(way));
    let mut taken = [(); N].map(|()| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((way, times), taken) in ways.iter_mut().zip(times).zip(&mut taken) {
            taken.push(turn(way, times));
        }
    }
    taken.map(|mut taken| {
        taken.sort_by(f64::total_cmp);
        let at = |place: usize| taken.get(place).copied().unwrap_or(f64::NAN);
        Taken {
            median: at(ROUNDS / 2),
            fastest: at(0),
        }
    })
}

/// How often `way` goes into a turn.
fn repetitions(way: &mut dyn FnMut()) -> u32 {
    let mut times = 1;
    loop {
        let start = Instant::now();
        (0..times).for_each(|_| way());
        if start.elapsed() > TURN / 2 {
            return times;
        }
        times *= 2;
    }
}

fn turn(way: &mut dyn FnMut(), times: u32) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| way());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}
