//! Whatever goes wrong, in whatever order: once the world heals, nothing is lost and nothing came twice.

use attache_protocol::{
    io::{NetworkFailure, Refusal, TokenRefusal},
    policy::Profile,
    viewer::{
        Allow, Content, DecideError, Decision, GapCause, History, MessageId, SendState, Standing,
        Status, ViewerConfig,
    },
};
use attache_testkit::{HttpPlan, Reading, TokenPlan, Upgrade, World, millis, secs};

use super::config;

/// A small generator: the same seed tells the same story.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn throw(&mut self, sides: u64) -> u64 {
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

fn decision(dice: &mut Dice) -> Decision {
    match dice.throw(3) {
        0 => Decision::deny("no"),
        1 => Decision::allow(),
        _ => Decision::Allow(Allow {
            standing: Standing::EvenIfUnverified,
            ..Allow::default()
        }),
    }
}

/// A viewer, its world, and a record of what was said, asked and sent in it.
struct Story {
    world: World,
    dice: Dice,
    said: usize,
    asked: u64,
    sent: Vec<MessageId>,
}

impl Story {
    fn begin(mut config: ViewerConfig, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // So much goes wrong here that the usual two minutes would pass.
        config.patience.catch_up = secs(3600);
        if dice.throw(2) == 0 {
            config.limits.held = 4;
            config.limits.events = 8;
        }
        let mut world = World::with_seed(config, [u8::try_from(seed % 251).unwrap(); 32]);
        world.connect();
        Self {
            world,
            dice,
            said: 0,
            asked: 0,
            sent: Vec::new(),
        }
    }

    /// Something happens, and some time passes.
    fn step(&mut self) {
        let Self {
            world,
            dice,
            said,
            asked,
            sent,
        } = self;
        match dice.throw(25) {
            0..=6 => {
                for _ in 0..=dice.throw(5) {
                    world.server().say("assistant", &format!("u{said}"));
                    *said += 1;
                }
            }
            7 => sent.extend(world.try_send(Content::text("hello"))),
            8 => world.server().next_post(http(dice)),
            9 => world.server().next_list(http(dice)),
            10 => world.server().next_upgrade(upgrade(dice)),
            11 => world.cut(),
            12 => world.server().freeze(),
            13 => world.server().close(1001, ""),
            14 => {
                world.server().ask(&format!("r{asked}"), "ls");
                *asked += 1;
            }
            15 if *asked > 0 => {
                let id = format!("r{}", dice.throw(*asked));
                let _ = world.decide(&id, &decision(dice));
            }
            16 => drop(world.interrupt()),
            17 => {
                let _ = world.reconnect();
            }
            18 => world.read_events(if dice.throw(2) == 0 {
                Reading::NotAtAll
            } else {
                Reading::Eagerly
            }),
            19 if *asked > 0 => world.server().cancel(&format!("r{}", dice.throw(*asked))),
            20 if *asked > 0 => {
                let id = format!("r{}", dice.throw(*asked));
                world.server().answer_by_another(&id);
            }
            21 => world.set_latency(millis(1 + dice.throw(300))),
            22 => {
                world.server().repeats_prompts = dice.throw(2) == 0;
                world.server().echoes_answers = dice.throw(2) == 0;
                world.server().answers_requests = dice.throw(2) == 0;
            }
            23 => world.tokens().next(match dice.throw(3) {
                0 => TokenPlan::Refuse(TokenRefusal::Unavailable),
                1 => TokenPlan::Never,
                _ => TokenPlan::Give("first"),
            }),
            _ => {
                world.server().echoes = usize::try_from(dice.throw(3)).unwrap();
                world.server().http_delay = millis(dice.throw(400));
                world.wake();
            }
        }
        world.run_for(millis(dice.throw(3000)));
    }

    /// Everything works again, for long enough.
    fn heal(&mut self) {
        self.world.read_events(Reading::Eagerly);
        self.world.server().http_delay = millis(0);
        self.world.server().come_up();
        self.world.run_for(secs(900));
    }

    fn assert_messages_arrived(&self, history: History) {
        let messages = self.world.messages();
        let gaps = self.world.gaps();
        if gaps.is_empty() {
            let first = self.said - messages.len();
            let tail: Vec<String> = (first..self.said)
                .map(|number| format!("u{number}"))
                .collect();
            assert_eq!(messages, tail, "{history:?}");
            assert!(history != History::All || first == 0);
        } else {
            // Without any history there is nothing to resume after until something was said.
            assert_eq!(history, History::None, "{gaps:?}");
            assert!(gaps.iter().all(|(_, cause)| *cause == GapCause::NoPosition));
        }
    }

    fn assert_sends_arrived_in_order(&mut self) {
        for id in &self.sent {
            assert_eq!(
                self.world.send_states(id).last(),
                Some(&SendState::Accepted)
            );
        }
        let in_order: Vec<&str> = self.sent.iter().map(MessageId::as_str).collect();
        let mut stored = self.world.server().stored();
        stored.retain(|uuid| in_order.contains(uuid));
        assert_eq!(stored, in_order);
    }

    /// What the agent still asks can be answered; nothing else can.
    fn assert_prompts_agree(&mut self) {
        let open: Vec<String> = self
            .world
            .server()
            .open_prompts()
            .into_iter()
            .map(str::to_owned)
            .collect();
        for number in 0..self.asked {
            let id = format!("r{number}");
            let decided = self.world.decide(&id, &Decision::allow());
            if open.contains(&id) {
                // What was asked in a hole that was told, and is not asked again, nobody knows of.
                let lost = !self.world.gaps().is_empty();
                assert!(decided.is_ok() || lost, "{id}: {decided:?}");
            } else {
                assert_eq!(decided, Err(DecideError::UnknownPrompt), "{id}");
            }
        }
    }
}

fn for_each_seed(seeds: std::ops::Range<u64>, story: fn(u64)) {
    for seed in seeds {
        let result = std::panic::catch_unwind(|| story(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn chaos_loses_nothing_and_repeats_nothing() {
    for_each_seed(0..100, |seed| {
        let mut config = config();
        let histories = [History::All, History::Latest(20), History::None];
        let history = histories[usize::try_from(seed % 3).unwrap()];
        config.history = history;
        let mut story = Story::begin(config, seed);
        for _ in 0..400 {
            story.step();
        }
        story.heal();
        assert_eq!(*story.world.status(), Status::Live);
        story.assert_messages_arrived(history);
        story.assert_sends_arrived_in_order();
        story.assert_prompts_agree();
    });
}

#[test]
fn chaos_that_uses_the_budget_up_ends_cleanly() {
    for_each_seed(0..60, |seed| {
        let mut config = config();
        config.profile = Profile::reference();
        let mut story = Story::begin(config, seed);
        for _ in 0..300 {
            story.step();
        }
        story.world.read_events(Reading::Eagerly);
        story.world.server().go_down();
        story.world.run_until_closed();
        assert!(story.world.viewer().is_drained());
        assert_eq!(story.world.viewer().poll_timeout(), None);
        for id in &story.sent {
            assert!(matches!(
                story.world.send_states(id).last(),
                Some(SendState::Accepted | SendState::Rejected(_))
            ));
        }
    });
}
