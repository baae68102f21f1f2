//! From nothing to a live link, and what happens when that does not work out.

use std::time::Duration;

use attache_protocol::{
    io::{Effect, NetworkFailure, Refusal},
    policy::{CloseCause, Outcome, Profile},
    viewer::{ConnectError, Status, ViewerConfig},
};
use attache_testkit::{Upgrade, World, millis, secs};

use super::config;

fn reference() -> ViewerConfig {
    let mut config = config();
    config.profile = Profile::reference();
    config
}

fn status(status: u16) -> Upgrade {
    Upgrade::Refuse(Refusal::Http {
        status,
        retry_after: None,
    })
}

/// How far apart the attempts were, to the second.
fn spacing(times: &[Duration]) -> Vec<u64> {
    times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect()
}

#[test]
fn everything_works_at_the_first_try() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let statuses: Vec<Status> = world
        .statuses()
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    assert_eq!(
        statuses,
        [
            Status::Connecting { attempt: 0 },
            Status::CatchingUp,
            Status::Live
        ]
    );
    assert_eq!(world.catch_ups(), 1);
    assert!(world.gaps().is_empty());
}

#[test]
fn the_socket_is_asked_for_by_session_and_organization() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let request = world
        .effects()
        .find_map(|effect| match effect {
            Effect::OpenSocket { request, .. } => Some(request.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!(
        request.path,
        "/v1/sessions/ws/session_story/subscribe?organization_uuid=org-1"
    );
    assert!(request.bearer.is_some());
    assert!(
        request
            .headers
            .iter()
            .any(|header| header.name == "anthropic-version" && header.value == "2023-06-01")
    );
}

#[test]
fn a_failed_first_connect_is_retried() {
    let mut world = World::new(config());
    let refused = Refusal::Network(NetworkFailure::Refused);
    world.server().next_upgrade(Upgrade::Refuse(refused));
    world.server().next_upgrade(status(500));
    world.connect();
    world.run_until_live();
    assert_eq!(world.opens().len(), 3);
}

#[test]
fn the_budget_of_five_retries_is_used_up_before_the_end() {
    let mut world = World::new(reference());
    world.server().go_down();
    world.connect();
    world.run_until_closed();
    assert_eq!(spacing(&world.opens()), [2, 2, 2, 2, 2]);
    assert_eq!(
        world.closed(),
        Some(CloseCause::Exhausted {
            last: Outcome::Network(NetworkFailure::Refused)
        })
    );
}

#[test]
fn a_session_not_found_ends_after_three_retries_although_every_open_succeeds() {
    for config in [reference(), config()] {
        let mut world = World::new(config);
        world.server().every_upgrade(Upgrade::AcceptThenClose(4001));
        world.connect();
        world.run_until_closed();
        assert_eq!(spacing(&world.opens()), [2, 4, 6]);
        assert_eq!(world.closed(), Some(CloseCause::SessionNotFound));
    }
}

#[test]
fn a_session_that_comes_back_after_compacting_is_found() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::AcceptThenClose(4001));
    world.server().next_upgrade(status(404));
    world.connect();
    world.run_until_live();
    assert_eq!(spacing(&world.opens()), [2, 4]);
}

#[test]
fn accept_then_close_flapping_ends() {
    for upgrade in [Upgrade::AcceptThenClose(1011), Upgrade::AcceptThenReset] {
        let mut world = World::new(reference());
        world.server().every_upgrade(upgrade);
        world.connect();
        world.run_until_closed();
        assert_eq!(world.opens().len(), 6);
        assert!(matches!(world.closed(), Some(CloseCause::Exhausted { .. })));
    }
}

#[test]
fn accept_then_close_flapping_slows_down() {
    let mut world = World::new(config());
    world.server().every_upgrade(Upgrade::AcceptThenClose(1011));
    world.connect();
    world.run_for(secs(3 * 3600));
    let opens = world.opens();
    assert!(opens.len() < 300, "{} attempts", opens.len());
    let late: Vec<Duration> = opens.into_iter().filter(|at| *at > secs(3600)).collect();
    assert!(late.windows(2).all(|pair| pair[1] - pair[0] >= secs(60)));
    assert!(late.len() > 60, "it never stops trying");
}

