//! Whatever goes wrong, in whatever order: once the world heals, nothing is lost and nothing came twice.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    io::{NetworkFailure, Refusal},
    viewer::{Decision, History, MessageId, SendState, Status},
};
use attache_testkit::{HttpPlan, Reading, Upgrade, World, config, millis, secs};

/// A small generator: the same seed tells the same story.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn http(dice: &mut Dice) -> HttpPlan {
    match dice.throw(6) {
        0 => HttpPlan::LoseAnswer,
        1 => HttpPlan::Fail(NetworkFailure::Reset),
        2 => HttpPlan::Status(503, None),
        3 => HttpPlan::Status(429, Some(secs(dice.throw(5)))),
        4 => HttpPlan::Never,
        _ => HttpPlan::Serve,
    }
}

fn upgrade(dice: &mut Dice) -> Upgrade {
    match dice.throw(6) {
        0 => Upgrade::AcceptThenClose(1011),
        1 => Upgrade::AcceptThenReset,
        2 => Upgrade::Refuse(Refusal::Network(NetworkFailure::Refused)),
        3 => Upgrade::Refuse(Refusal::Http {
            status: 502,
            retry_after: None,
        }),
        4 => Upgrade::Never,
        _ => Upgrade::Accept,
    }
}

fn story(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut config = config();
    config.history = History::All;
    // So much goes wrong here that the usual two minutes would pass.
    config.patience.catch_up = secs(3600);
    if dice.throw(2) == 0 {
        config.limits.held = 4;
        config.limits.events = 8;
    }
    let mut world = World::with_seed(config, [u8::try_from(seed % 251).unwrap(); 32]);
    let mut said = 0;
    let mut asked = 0;
    let mut sent: Vec<MessageId> = Vec::new();
    world.connect();
    for _ in 0..400 {
        match dice.throw(20) {
            0..=6 => {
                for _ in 0..=dice.throw(5) {
                    world.server().say("assistant", &format!("u{said}"));
                    said += 1;
                }
            }
            7 => sent.push(world.send("hello")),
            8 => world.server().next_post(http(&mut dice)),
            9 => world.server().next_list(http(&mut dice)),
            10 => world.server().next_upgrade(upgrade(&mut dice)),
            11 => world.cut(),
            12 => world.server().freeze(),
            13 => world.server().close(1001, ""),
            14 => {
                world.server().ask(&format!("r{asked}"), "ls");
                asked += 1;
            }
            15 if asked > 0 => {
                let id = format!("r{}", dice.throw(asked));
                let _ = world.decide(&id, &Decision::deny("no"));
            }
            16 => drop(world.interrupt()),
            17 => drop(world.reconnect()),
            18 => {
                let reading = if dice.throw(2) == 0 {
                    Reading::NotAtAll
                } else {
                    Reading::Eagerly
                };
                world.read_events(reading);
            }
            _ => {
                world.server().echoes = usize::try_from(dice.throw(3)).unwrap();
                world.server().http_delay = millis(dice.throw(400));
                world.wake();
            }
        }
        world.run_for(millis(dice.throw(3000)));
    }
    world.read_events(Reading::Eagerly);
    world.server().http_delay = millis(0);
    world.server().come_up();
    world.run_for(secs(900));

    assert_eq!(*world.status(), Status::Live);
    assert!(world.gaps().is_empty(), "{:?}", world.gaps());
    let expected: Vec<String> = (0..said).map(|number| format!("u{number}")).collect();
    assert_eq!(world.messages(), expected);
    for id in &sent {
        assert_eq!(world.send_states(id).last(), Some(&SendState::Accepted));
    }
    let in_order: Vec<&str> = sent.iter().map(MessageId::as_str).collect();
    let mut stored = world.server().stored();
    stored.retain(|uuid| in_order.contains(uuid));
    assert_eq!(stored, in_order);
}

#[test]
fn chaos_loses_nothing_and_repeats_nothing() {
    for seed in 0..100 {
        let result = std::panic::catch_unwind(|| story(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
