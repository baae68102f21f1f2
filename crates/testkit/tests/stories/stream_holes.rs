//! What is missing on a stream is said once: lost fronts, jumps, positions that are gone.

use attache_protocol::{
    io::Refusal,
    policy::CloseCause,
    viewer::{Cursor, GapCause, History, MalformedCause, Status, ViewerConfig},
};
use attache_testkit::{HttpPlan, Upgrade, World, secs};

use super::config;

fn with_history(history: History) -> ViewerConfig {
    let mut config = config();
    config.history = history;
    config
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("u{number}")).collect()
}

fn say_all(world: &mut World, range: std::ops::Range<usize>) {
    for id in ids(range) {
        world.server().say("assistant", &id);
    }
}

/// A live world in which `u0` has been delivered.
fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world
}

fn causes(world: &World) -> Vec<GapCause> {
    world.gaps().iter().map(|(_, cause)| *cause).collect()
}

#[test]
fn a_log_that_lost_its_front_is_one_gap_said_or_seen() {
    for said in [true, false] {
        let mut world = World::new(with_history(History::All));
        world.server().tells_truncation = said;
        say_all(&mut world, 0..10);
        world.server().forget(4);
        world.connect();
        world.run_until_live();
        assert_eq!(world.messages(), ids(4..10), "{said}");
        assert_eq!(causes(&world), [GapCause::NotRetained], "{said}");

        world.cut();
        world.server().go_down();
        say_all(&mut world, 10..20);
        world.server().forget(8);
        world.server().come_up();
        world.run_for(secs(30));
        let seen: Vec<String> = ids(4..10).into_iter().chain(ids(12..20)).collect();
        assert_eq!(world.messages(), seen, "{said}");
        let gaps = world.gaps();
        assert_eq!(gaps[1..], [(Some("u9"), GapCause::NotRetained)], "{said}");
    }
}

#[test]
fn a_lost_front_does_not_matter_to_who_wants_less_than_is_left() {
    for (wanted, gaps) in [(3, 0), (6, 0), (7, 1)] {
        let mut world = World::new(with_history(History::Latest(wanted)));
        say_all(&mut world, 0..10);
        world.server().forget(4);
        world.connect();
        world.run_until_live();
        assert_eq!(world.messages(), ids(10 - wanted.min(6)..10));
        assert_eq!(world.gaps().len(), gaps, "{wanted}");
    }
}

