use alloc::{format, string::String};

use bytes::Bytes;

use super::*;
use crate::io::{HttpResponse, IdCounter, NetworkFailure};
use crate::{policy::Profile, rng::Rng};

struct Desk {
    catch_up: CatchUp,
    ids: IdCounter,
    rng: Rng,
}

impl Desk {
    fn new() -> Self {
        Self {
            catch_up: CatchUp::new(),
            ids: IdCounter::default(),
            rng: Rng::new([0; 32]),
        }
    }

    fn open(&mut self, history: History) -> Start {
        self.catch_up.open(history, &Limits::default())
    }

    /// Asks for the next page; the `after_id` asked with.
    fn ask(&mut self) -> Option<String> {
        let token = Token::new("t");
        let NextPage::Entries { after, .. } = self.catch_up.next_page(&token)? else {
            return None;
        };
        let after = after.map(|id| String::from(&*id));
        self.catch_up.page_sent(self.ids.http(), token);
        Some(after.unwrap_or_default())
    }

    fn answer(&mut self, status: u16, body: &str) -> PageOutcome {
        let response = HttpResponse {
            status,
            retry_after: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.catch_up
            .answered(
                Ok(&response),
                &Profile::resilient(),
                &Limits::default(),
                &mut self.rng,
            )
            .unwrap()
    }

    fn page(&mut self, uuids: &[&str], has_more: bool) -> PageOutcome {
        let frames: Vec<String> = uuids
            .iter()
            .map(|uuid| format!(r#"{{"type":"user","uuid":"{uuid}"}}"#))
            .collect();
        let body = format!(r#"{{"data":[{}],"has_more":{has_more}}}"#, frames.join(","));
        self.answer(200, &body)
    }
}

fn frame(uuid: &str) -> Frame {
    Frame::classify(format!(r#"{{"type":"user","uuid":"{uuid}"}}"#).into()).unwrap()
}

#[test]
fn pages_follow_each_other_until_there_is_no_more() {
    let mut desk = Desk::new();
    assert_eq!(desk.open(History::All), Start::Running);
    assert_eq!(desk.ask().unwrap(), "");
    assert!(
        matches!(desk.page(&["a", "b"], true), PageOutcome::Frames(frames) if frames.len() == 2)
    );
    assert_eq!(desk.ask().unwrap(), "b");
    desk.page(&["c"], false);
    assert!(desk.catch_up.is_done());
    assert!(desk.catch_up.finish().unwrap().is_complete);

    assert_eq!(desk.open(History::All), Start::Running);
    assert_eq!(desk.ask().unwrap(), "c");
}

#[test]
fn an_empty_log_is_a_position_too() {
    let mut desk = Desk::new();
    desk.open(History::Latest(5));
    desk.ask();
    desk.page(&[], false);
    desk.catch_up.finish();
    assert_eq!(desk.open(History::Latest(5)), Start::Running);
    assert_eq!(desk.ask().unwrap(), "");
}

#[test]
fn without_history_the_first_live_frame_is_the_position() {
    let mut desk = Desk::new();
    assert_eq!(desk.open(History::None), Start::Nothing);
    assert_eq!(desk.open(History::None), Start::NoPosition);
    desk.catch_up.delivered(&frame("x"), &"x".into());
    assert_eq!(desk.open(History::None), Start::Running);
    assert_eq!(desk.ask().unwrap(), "x");
}

#[test]
fn a_hole_is_told_once_and_at_its_edge() {
    let mut desk = Desk::new();
    desk.open(History::All);
    desk.ask();
    desk.page(&["a"], true);
    desk.ask();
    assert!(matches!(
        desk.answer(410, ""),
        PageOutcome::Gap(Some(edge), GapCause::NotRetained) if &*edge == "a"
    ));
    assert_eq!(desk.ask().unwrap(), "");
    assert!(matches!(desk.answer(500, ""), PageOutcome::Again(_)));
    desk.catch_up.resume();
    desk.ask();
    assert!(matches!(desk.answer(418, ""), PageOutcome::Frames(frames) if frames.is_empty()));
    assert!(desk.catch_up.is_done());
    assert!(!desk.catch_up.finish().unwrap().is_complete);
}

#[test]
fn a_server_without_a_list_is_a_gap() {
    let mut desk = Desk::new();
    desk.open(History::All);
    desk.ask();
    assert!(matches!(
        desk.answer(404, ""),
        PageOutcome::Gap(None, GapCause::NoHistory)
    ));
    assert!(desk.catch_up.is_done());
}

#[test]
fn what_is_not_a_page_is_a_gap_and_never_a_loop() {
    for body in [
        "",
        "[]",
        "garbage",
        r#"{"data":{},"has_more":false}"#,
        r#"{"data":[]}"#,
    ] {
        let mut desk = Desk::new();
        desk.open(History::All);
        desk.ask();
        assert!(
            matches!(
                desk.answer(200, body),
                PageOutcome::Gap(None, GapCause::Unreadable)
            ),
            "{body}"
        );
    }
    let mut desk = Desk::new();
    desk.open(History::All);
    desk.ask();
    desk.page(&["a"], true);
    desk.ask();
    assert!(matches!(desk.page(&["a"], true), PageOutcome::Gap(..)));
}

#[test]
fn a_held_copy_of_a_loaded_frame_is_dropped() {
    let mut desk = Desk::new();
    desk.open(History::All);
    assert!(desk.catch_up.hold(frame("a"), &Limits::default()).is_none());
    assert!(desk.catch_up.hold(frame("b"), &Limits::default()).is_none());
    desk.catch_up.loaded(&frame("a"));
    desk.ask();
    desk.page(&["a"], false);
    let held = desk.catch_up.finish().unwrap().held;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].frame.uuid().unwrap(), "b");
}

#[test]
fn a_page_is_not_asked_for_again_with_the_token_that_was_refused_for_it() {
    let mut desk = Desk::new();
    let (refused, other) = (Token::new("t"), Token::new("other"));
    desk.open(History::All);
    desk.ask();
    assert!(matches!(desk.answer(401, ""), PageOutcome::NeedsToken));
    assert_eq!(desk.catch_up.wants_other_than(), Some(&refused));
    assert!(desk.catch_up.next_page(&other).is_some());
    desk.catch_up.page_sent(desk.ids.http(), other.clone());
    assert!(matches!(desk.answer(500, ""), PageOutcome::Again(_)));
    assert_eq!(desk.catch_up.wants_other_than(), None);
    desk.catch_up.resume();
    assert_eq!(desk.ask(), None);
    assert!(desk.catch_up.next_page(&other).is_some());
}

#[test]
fn a_run_survives_the_link_and_goes_on_where_it_was() {
    let mut desk = Desk::new();
    desk.open(History::All);
    desk.ask();
    desk.page(&["a"], true);
    desk.ask();
    assert!(desk.catch_up.hold(frame("z"), &Limits::default()).is_none());
    let novelty = Frame::classify(r#"{"type":"novelty","uuid":"n"}"#.into()).unwrap();
    assert!(desk.catch_up.hold(novelty, &Limits::default()).is_none());
    assert!(desk.catch_up.link_lost().is_some());
    assert_eq!(desk.open(History::All), Start::Running);
    assert_eq!(desk.ask().unwrap(), "a");
    desk.page(&[], false);
    let held = desk.catch_up.finish().unwrap().held;
    // What is stored for sure is loaded; whether the other one is, nobody knows.
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].frame.uuid().unwrap(), "n");
    assert_eq!(held[0].link, HeldFrom::EarlierLink);
}

#[test]
fn only_the_end_of_a_long_history_is_kept() {
    let mut desk = Desk::new();
    desk.open(History::Latest(2));
    for uuid in ["a", "b", "c"] {
        assert!(desk.catch_up.keep_for_tail(frame(uuid)).is_none());
    }
    let tail = desk.catch_up.finish().unwrap().tail;
    let uuids: Vec<&str> = tail
        .iter()
        .map(|kept| match kept {
            Kept::Message(frame, _) => &**frame.uuid().unwrap(),
            Kept::Hole(..) => "a hole",
        })
        .collect();
    assert_eq!(uuids, ["b", "c"]);
}

#[test]
fn holding_is_bounded() {
    let limits = Limits {
        held: 2,
        ..Limits::default()
    };
    let mut catch_up = CatchUp::new();
    catch_up.open(History::All, &limits);
    assert!(catch_up.hold(frame("a"), &limits).is_none());
    assert!(catch_up.has_room(&limits, Subscription::Made));
    assert!(catch_up.hold(frame("b"), &limits).is_none());
    assert!(!catch_up.has_room(&limits, Subscription::Made));
    let awaited = Subscription::AwaitsPong(1);
    assert!(catch_up.has_room(&limits, awaited));
    assert!(catch_up.hold(frame("c"), &limits).is_none());
    assert!(catch_up.has_room(&limits, awaited));
    assert!(catch_up.hold(frame("d"), &limits).is_none());
    assert!(!catch_up.has_room(&limits, awaited));
}

#[test]
fn a_frame_the_server_did_not_store_is_no_dead_end() {
    let live = |type_name: &str, uuid: &str| {
        let text = format!(r#"{{"type":"{type_name}","uuid":"{uuid}"}}"#);
        Frame::classify(text.into()).unwrap()
    };
    let mut desk = Desk::new();
    desk.open(History::None);
    let kept = live("assistant", "kept");
    desk.catch_up.delivered(&kept, &"kept".into());
    let passing = live("tool_progress", "passing");
    desk.catch_up.delivered(&passing, &"passing".into());
    desk.open(History::None);
    assert_eq!(desk.ask().unwrap(), "passing");
    assert!(matches!(desk.answer(404, ""), PageOutcome::Frames(frames) if frames.is_empty()));
    assert_eq!(desk.ask().unwrap(), "kept");
    assert!(matches!(desk.answer(404, ""), PageOutcome::Gap(..)));
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_pieces() {
    let mut desk = Desk::new();
    desk.open(History::All);
    let mut asked = Vec::new();
    loop {
        let Some(NextPage::Entries { entries, .. }) = desk.catch_up.next_page(&Token::new("t"))
        else {
            panic!("a page is wanted");
        };
        asked.push(entries);
        desk.ask();
        let outcome = desk.catch_up.answered(
            Err(NetworkFailure::TooLarge),
            &Profile::resilient(),
            &Limits::default(),
            &mut desk.rng,
        );
        if matches!(outcome, Some(PageOutcome::Gap(None, GapCause::Unreadable))) {
            break;
        }
    }
    assert_eq!(asked, [100, 25, 6, 1]);
}

#[test]
fn a_server_that_forgets_every_position_is_not_asked_for_ever() {
    let mut desk = Desk::new();
    desk.open(History::All);
    let mut asked = 0;
    while desk.ask().is_some() {
        asked += 1;
        match asked % 2 {
            1 => desk.page(&["a"], true),
            _ => desk.answer(410, ""),
        };
    }
    assert!(desk.catch_up.is_done());
    assert!(asked < 10);
}

#[test]
fn a_list_that_refuses_every_token_is_a_gap_and_no_loop() {
    let mut desk = Desk::new();
    desk.open(History::All);
    desk.ask();
    assert!(matches!(desk.answer(401, ""), PageOutcome::NeedsToken));
    assert_eq!(desk.ask(), None, "not with the token that was refused");
    let other = Token::new("other");
    assert!(desk.catch_up.next_page(&other).is_some());
    desk.catch_up.page_sent(desk.ids.http(), other);
    let refused = GapCause::Refused { status: 401 };
    assert!(matches!(desk.answer(401, ""), PageOutcome::Gap(None, cause) if cause == refused));
}

#[test]
fn a_held_request_outlives_its_copy_in_the_log() {
    let text = r#"{"type":"control_request","uuid":"p","request_id":"r","request":{"subtype":"can_use_tool"}}"#;
    let request = Frame::classify(text.into()).unwrap();
    let mut desk = Desk::new();
    desk.open(History::All);
    assert!(
        desk.catch_up
            .hold(request.clone(), &Limits::default())
            .is_none()
    );
    desk.catch_up.loaded(&request);
    assert_eq!(desk.catch_up.finish().unwrap().held.len(), 1);
}
