//! Every state a machine can get into, breadth first: from each one every move of a small alphabet, each new
//! state held against the promises.
//!
//! Two states are one when their canonical texts are equal (see [`canonical`]). The first breach ends the
//! search, so its path is as short as any, and is told as a story.
//!
//! Finished in every test run, to the last state: a bare connection of a viewer (4 129 states), and a bare
//! stream of one with even delays (3 491). Finished when enough states are allowed, and begun otherwise: a
//! worker's start with even delays (15 807). All other scenes have more states than have ever been looked at;
//! of those, what is within the bound is searched, and nothing is claimed of the rest.
//!
//! `ATTACHE_EXHAUSTIVE_STATES=200000 cargo test --release -p attache-protocol exhaustive -- --nocapture`
//! searches deeper than the few thousand states for each scene that every test run affords.

mod canonical;

use alloc::{
    collections::{BTreeSet, VecDeque},
    string::String,
    vec::Vec,
};
use core::{
    fmt::{Debug, Write as _},
    hash::Hasher as _,
};
use std::hash::DefaultHasher;

pub(crate) use canonical::{Canonical, Counted, Counter, Matters};

/// How many states of a scene are looked at unless the environment says otherwise.
const STATES: usize = 1000;

/// How many states a scene may have that is looked at to its end.
const ALL_STATES: usize = 20_000;

/// A machine with what is around it, as far as it matters for what comes next.
pub(crate) trait Model: Clone {
    /// Something that can happen.
    type Move: Clone + Debug;

    /// Everything that can happen now.
    fn moves(&self) -> Vec<Self::Move>;

    /// Lets it happen. An error is a breach of a promise.
    fn make(&mut self, step: &Self::Move) -> Result<(), String>;

    /// Whether the promises about this state hold.
    fn check(&self) -> Result<(), String>;

    /// A text that two states share only if the same happens from both.
    fn canonical(&self) -> String;

    /// What came out since the last call, for people.
    fn told(&mut self) -> Vec<String>;
}

/// How far a search has come.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Extent {
    /// Different states.
    pub(crate) states: usize,
    /// Moves made.
    pub(crate) transitions: usize,
    /// The most moves on a shortest path to a state.
    pub(crate) depth: usize,
    /// Whether that is all there is.
    pub(crate) is_complete: bool,
}

/// Searches from `start` for a breach, through as many states as the environment says.
///
/// # Panics
/// At a breach, with the path to it.
pub(crate) fn search<M: Model>(scene: &str, start: &M) -> Extent {
    search_up_to(states_limit(), scene, start)
}

/// Searches from `start` for a breach, through as many states as the environment says. All there are are
/// `states`: if that is no more than may be looked at, it must be all there is.
///
/// # Panics
/// At a breach, with the path to it, and when there is more.
pub(crate) fn search_of<M: Model>(states: usize, scene: &str, start: &M) -> Extent {
    let extent = search(scene, start);
    assert!(
        extent.is_complete || states_limit() <= states,
        "{scene}: more than {states} states"
    );
    extent
}

/// Searches all there is, which must not be beyond measure.
///
/// # Panics
/// At a breach, with the path to it, and when there is more.
pub(crate) fn search_all<M: Model>(scene: &str, start: &M) -> Extent {
    let extent = search_up_to(ALL_STATES, scene, start);
    assert!(extent.is_complete, "{scene}: more than {ALL_STATES} states");
    extent
}

fn search_up_to<M: Model>(limit: usize, scene: &str, start: &M) -> Extent {
    let mut known = BTreeSet::from([digest(&start.canonical())]);
    let mut steps: Vec<Step<M::Move>> = Vec::new();
    let mut open = VecDeque::from([(start.clone(), None, 0)]);
    let mut extent = Extent {
        states: 1,
        transitions: 0,
        depth: 0,
        is_complete: true,
    };
    while let Some((state, place, depth)) = open.pop_front() {
        for step in state.moves() {
            let mut next = state.clone();
            extent.transitions += 1;
            let made = next.make(&step);
            let is_new = made.is_err() || known.insert(digest(&next.canonical()));
            if !is_new {
                continue;
            }
            steps.push(Step {
                before: place,
                step,
            });
            if let Err(what) = made.and_then(|()| next.check()) {
                let path = path(&steps);
                panic!("{scene}: {what}\n{}", story(start, &path));
            }
            next.told();
            extent.states += 1;
            extent.depth = depth + 1;
            if extent.states >= limit {
                extent.is_complete = false;
                return told(scene, extent);
            }
            open.push_back((next, Some(steps.len() - 1), depth + 1));
        }
    }
    told(scene, extent)
}

/// A move, and the one before it.
struct Step<S> {
    before: Option<usize>,
    step: S,
}

/// The way to the last step.
fn path<S: Clone>(steps: &[Step<S>]) -> Vec<S> {
    let mut path = Vec::new();
    let mut place = steps.len().checked_sub(1);
    while let Some(step) = place.and_then(|place| steps.get(place)) {
        path.push(step.step.clone());
        place = step.before;
    }
    path.reverse();
    path
}

/// The path as a transcript.
fn story<M: Model>(start: &M, path: &[M::Move]) -> String {
    let mut state = start.clone();
    let mut story = String::new();
    for step in path {
        let _ = writeln!(story, "-> {step:?}");
        let broken = state.make(step).is_err();
        for line in state.told() {
            let _ = writeln!(story, "   {line}");
        }
        if broken {
            break;
        }
    }
    story
}

fn told(scene: &str, extent: Extent) -> Extent {
    std::println!(
        "{scene}: {} states, {} transitions, depth {}{}",
        extent.states,
        extent.transitions,
        extent.depth,
        if extent.is_complete {
            ", all there are"
        } else {
            ""
        }
    );
    extent
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test takes is its caller's choice"
)]
fn states_limit() -> usize {
    std::env::var("ATTACHE_EXHAUSTIVE_STATES")
        .ok()
        .and_then(|states| states.parse().ok())
        .unwrap_or(STATES)
}

/// Of a million states, two share a digest with a chance of one in thirty million.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use super::*;

    /// Counts up by one or two, and must not reach a number.
    #[derive(Clone)]
    struct Counter {
        count: u32,
        wall: u32,
        forbidden: u32,
        lines: Vec<String>,
    }

    impl Model for Counter {
        type Move = u32;

        fn moves(&self) -> Vec<u32> {
            vec![1, 2]
        }

        fn make(&mut self, step: &u32) -> Result<(), String> {
            self.count = (self.count + step).min(self.wall);
            self.lines.push(format!("at {}", self.count));
            Ok(())
        }

        fn check(&self) -> Result<(), String> {
            if self.count == self.forbidden {
                return Err("forbidden".to_string());
            }
            Ok(())
        }

        fn canonical(&self) -> String {
            self.count.to_string()
        }

        fn told(&mut self) -> Vec<String> {
            core::mem::take(&mut self.lines)
        }
    }

    fn counter(forbidden: u32) -> Counter {
        Counter {
            count: 0,
            wall: 20,
            forbidden,
            lines: Vec::new(),
        }
    }

    #[test]
    fn all_states_are_found_once() {
        let extent = search_all("counter", &counter(99));
        assert_eq!((extent.states, extent.transitions), (21, 42));
        assert_eq!(extent.depth, 10);
    }

    #[test]
    #[should_panic(expected = "counter: forbidden\n-> 1\n   at 1\n-> 2\n   at 3\n-> 2\n   at 5\n")]
    fn a_breach_is_told_with_a_shortest_path_to_it() {
        search("counter", &counter(5));
    }
}
