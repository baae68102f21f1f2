use super::*;
use crate::io::IdCounter;

struct Desk {
    outbox: Outbox,
    ids: IdCounter,
    rng: Rng,
    token: Token,
}

impl Desk {
    fn new(messages: &[&'static str]) -> Self {
        let mut outbox = Outbox::new(&Limits::default(), 1);
        for message in messages {
            outbox.push(MessageId((*message).into()), Bytes::from_static(b"{}"));
        }
        Self {
            outbox,
            ids: IdCounter::default(),
            rng: Rng::new([0; 32]),
            token: Token::new("t1"),
        }
    }

    fn post(&mut self) -> Option<MessageId> {
        let (id, _) = self.outbox.next(&self.token)?;
        self.outbox.posted(self.ids.http(), self.token.clone());
        Some(id)
    }

    fn answer(&mut self, status: u16) -> Posted {
        let response = HttpResponse {
            status,
            retry_after: None,
            body: Bytes::new(),
        };
        self.outbox
            .answered(Some(&response), &Profile::resilient(), &mut self.rng)
            .unwrap()
    }

    fn lose_answer(&mut self) -> Posted {
        self.outbox
            .answered(None, &Profile::resilient(), &mut self.rng)
            .unwrap()
    }
}

fn id(text: &'static str) -> MessageId {
    MessageId(text.into())
}

#[test]
fn one_message_is_in_flight_and_order_is_kept() {
    let mut desk = Desk::new(&["a", "b"]);
    assert_eq!(desk.post(), Some(id("a")));
    assert_eq!(desk.post(), None);
    assert_eq!(desk.answer(201), Posted::Done(id("a"), SendState::Accepted));
    assert_eq!(desk.post(), Some(id("b")));
}

#[test]
fn a_lost_answer_is_unknown_and_the_same_message_goes_again() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.post();
    assert!(matches!(
        desk.lose_answer(),
        Posted::Again(_, SendState::Unknown, _)
    ));
    assert_eq!(desk.post(), None);
    desk.outbox.resume();
    assert_eq!(desk.post(), Some(id("a")));
}

#[test]
fn a_refused_token_is_replaced_once() {
    let mut desk = Desk::new(&["a"]);
    desk.post();
    assert_eq!(desk.answer(401), Posted::NeedsToken(id("a")));
    assert_eq!(desk.post(), None);
    desk.token = Token::new("t2");
    assert_eq!(desk.post(), Some(id("a")));
    assert_eq!(
        desk.answer(401),
        Posted::Done(id("a"), SendState::Rejected(SendRejection::Unauthorized))
    );
}

#[test]
fn a_message_never_goes_again_with_the_token_that_was_refused_for_it() {
    let mut desk = Desk::new(&["a"]);
    desk.post();
    desk.answer(401);
    desk.token = Token::new("t2");
    assert_eq!(desk.post(), Some(id("a")));
    desk.lose_answer();
    desk.outbox.resume();

    let refused = Token::new("t1");
    desk.token = refused.clone();
    assert_eq!(desk.post(), None);
    assert_eq!(desk.outbox.wants_other_than(), Some(&refused));
    assert_eq!(desk.outbox.no_other_token(&Token::new("t2")), None);
    let rejected = SendState::Rejected(SendRejection::Unauthorized);
    assert_eq!(
        desk.outbox.no_other_token(&refused),
        Some(Posted::Done(id("a"), rejected))
    );
}

#[test]
fn the_echo_confirms_once() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.post();
    let (confirmed, call) = desk.outbox.confirm("a").unwrap();
    assert_eq!(confirmed, id("a"));
    assert!(call.is_some());
    assert!(desk.outbox.confirm("a").is_none());
    assert!(desk.outbox.is_own("a"));
    assert_eq!(desk.post(), Some(id("b")));
}

#[test]
fn an_accepted_message_gets_further_and_never_back() {
    use DeliveryStatus::{Processed, Processing, Received};
    let mut desk = Desk::new(&["a", "b"]);
    assert_eq!(desk.outbox.advanced("a", Received), None);
    desk.post();
    desk.answer(200);
    let advanced = |outbox: &mut Outbox, status| outbox.advanced("a", status);
    let outbox = &mut desk.outbox;
    assert_eq!(
        advanced(outbox, Processing),
        Some((id("a"), SendState::Processing))
    );
    assert_eq!(advanced(outbox, Received), None);
    assert_eq!(advanced(outbox, Processing), None);
    assert_eq!(
        advanced(outbox, Processed),
        Some((id("a"), SendState::Processed))
    );
    assert_eq!(advanced(outbox, Processed), None);
    assert_eq!(outbox.advanced("b", Received), None);
}

#[test]
fn closing_says_which_messages_may_have_arrived() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.post();
    assert_eq!(
        desk.outbox.close(),
        [
            (id("a"), SendRejection::ClosedUnconfirmed),
            (id("b"), SendRejection::Closed)
        ]
    );
}

#[test]
fn the_outbox_is_bounded_in_count_and_bytes() {
    let limits = Limits {
        outbox: 1,
        outbox_bytes: 10,
        ..Limits::default()
    };
    let mut outbox = Outbox::new(&limits, 1);
    assert_eq!(
        outbox.admits(11, &limits),
        Err(SendRefusal::TooLarge { limit: 10 })
    );
    outbox.push(id("a"), Bytes::from_static(b"{}"));
    assert_eq!(outbox.admits(2, &limits), Err(SendRefusal::Full));
}

#[test]
fn an_outbox_fills_its_bytes_to_the_last_one() {
    let limits = Limits {
        outbox_bytes: 10,
        ..Limits::default()
    };
    let mut outbox = Outbox::new(&limits, 1);
    assert_eq!(outbox.admits(10, &limits), Ok(()));
    outbox.push(id("a"), Bytes::from_static(b"1234"));
    assert_eq!(outbox.admits(6, &limits), Ok(()));
    assert_eq!(outbox.admits(7, &limits), Err(SendRefusal::Full));
}

#[test]
fn how_far_a_message_is_gets_told_for_as_many_as_may_wait() {
    let limits = Limits {
        outbox: 2,
        ..Limits::default()
    };
    let mut desk = Desk::new(&[]);
    desk.outbox = Outbox::new(&limits, 1);
    for name in ["a", "b", "c"] {
        desk.outbox.push(id(name), Bytes::from_static(b"{}"));
        desk.post();
        desk.answer(200);
    }
    let mut told = |name| desk.outbox.advanced(name, DeliveryStatus::Received);
    assert_eq!(told("a"), None);
    assert_eq!(told("b"), Some((id("b"), SendState::Delivered)));
    assert_eq!(told("c"), Some((id("c"), SendState::Delivered)));
}
