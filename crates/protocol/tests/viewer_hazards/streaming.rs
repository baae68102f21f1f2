//! A stream that brings the past and the present.

use attache_protocol::{
    io::{Input, Token},
    policy::CloseCause,
    viewer::{Content, Cursor, Event, GapCause, History, SendState, Status, Timer, Transport},
};

use crate::{Rig, SECOND, gaps, messages};

#[test]
fn a_stream_goes_on_after_an_event_that_only_its_id_is_known_of() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.resume_from = Some(Cursor::Event("e2".into()));
    });
    assert!(rig.opened[0].ends_with("from_sequence_num=0"));
    rig.answer(200, r#"{"data":[{"event_id":"e4","sequence_num":4}]}"#);
    rig.hear_messages(1..=4);
    let events = rig.events();
    assert_eq!(messages(&events), ["e3", "e4"]);
    assert_eq!(gaps(&events), 0);
    assert_eq!(*rig.viewer.status(), Status::Live);
}

#[test]
fn a_past_that_was_cut_before_what_is_known_leaves_no_gap() {
    for (first, is_gap) in [(2, false), (3, false), (4, false), (5, true), (9, true)] {
        let mut rig = Rig::live(Transport::Sse, |_| {});
        rig.hear_messages(1..=3);
        rig.events();
        rig.hear(format!(
            "event: catch_up_truncated\ndata: {{\"first_sequence_num\":{first}}}\n\n"
        ));
        rig.hear_messages(first.max(4)..=first.max(4));
        let events = rig.events();
        assert_eq!(gaps(&events), usize::from(is_gap), "{first}");
        assert_eq!(messages(&events).len(), 1, "{first}");
    }
}

#[test]
fn a_stream_tells_how_far_a_message_is() {
    let mut rig = Rig::live(Transport::Sse, |_| {});
    let id = rig.viewer.send(rig.now, Content::text("hi")).unwrap();
    rig.carry_out();
    rig.answer(200, "{}");
    rig.hear(format!(
        "event: delivery_update\ndata: {{\"event_id\":\"{}\",\"status\":\"DELIVERY_STATUS_PROCESSING\"}}\n\n",
        id.as_str()
    ));
    let told: Vec<SendState> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Send { state, .. } => Some(state),
            _ => None,
        })
        .collect();
    assert_eq!(
        told.last(),
        Some(&SendState::Processing),
        "it says no more than {told:?}"
    );
}

#[test]
fn a_session_that_ends_while_its_past_is_read_is_shown_as_far_as_it_came() {
    let mut rig = Rig::new(Transport::Sse, |_| {});
    rig.hear_messages(1..=3);
    rig.hear("event: session_ended\ndata: {}\n\n");
    rig.run_for(SECOND * 60);
    let events = rig.events();
    assert_eq!(messages(&events), ["e1", "e2", "e3"]);
    assert!(matches!(
        events.last(),
        Some(Event::Closed(CloseCause::SessionEnded))
    ));
    assert!(rig.calls.is_empty(), "nobody waits for an answer any more");
}

#[test]
fn a_long_past_is_not_given_up_while_it_comes() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.patience.catch_up = SECOND * 10;
    });
    rig.answer(200, r#"{"data":[{"event_id":"e40","sequence_num":40}]}"#);
    for number in 1..40 {
        rig.hear_messages(number..=number);
        rig.run_for(SECOND * 5);
        assert_eq!(*rig.viewer.status(), Status::CatchingUp, "at {number}");
    }
    rig.hear_messages(40..=40);
    assert_eq!(*rig.viewer.status(), Status::Live);
    assert_eq!(gaps(&rig.events()), 0);
}

#[test]
fn a_past_is_not_given_up_while_the_application_is_away() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.patience.catch_up = SECOND * 10;
        config.history = History::All;
        config.limits.events = 8;
    });
    rig.answer(200, r#"{"data":[{"event_id":"e20","sequence_num":20}]}"#);
    rig.hear_messages(1..=20);
    rig.run_for(SECOND * 120);
    assert!(!rig.viewer.wants_read());
    let mut events = Vec::new();
    while !rig.viewer.wants_read() {
        events.extend(rig.events());
        rig.next_timer();
    }
    events.extend(rig.events());
    assert_eq!(messages(&events).len(), 20);
    assert_eq!(gaps(&events), 0);
}

