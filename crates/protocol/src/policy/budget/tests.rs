use alloc::{vec, vec::Vec};
use core::time::Duration;

use proptest::prelude::*;

use super::{Episode, Limit, NewToken, Next, Profile, RetryRule};
use crate::{
    io::NetworkFailure,
    policy::{CloseCause, Delays, Outcome, SessionEnd},
    rng::Rng,
    time::Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const RESET: Outcome = Outcome::Network(NetworkFailure::Reset);

fn closed(code: u16) -> Outcome {
    Outcome::CloseFrame {
        code,
        session: SessionEnd::NotSaid,
    }
}

/// Fails at once with `outcome` until the episode stops or `most` retries were granted.
fn run(
    profile: &Profile,
    seed: u8,
    outcome: Outcome,
    most: usize,
) -> (Vec<Duration>, Option<CloseCause>) {
    let mut episode = Episode::default();
    let mut rng = Rng::new([seed; 32]);
    let mut now = Timestamp::ORIGIN;
    let mut delays = vec![];
    while delays.len() < most {
        match episode.fail(now, outcome, profile, SECOND / 2, &mut rng) {
            Next::Retry { after } => {
                now = now.checked_add(after).unwrap();
                delays.push(after);
            }
            Next::NewToken => delays.push(Duration::ZERO),
            Next::Stop(cause) => return (delays, Some(cause)),
        }
    }
    (delays, None)
}

#[test]
fn the_reference_profile_is_the_documented_table() {
    let profile = Profile::reference();
    let two = SECOND * 2;

    assert_eq!(
        run(&profile, 1, RESET, 99),
        (vec![two; 5], Some(CloseCause::Exhausted { last: RESET }))
    );
    assert_eq!(
        run(&profile, 1, closed(4001), 99),
        (
            vec![two, two * 2, two * 3],
            Some(CloseCause::SessionNotFound)
        )
    );
    assert_eq!(
        run(&profile, 1, closed(4003), 99),
        (vec![], Some(CloseCause::Unauthorized))
    );
    let busy = Outcome::Http {
        status: 503,
        retry_after: Some(SECOND * 77),
    };
    assert_eq!(run(&profile, 1, busy, 99).0, vec![two; 5]);
}

#[test]
fn the_resilient_profile_slows_down_and_never_stops() {
    let (delays, end) = run(&Profile::resilient(), 3, RESET, 200);

    assert_eq!(end, None);
    assert!(delays[0] >= SECOND / 2 && delays[0] <= SECOND);
    assert!(delays.iter().all(|delay| *delay <= SECOND * 60));
    assert_eq!(*delays.last().unwrap(), SECOND * 60);
}

#[test]
fn the_resilient_profile_slows_down_after_half_an_hour_and_not_before() {
    let profile = Profile::resilient();
    let (delays, _) = run(&profile, 5, RESET, 200);
    let slow = delays
        .iter()
        .position(|delay| *delay == SECOND * 60)
        .unwrap();
    let before: Duration = delays[..slow].iter().sum();
    assert!(
        before >= SECOND * 1800 && before <= SECOND * 1830,
        "{before:?}"
    );
    assert!(delays[..slow].iter().all(|delay| *delay <= SECOND * 30));
}

#[test]
fn alternating_codes_share_no_escape() {
    let mut episode = Episode::default();
    let mut rng = Rng::new([0; 32]);
    let profile = Profile::reference();
    let mut stopped = None;
    for round in 0..20_u64 {
        let outcome = closed(if round % 2 == 0 { 4001 } else { 1011 });
        let now = Timestamp::from_origin(SECOND * u32::try_from(round).unwrap());
        if let Next::Stop(cause) = episode.fail(now, outcome, &profile, SECOND, &mut rng) {
            stopped = Some(cause);
            break;
        }
    }
    assert_eq!(stopped, Some(CloseCause::SessionNotFound));
}

#[test]
fn an_announced_restart_spreads_the_first_delay_and_honours_retry_after() {
    let profile = Profile::resilient();
    let first = |seed| run(&profile, seed, closed(1012), 1).0[0];
    let spread: Vec<Duration> = (0..50).map(first).collect();
    assert!(
        spread
            .iter()
            .max()
            .unwrap()
            .saturating_sub(*spread.iter().min().unwrap())
            > SECOND * 5
    );

    let asked = Outcome::Http {
        status: 429,
        retry_after: Some(SECOND * 20),
    };
    assert!(
        run(&profile, 1, asked, 3)
            .0
            .iter()
            .all(|delay| *delay >= SECOND * 20)
    );
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..100_000_u64).prop_map(Duration::from_millis),
    ]
}

