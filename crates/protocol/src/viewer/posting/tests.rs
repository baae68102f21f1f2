use bytes::Bytes;

use super::*;
use crate::io::IdCounter;

struct Desk {
    posting: Posting,
    ids: IdCounter,
    rng: Rng,
    token: Token,
}

impl Desk {
    fn new() -> Self {
        Self {
            posting: Posting::default(),
            ids: IdCounter::default(),
            rng: Rng::new([0; 32]),
            token: Token::new("t1"),
        }
    }

    fn post(&mut self, act: Act) -> bool {
        let is_free = self.posting.is_free(&self.token);
        if is_free {
            let id = self.ids.http();
            self.posting.posted(id, self.token.clone(), act);
        }
        is_free
    }

    fn answer(&mut self, status: u16, body: &'static str) -> Delivered {
        let response = HttpResponse {
            status,
            retry_after: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        self.posting
            .answered(Some(&response), &Profile::resilient(), &mut self.rng)
            .unwrap()
    }
}

fn act() -> Act {
    Act::Answer(RequestId::new("r1").unwrap())
}

#[test]
fn what_the_server_says_of_the_event_decides_and_silence_is_consent() {
    for (body, taken) in [
        ("", true),
        ("{}", true),
        (r#"{"data":[]}"#, true),
        (r#"{"data":[{"id":"u","status":"stored"}]}"#, true),
        (r#"{"data":[{"id":"u","status":"duplicate"}]}"#, true),
        (r#"{"data":[{"id":"u","status":"novelty"}]}"#, true),
        (
            r#"{"data":[{"status":"refused","reason":"answered"}]}"#,
            false,
        ),
    ] {
        let mut desk = Desk::new();
        desk.post(act());
        let delivered = desk.answer(200, body);
        assert_eq!(delivered == Delivered::Taken(act()), taken, "{body}");
        assert!(desk.post(act()), "{body}");
    }
}

#[test]
fn one_call_is_on_its_way_and_a_failure_makes_the_next_one_wait() {
    let mut desk = Desk::new();
    assert!(desk.post(act()));
    assert!(!desk.post(act()));
    assert!(matches!(desk.answer(500, ""), Delivered::Unknown(..)));
    assert!(!desk.post(act()));
    desk.posting.resume();
    assert!(desk.post(act()));
    assert!(matches!(desk.answer(429, ""), Delivered::NotTaken(..)));
}

#[test]
fn a_refused_token_is_replaced_once_and_then_the_act_is_forbidden() {
    let mut desk = Desk::new();
    desk.post(act());
    assert_eq!(desk.answer(403, ""), Delivered::NeedsToken(act()));
    assert!(!desk.post(act()));
    desk.token = Token::new("t2");
    assert!(desk.post(act()));
    let delivered = desk.answer(403, r#"{"error":{"message":"role view"}}"#);
    let Delivered::Refused(_, refused) = delivered else {
        panic!("{delivered:?}");
    };
    assert_eq!(refused.because, Some(RefusedBecause::Forbidden));
    assert_eq!(refused.message, "role view");
}

#[test]
fn nothing_goes_with_a_token_that_was_refused_for_what_still_waits() {
    let mut desk = Desk::new();
    let refused = desk.token.clone();
    desk.post(act());
    desk.answer(401, "");
    desk.token = Token::new("t2");
    assert!(desk.post(act()));
    assert!(matches!(desk.answer(500, ""), Delivered::Unknown(..)));
    desk.posting.resume();
    assert!(!desk.posting.is_free(&refused));
    assert_eq!(desk.posting.wants_other_than(), Some(&refused));
    assert!(desk.post(act()));
    assert_eq!(desk.answer(200, ""), Delivered::Taken(act()));
    assert!(desk.posting.is_free(&refused));
}

#[test]
fn refusals_go_together_and_in_order_and_come_back_in_front() {
    let mut posting = Posting::default();
    for number in 0..100 {
        posting.refuse(alloc::format!("{number}").into());
    }
    let first = posting.next_refusals();
    assert_eq!((first.len(), &*first[0]), (64, "0"));
    posting.refuse_again(first);
    assert_eq!(&*posting.next_refusals()[63], "63");
    assert_eq!(&*posting.next_refusals()[0], "64");
}

#[test]
fn refusals_have_room_up_to_their_limit_and_are_forgotten_with_the_link() {
    let mut posting = Posting::default();
    for _ in 0..3 {
        assert!(posting.has_room(3));
        posting.refuse("{}".into());
    }
    assert!(!posting.has_room(3));
    posting.forget_refusals();
    assert!(posting.has_room(3) && posting.next_refusals().is_empty());
}