#[test]
fn a_jump_is_one_gap_and_what_follows_is_none() {
    let mut world = live();
    for hole in [2, 5] {
        world
            .server()
            .store_unseen(&format!(r#"{{"type":"assistant","uuid":"lost{hole}"}}"#));
        world
            .server()
            .store_unseen(&format!(r#"{{"type":"assistant","uuid":"lost{hole}b"}}"#));
        say_all(&mut world, hole..hole + 3);
        world.run_for(secs(1));
    }
    assert_eq!(world.messages(), ["u0", "u2", "u3", "u4", "u5", "u6", "u7"]);
    assert_eq!(
        world.gaps(),
        [
            (Some("u0"), GapCause::NotRetained),
            (Some("u4"), GapCause::NotRetained)
        ]
    );
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_hole_on_the_link_makes_open_prompts_uncertain() {
    let mut world = live();
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    world
        .server()
        .store_unseen(r#"{"type":"assistant","uuid":"lost"}"#);
    say_all(&mut world, 1..2);
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked r1", "r1 Unverified"]);
}

#[test]
fn a_position_that_is_gone_is_one_gap_and_repeats_nothing() {
    for (said, kept, remembered) in [(10, 5, 4096), (10, 10, 4096), (50, 50, 4), (50, 6, 4)] {
        let mut config = with_history(History::All);
        config.limits.remembered = remembered;
        let mut world = World::new(config);
        world.connect();
        world.run_until_live();
        // Counted anew the log is shorter than before.
        world.server().emit(r#"{"type":"x","uuid":"a"}"#);
        world.server().emit(r#"{"type":"x","uuid":"b"}"#);
        world.server().emit(r#"{"type":"x","uuid":"c"}"#);
        say_all(&mut world, 0..said);
        world.run_for(secs(1));
        world.server().go_down();
        world.server().forget(said + 3 - kept);
        world.server().recount();
        if kept < said {
            say_all(&mut world, said..said + 2);
        }
        world.server().come_up();
        world.run_for(secs(30));
        if kept == said {
            say_all(&mut world, said..said + 2);
            world.run_for(secs(1));
        }
        let messages = world.messages();
        assert_eq!(messages[3..], ids(0..said + 2), "{said} {kept}");
        assert_eq!(causes(&world), [GapCause::NotRetained], "{said} {kept}");
        assert_eq!(*world.status(), Status::Live);
    }
}

#[test]
fn another_log_under_the_same_name_is_one_gap_and_comes_whole() {
    let mut world = live();
    say_all(&mut world, 1..10);
    world.run_for(secs(1));
    world.server().go_down();
    world.server().forget_everything();
    world.server().recount();
    say_all(&mut world, 10..13);
    world.server().come_up();
    world.run_for(secs(30));
    assert_eq!(world.messages(), ids(0..13));
    assert_eq!(causes(&world), [GapCause::NotRetained]);
    world.cut();
    say_all(&mut world, 13..15);
    world.run_for(secs(30));
    assert_eq!(world.messages(), ids(0..15));
    assert_eq!(world.gaps().len(), 1);
}

#[test]
fn a_position_that_is_refused_even_at_the_beginning_is_the_end() {
    let mut world = live();
    let gone = Refusal::Http {
        status: 410,
        retry_after: None,
    };
    world.server().every_upgrade(Upgrade::Refuse(gone));
    world.cut();
    world.run_until_closed();
    assert_eq!(world.closed(), Some(CloseCause::Rejected { status: 410 }));
    assert_eq!(causes(&world), [GapCause::NotRetained]);
}

#[test]
fn a_stored_frame_that_cannot_be_read_is_told_once_and_passed() {
    let mut world = live();
    world
        .server()
        .blurt_bytes("event: client_event\nid: 2\ndata: {\"payload\":{\"no\":\"type\"}}\n\n");
    world
        .server()
        .blurt_bytes("event: client_event\nid: 3\ndata: {\"payload\":{\"type\":\"assistant\",\"uuid\":\"u1\"}}\n\n");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..2));
    assert_eq!(world.malformed().len(), 1);
    assert!(!matches!(
        world.malformed()[0].error,
        MalformedCause::UnknownControl
    ));
    assert!(world.gaps().is_empty());
    assert_eq!(world.viewer().cursor(), Some(Cursor::Sequence(3)));
}

#[test]
fn a_giant_event_is_one_gap_and_not_asked_for_again() {
    let mut config = config();
    config.limits.stream_event_bytes = 1000;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    say_all(&mut world, 0..1);
    let giant = format!(
        r#"{{"type":"assistant","uuid":"giant","text":"{}"}}"#,
        "x".repeat(2000)
    );
    world.server().emit(&giant);
    say_all(&mut world, 1..2);
    world.run_for(secs(1));
    assert_eq!(world.gaps(), [(Some("u0"), GapCause::Unreadable)]);
    world.cut();
    say_all(&mut world, 2..3);
    world.run_for(secs(10));
    assert_eq!(world.messages(), ids(0..3));
    assert_eq!(world.gaps().len(), 1);
}

#[test]
fn without_history_and_without_a_list_a_drop_before_the_first_event_is_one_gap() {
    let mut world = World::new(with_history(History::None));
    say_all(&mut world, 0..5);
    world.server().every_list(HttpPlan::Status(404, None));
    world.connect();
    world.run_until_live();
    world.cut();
    say_all(&mut world, 5..6);
    world.run_for(secs(10));
    assert_eq!(causes(&world), [GapCause::NoPosition]);
    say_all(&mut world, 6..8);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(6..8));
}