fn rules() -> impl Strategy<Value = RetryRule> {
    let delays = prop_oneof![
        durations().prop_map(Delays::Constant),
        durations().prop_map(|step| Delays::Linear { step }),
        (durations(), durations()).prop_map(|(initial, cap)| Delays::Exponential { initial, cap }),
    ];
    let limit = prop_oneof![
        (0..20_u32).prop_map(Limit::Retries),
        (durations(), durations()).prop_map(|(after, every)| Limit::SlowDown { after, every }),
    ];
    (delays, limit).prop_map(|(delays, limit)| RetryRule { delays, limit })
}

fn profiles() -> impl Strategy<Value = Profile> {
    (rules(), rules(), rules(), rules(), durations(), durations()).prop_map(
        |(drops, not_found, too_large, finished, restart_window, retry_after_cap)| Profile {
            drops,
            not_found,
            too_large,
            finished,
            new_token: NewToken::TryOnce,
            restart_window,
            retry_after_cap,
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any::<u16>().prop_map(closed),
        prop_oneof![
            Just(1001_u16),
            Just(1009),
            Just(1011),
            Just(4001),
            Just(4003)
        ]
        .prop_map(closed),
        (any::<u16>(), proptest::option::of(durations())).prop_map(|(status, retry_after)| {
            Outcome::Http {
                status,
                retry_after,
            }
        }),
        Just(RESET),
        Just(Outcome::Silence),
        Just(Outcome::Forced),
        Just(Outcome::SignedOut),
    ]
}

proptest! {
    #[test]
    fn no_profile_panics_and_every_counted_limit_ends(
        profile in profiles(),
        seed in any::<u8>(),
        failures in proptest::collection::vec((outcomes(), durations()), 1..200),
    ) {
        let mut episode = Episode::default();
        let mut rng = Rng::new([seed; 32]);
        let mut now = Timestamp::ORIGIN;
        for (outcome, pause) in failures {
            now = now.checked_add(pause).unwrap_or(now);
            let _ = episode.fail(now, outcome, &profile, SECOND, &mut rng);
        }
        if let Limit::Retries(retries) = profile.drops.limit {
            prop_assert!(episode.drops <= retries);
        }
        if let Limit::Retries(retries) = profile.not_found.limit {
            prop_assert!(episode.not_found <= retries);
        }
    }

    #[test]
    fn a_budget_never_grows_except_by_stable_uptime(
        failures in proptest::collection::vec(outcomes(), 1..60),
    ) {
        let profile = Profile::reference();
        let mut episode = Episode::default();
        let mut rng = Rng::new([0; 32]);
        for outcome in failures {
            let before = (episode.drops, episode.not_found, episode.failures);
            let _ = episode.fail(Timestamp::ORIGIN, outcome, &profile, SECOND, &mut rng);
            prop_assert!(episode.drops >= before.0 && episode.not_found >= before.1);
            prop_assert!(episode.failures >= before.2);
        }
        episode.end();
        prop_assert_eq!(episode.failures(), 0);
    }

    #[test]
    fn delays_stay_in_bounds_and_never_shrink_before_the_cap(
        initial in 1..5_000_u64,
        cap in 1..60_000_u64,
        seed in any::<[u8; 32]>(),
    ) {
        let delays = Delays::Exponential {
            initial: Duration::from_millis(initial),
            cap: Duration::from_millis(cap),
        };
        let mut rng = Rng::new(seed);
        let mut last = Duration::ZERO;
        for retry in 1..40 {
            let bound = delays.bound(retry);
            let delay = delays.draw(retry, &mut rng);
            prop_assert!(delay >= bound / 2 && delay <= bound);
            if bound < Duration::from_millis(cap) {
                prop_assert!(delay >= last);
            }
            last = delay;
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_delays(seed in any::<u8>(), outcome in outcomes()) {
        let profile = Profile::resilient();
        prop_assert_eq!(run(&profile, seed, outcome, 50), run(&profile, seed, outcome, 50));
    }
}