#[test]
fn alternating_4001_and_1011_still_ends() {
    for config in [reference(), config()] {
        let mut world = World::new(config);
        for _ in 0..20 {
            world.server().next_upgrade(Upgrade::AcceptThenClose(1011));
            world.server().next_upgrade(Upgrade::AcceptThenClose(4001));
        }
        world.connect();
        world.run_until_closed();
        assert_eq!(world.closed(), Some(CloseCause::SessionNotFound));
        assert_eq!(world.opens().len(), 8);
    }
}

#[test]
fn polite_and_final_closes_do_not_loop_for_ever() {
    for (code, opens) in [(1000, 4), (1002, 1), (1003, 1), (1008, 4), (1009, 2)] {
        let mut world = World::new(config());
        world.server().every_upgrade(Upgrade::AcceptThenClose(code));
        world.connect();
        world.run_until_closed();
        assert_eq!(world.opens().len(), opens, "close {code}");
    }
}

#[test]
fn an_upgrade_that_is_never_answered_is_given_up_after_15_s() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::Never);
    world.connect();
    world.run_until(secs(16), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    assert_eq!(world.elapsed(), secs(15) + millis(5));
    assert!(
        world
            .effects()
            .any(|effect| matches!(effect, Effect::AbortSocket { .. }))
    );
    world.run_until_live();
}

#[test]
fn an_upgrade_answered_too_late_changes_nothing() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::Never);
    world.connect();
    world.run_for(secs(14));
    let id = world.socket().unwrap();
    world.run_until_live();
    let events = world.events().count();
    world.feed(attache_protocol::io::Input::SocketOpened { id });
    assert_eq!(world.events().count(), events);
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn connecting_twice_opens_one_socket() {
    let mut world = World::new(config());
    world.connect();
    for _ in 0..6 {
        assert_eq!(world.try_connect(), Err(ConnectError::AlreadyConnected));
        world.run_for(millis(4));
    }
    world.run_until_live();
    assert_eq!(world.try_connect(), Err(ConnectError::AlreadyConnected));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_stable_link_forgets_earlier_failures() {
    let mut world = World::new(reference());
    for _ in 0..5 {
        world.server().next_upgrade(Upgrade::AcceptThenReset);
    }
    world.connect();
    world.run_until_live();
    world.run_for(secs(11));
    world.server().go_down();
    world.run_until_closed();
    assert_eq!(world.opens().len(), 6 + 5);
}

#[test]
fn a_link_that_was_up_too_briefly_forgets_nothing() {
    let mut world = World::new(reference());
    for _ in 0..5 {
        world.server().next_upgrade(Upgrade::AcceptThenReset);
    }
    world.connect();
    world.run_until_live();
    world.run_for(secs(9));
    world.cut();
    world.run_until_closed();
    assert_eq!(world.opens().len(), 6);
}

#[test]
fn an_announced_restart_is_waited_for() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::Refuse(Refusal::Http {
        status: 503,
        retry_after: Some(secs(20)),
    }));
    world.connect();
    world.run_until_live();
    let opens = world.opens();
    assert!(opens[1] - opens[0] >= secs(20), "{opens:?}");
    assert!(opens[1] - opens[0] <= secs(31), "{opens:?}");
}

#[test]
fn a_fleet_does_not_come_back_from_a_restart_at_once() {
    let mut delays: Vec<Duration> = (0..50)
        .map(|seed| {
            let mut world = World::with_seed(config(), [seed; 32]);
            world.connect();
            world.run_until_live();
            world.run_for(secs(20));
            world.server().close(1012, "restarting");
            world.run_for(secs(15));
            let opens = world.opens();
            opens[1] - opens[0]
        })
        .collect();
    delays.sort();
    assert!(delays[49] - delays[0] > secs(5), "{delays:?}");
}

#[test]
fn waiting_says_when_and_why() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.cut();
    let Status::Waiting {
        attempt,
        next_attempt_at,
        cause,
    } = world.status().clone()
    else {
        panic!("{:?}", world.status());
    };
    assert_eq!(
        (attempt, cause),
        (1, Outcome::Network(NetworkFailure::Reset))
    );
    world.run_for(secs(5));
    assert_eq!(world.attempts()[1], next_attempt_at.since_origin());
}
