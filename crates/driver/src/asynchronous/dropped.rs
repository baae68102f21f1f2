//! Every future that an application is given, dropped at each of its polls.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use attache_protocol::{
    io::{Effect, Input},
    time::Timestamp,
};

use super::{
    events::{self, Events, Outlet},
    handle::{CHANNEL_COMMANDS, Handle, Inlet, channel},
};
use crate::{CommandError, Ended, Machine, Room};

/// More polls than any future here needs.
const POLLS: usize = 8;

/// A machine that remembers what it was told, and has events to give.
#[derive(Default)]
struct Ledger {
    entries: Vec<Arc<str>>,
    events: VecDeque<usize>,
    is_closed: bool,
}

impl Ledger {
    fn count(&self, name: &str) -> usize {
        self.entries
            .iter()
            .filter(|entry| ***entry == *name)
            .count()
    }
}

impl Machine for Ledger {
    type Event = usize;
    type Place = ();
    type View = bool;
    type Cause = ();

    fn begin(&mut self, _now: Timestamp) {}

    fn close(&mut self, _now: Timestamp) {
        self.is_closed = true;
    }

    fn handle_input(&mut self, _now: Timestamp, _input: Input) {}

    fn handle_timeout(&mut self, _now: Timestamp) {}

    fn poll_effect(&mut self) -> Option<Effect> {
        None
    }

    fn poll_event(&mut self) -> Option<usize> {
        self.events.pop_front()
    }

    fn place(&self) {}

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn view(&self) -> bool {
        self.is_closed
    }

    fn wants_read(&self) -> bool {
        true
    }

    fn room(&self) -> Room {
        Room::Now
    }

    fn cause(view: &bool) -> Option<()> {
        view.then_some(())
    }
}

struct World {
    ledger: Ledger,
    inlet: Inlet<Ledger>,
    outlet: Outlet<Ledger>,
}

impl World {
    fn new() -> (Self, Handle<Ledger>, Events<Ledger>) {
        let ledger = Ledger::default();
        let (inlet, handle) = channel(ledger.view());
        let (outlet, events) = events::channel(&handle, ());
        let world = Self {
            ledger,
            inlet,
            outlet,
        };
        (world, handle, events)
    }

    /// Takes one command and one write, and hands events over.
    fn turn(&mut self) {
        let mut cx = context();
        if let Poll::Ready(Some(command)) = self.inlet.poll_command(&mut cx) {
            command(&mut self.ledger, Timestamp::ORIGIN);
        }
        if let Poll::Ready(Some(write)) = self.inlet.poll_write(&mut cx) {
            write(&mut self.ledger, Timestamp::ORIGIN);
        }
        self.outlet.deliver(&mut cx, &mut self.ledger);
        self.inlet.view.publish(self.ledger.view());
    }

    fn settle(&mut self) {
        for _ in 0..2 * CHANNEL_COMMANDS {
            self.turn();
        }
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Polls so many times, with a turn after each, and drops the future.
fn dropped_after<T>(polls: usize, world: &mut World, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context()) {
            return Some(done);
        }
        world.turn();
    }
    None
}

fn enter(name: &Arc<str>) -> impl FnOnce(&mut Ledger, Timestamp) + Send + 'static {
    let entry = Arc::clone(name);
    move |ledger, _| ledger.entries.push(entry)
}

/// Fills both lines, so that whoever comes next has to wait.
fn crowd(world: &mut World, handle: &Handle<Ledger>, name: &Arc<str>) {
    for _ in 0..CHANNEL_COMMANDS {
        handle.commands.try_send(Box::new(enter(name))).unwrap();
    }
    handle.writes.try_send(Box::new(enter(name))).unwrap();
    assert!(world.ledger.entries.is_empty());
}