#[test]
fn an_unanswered_question_for_the_end_is_asked_six_times_and_then_silence_decides() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.patience.catch_up = SECOND * 3600;
    });
    rig.hear_messages(1..=1);
    let mut asked = 0;
    while *rig.viewer.status() == Status::CatchingUp {
        if rig.calls.is_empty() {
            rig.next_timer();
            rig.hear(":\n\n");
        } else {
            asked += 1;
            rig.answer(503, "");
        }
    }
    assert_eq!(asked, 6);
    assert_eq!(*rig.viewer.status(), Status::Live);
    assert_eq!(gaps(&rig.events()), 0);
}

#[test]
fn a_list_that_refuses_every_token_keeps_no_stream_waiting() {
    let mut rig = Rig::new(Transport::Sse, |_| {});
    rig.hear_messages(1..=1);
    rig.answer(401, "");
    assert_eq!(rig.calls, [], "not with the token that was refused");
    let id = rig.tokens.pop().unwrap();
    let token = Token::new("another");
    rig.input(Input::TokenFetched { id, token });
    rig.answer(401, "");
    assert_eq!(rig.tokens, [], "one other token is enough");
    rig.run_for(SECOND * 5);
    assert_eq!(*rig.viewer.status(), Status::Live);
}

#[test]
fn a_full_queue_of_events_stops_the_reading_though_nothing_else_waits() {
    let mut rig = Rig::live(Transport::Sse, |config| config.limits.events = 8);
    rig.hear_messages(1..=7);
    assert!(rig.viewer.wants_read());
    rig.hear_messages(8..=8);
    assert!(!rig.viewer.wants_read());
    rig.events();
    assert!(!rig.viewer.wants_read(), "what was read goes first");
    assert_eq!(rig.next_timer(), Timer::Backlog);
    assert!(rig.viewer.wants_read());

    for _ in 0..8 {
        rig.viewer.send(rig.now, Content::text("hi")).unwrap();
    }
    assert!(
        !rig.viewer.wants_read(),
        "its own events fill the queue as well"
    );
}

#[test]
fn a_gap_says_that_the_server_no_longer_has_it() {
    let mut rig = Rig::live(Transport::Sse, |_| {});
    rig.hear_messages(1..=1);
    rig.hear_messages(4..=4);
    let cause = rig.events().into_iter().find_map(|event| match event {
        Event::Gap { after, cause } => Some((after.unwrap().to_string(), cause)),
        _ => None,
    });
    assert_eq!(cause, Some(("e1".to_owned(), GapCause::NotRetained)));
}

#[test]
fn what_is_only_live_keeps_no_past_waiting() {
    let mut rig = Rig::new(Transport::Sse, |config| config.limits.held = 2);
    for number in 0..5 {
        rig.hear(format!(
            "event: ephemeral_event\ndata: {{\"type\":\"stream_event\",\"n\":{number}}}\n\n"
        ));
        assert!(rig.viewer.wants_read(), "after {number}");
    }
}

#[test]
fn a_past_of_which_only_the_end_is_shown_moves_no_cursor_before_it_is() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.history = History::Latest(2);
    });
    rig.hear_messages(1..=3);
    assert_eq!(messages(&rig.events()), Vec::<String>::new());
    assert_ne!(rig.viewer.cursor(), Some(Cursor::Sequence(3)));
    rig.answer(200, r#"{"data":[{"event_id":"e3","sequence_num":3}]}"#);
    assert_ne!(rig.viewer.cursor(), Some(Cursor::Sequence(3)));
    assert_eq!(messages(&rig.events()), ["e2", "e3"]);
    assert_eq!(rig.viewer.cursor(), Some(Cursor::Sequence(3)));
}

#[test]
fn a_past_that_stops_before_what_is_known_is_one_gap() {
    let mut rig = Rig::new(Transport::Sse, |config| {
        config.resume_from = Some(Cursor::Event("e5".into()));
        config.patience.catch_up = SECOND * 10;
    });
    rig.answer(200, r#"{"data":[{"event_id":"e9","sequence_num":9}]}"#);
    rig.hear_messages(1..=3);
    for _ in 0..10 {
        rig.run_for(SECOND * 5);
        rig.hear(":\n\n");
    }
    let events = rig.events();
    let unreachable = |event: &&Event| {
        let cause = GapCause::Unreachable;
        matches!(event, Event::Gap { cause: told, .. } if *told == cause)
    };
    assert_eq!(gaps(&events), 1);
    assert_eq!(events.iter().filter(unreachable).count(), 1);
}