#[test]
fn a_command_dropped_at_any_poll_is_carried_out_once_or_never() {
    let mut outcomes = Vec::new();
    for polls in 0..2 * CHANNEL_COMMANDS {
        let (mut world, handle, _events) = World::new();
        let [other, own] = ["other", "own"].map(Arc::from);
        crowd(&mut world, &handle, &other);
        let command = enter(&own);
        let asked = handle.ask(move |ledger, now| {
            command(ledger, now);
            Ok::<_, Ended>(())
        });

        let done = dropped_after(polls, &mut world, asked);
        world.settle();

        let times = world.ledger.count("own");
        match done {
            Some(ref answer) => assert_eq!((answer, times), (&Ok(()), 1)),
            None => assert!(times <= 1),
        }
        outcomes.push((done.is_some(), times));
        assert_eq!(world.ledger.count("other"), CHANNEL_COMMANDS + 1);
        drop(world);
        assert_eq!(Arc::strong_count(&own), 1, "nothing is left");
    }
    for reached in [(false, 0), (false, 1), (true, 1)] {
        assert!(outcomes.contains(&reached), "{reached:?}");
    }
}

#[test]
fn a_write_dropped_before_it_is_done_is_not_in_line() {
    let mut outcomes = Vec::new();
    for polls in 0..POLLS {
        let (mut world, handle, _events) = World::new();
        let [other, own] = ["other", "own"].map(Arc::from);
        crowd(&mut world, &handle, &other);

        let done = dropped_after(polls, &mut world, handle.write(enter(&own)));
        world.settle();

        assert_eq!(world.ledger.count("own"), usize::from(done.is_some()));
        outcomes.push(done);
        drop(world);
        assert_eq!(Arc::strong_count(&own), 1, "nothing is left");
    }
    assert!(outcomes.contains(&None) && outcomes.contains(&Some(Ok(()))));
}

#[test]
fn no_event_is_lost_or_repeated_however_often_waiting_is_dropped() {
    for polls in 1..POLLS {
        let (mut world, _handle, mut events) = World::new();
        let mut taken = Vec::new();
        for number in 0..200 {
            // Every third one comes while nobody waits.
            world.ledger.events.push_back(number);
            if number % 3 == 0 {
                world.turn();
            }
            taken.extend(dropped_after(polls, &mut world, events.next()).flatten());
        }
        world.outlet.finish(&mut world.ledger);
        while let Some(Some(event)) = dropped_after(1, &mut world, events.next()) {
            taken.push(event);
        }
        assert_eq!(taken, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn closing_that_is_dropped_closes_unless_it_was_in_line() {
    for polls in 0..POLLS {
        let (mut world, handle, _events) = World::new();
        let closed = dropped_after(polls, &mut world, handle.close());
        world.settle();
        assert_eq!(world.ledger.is_closed, polls > 0);
        assert_eq!(closed.is_some(), polls > 1);
    }
}

#[test]
fn whoever_waits_in_line_hears_that_the_driver_is_gone() {
    let (mut world, handle, mut events) = World::new();
    crowd(&mut world, &handle, &Arc::from("other"));
    let mut written = Box::pin(handle.write(|_, _| {}));
    let mut asked = Box::pin(handle.ask(|_, _| Err::<(), _>(Ended)));
    let mut closing = Box::pin(handle.close());
    assert!(written.as_mut().poll(&mut context()).is_pending());
    assert!(asked.as_mut().poll(&mut context()).is_pending());
    assert!(closing.as_mut().poll(&mut context()).is_pending());

    drop(world);

    let ended = Poll::Ready(Err(Ended));
    assert_eq!(written.as_mut().poll(&mut context()), ended);
    let gone = Poll::Ready(Err(CommandError::Ended));
    assert_eq!(asked.as_mut().poll(&mut context()), gone);
    let ended = Poll::Ready(Err(Ended));
    assert_eq!(closing.as_mut().poll(&mut context()), ended);
    assert_eq!(pin!(events.next()).poll(&mut context()), Poll::Ready(None));
}

#[test]
fn whoever_waits_for_an_answer_hears_that_the_driver_is_gone() {
    let (world, handle, _events) = World::new();
    let mut asked = Box::pin(handle.ask(|_, _| Err::<(), _>(Ended)));
    assert!(asked.as_mut().poll(&mut context()).is_pending());

    drop(world);

    let gone = Poll::Ready(Err(CommandError::Ended));
    assert_eq!(asked.as_mut().poll(&mut context()), gone);
}
