//! Every state a viewer can get into under a hostile driver, scene by scene.

mod digest;
mod ledger;
mod model;
mod moves;
mod promises;
mod scene;

use super::{History, Transport};
use crate::{
    exhaustive::{Extent, Model as _, search, search_all},
    io::Refusal,
};
use ledger::CallKind;
use model::Attended;
use moves::{Answer, LineFact, Move};
use scene::Scene;

const CONNECTION: Scene = Scene::bare(Transport::WebSocket);
const STREAM: Scene = Scene::bare(Transport::Sse);

const MESSAGE: &str = r#"{"type":"assistant","uuid":"u1"}"#;
const PROMPT: &str = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}"#;
const OTHER_PROMPT: &str = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Write","input":{}}}"#;
const CANCEL: &str = r#"{"type":"control_cancel_request","request_id":"r1"}"#;
const ANSWERED: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"allow","updatedInput":{}}}}"#;
const ECHO: &str = r#"{"type":"user","uuid":"OWN"}"#;
const DONE: &str =
    r#"{"type":"control_response","response":{"subtype":"success","request_id":"REQUEST"}}"#;
const RESULT: &str = r#"{"type":"result","uuid":"u9"}"#;

const PROMPTS: Scene = Scene {
    frames: &[PROMPT, OTHER_PROMPT, CANCEL, ANSWERED],
    codes: &[1012],
    decides: true,
    ..CONNECTION
};

const SENDING: Scene = Scene {
    frames: &[ECHO],
    codes: &[1012, 4003],
    sends: 2,
    ..CONNECTION
};

const REQUESTS: Scene = Scene {
    frames: &[DONE, RESULT],
    codes: &[1012],
    requests: 2,
    ..CONNECTION
};

const CATCHING_UP: Scene = Scene {
    history: History::All,
    frames: &[MESSAGE, PROMPT, CANCEL],
    pages: &[
        r#"{"data":[],"has_more":false}"#,
        r#"{"data":[{"type":"assistant","uuid":"u1"}],"has_more":false}"#,
        r#"{"data":[{"type":"control_request","uuid":"p1","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}],"has_more":true}"#,
        "nonsense",
    ],
    codes: &[1012],
    ..CONNECTION
};

const SLOW_READER: Scene = Scene {
    history: History::Latest(1),
    frames: &[MESSAGE, PROMPT],
    pages: &[
        r#"{"data":[],"has_more":false}"#,
        r#"{"data":[{"type":"assistant","uuid":"u1"},{"type":"assistant","uuid":"u2"}],"has_more":false}"#,
    ],
    codes: &[1012],
    sends: 1,
    pauses_reading: true,
    ..CONNECTION
};

const STREAMED: Scene = Scene {
    history: History::All,
    frames: &[
        ":\n\n",
        "id: 1\nevent: client_event\ndata: {\"event_id\":\"u1\",\"sequence_num\":1,\"payload\":{\"type\":\"assistant\",\"uuid\":\"u1\"}}\n\n",
        "id: 3\nevent: client_event\ndata: {\"event_id\":\"p1\",\"sequence_num\":3,\"payload\":{\"type\":\"control_request\",\"uuid\":\"p1\",\"request_id\":\"r1\",\"request\":{\"subtype\":\"can_use_tool\",\"tool_name\":\"Bash\",\"input\":{}}}}\n\n",
        "event: session_ended\ndata: {}\n\n",
    ],
    pages: &[
        r#"{"data":[]}"#,
        r#"{"data":[{"event_id":"u1","sequence_num":1}]}"#,
        "nonsense",
    ],
    sends: 1,
    decides: true,
    ..STREAM
};

const EVEN_STREAM: Scene = Scene::narrow(Transport::Sse);

/// The moves that lead to a link.
const UP: [Move; 3] = [
    Move::Connect,
    Move::Token("first"),
    Move::Line(LineFact::Opened),
];

fn from_the_start(name: &str, scene: &'static Scene) -> Extent {
    search(name, &Attended::new(scene))
}

fn from_a_link(name: &str, scene: &'static Scene) -> Extent {
    search(name, &Attended::after(scene, &UP))
}

#[test]
fn every_promise_holds_in_every_state_of_a_bare_connection() {
    search_all("viewer, a connection", &Attended::new(&CONNECTION));
}

#[test]
fn every_promise_holds_in_every_state_of_an_even_stream() {
    search_all("viewer, an even stream", &Attended::new(&EVEN_STREAM));
}

#[test]
fn every_promise_holds_over_a_bare_stream() {
    from_the_start("viewer, a stream", &STREAM);
}

#[test]
fn every_promise_holds_while_prompts_are_answered() {
    from_a_link("viewer, prompts", &PROMPTS);
}

#[test]
fn every_promise_holds_while_messages_are_sent() {
    from_a_link("viewer, sending", &SENDING);
}

#[test]
fn every_promise_holds_while_the_agent_is_asked() {
    from_a_link("viewer, requests", &REQUESTS);
}

#[test]
fn every_promise_holds_while_the_past_is_loaded() {
    from_a_link("viewer, catching up", &CATCHING_UP);
}

#[test]
fn every_promise_holds_while_the_application_reads_slowly() {
    from_a_link("viewer, a slow reader", &SLOW_READER);
}

#[test]
fn every_promise_holds_while_a_stream_brings_the_past() {
    from_the_start("viewer, a stream with a past", &STREAMED);
}

/// Paths that once led to a breach.
#[test]
fn a_stream_that_is_begun_anew_is_a_connection_being_made() {
    let refused = |status| {
        Move::Line(LineFact::Refused(Refusal::Http {
            status,
            retry_after: None,
        }))
    };
    let gone = [
        Move::Connect,
        Move::Token("first"),
        Move::Line(LineFact::Opened),
        Move::Line(LineFact::Text(1)),
        refused(401),
        Move::Token("second"),
        refused(410),
        Move::Line(LineFact::Opened),
    ];
    let in_vain = [Move::Oversleep];
    let begun_anew = Attended::after(&STREAMED, &[&gone[..], &in_vain].concat());
    assert_eq!(begun_anew.check(), Ok(()));

    // Calls go on with the token that was refused to the first stream.
    let in_vain = [
        Move::Answer(CallKind::Page, Answer::Status(401)),
        Move::Token("first"),
        Move::Answer(CallKind::Page, Answer::Good(0)),
    ];
    let begun_anew = Attended::after(&STREAMED, &[&gone[..], &in_vain].concat());
    assert_eq!(begun_anew.check(), Ok(()));
}

#[test]
fn a_prompt_that_another_answered_is_answered_anew_when_it_is_asked_anew() {
    let asked_anew = [
        Move::Line(LineFact::Text(0)),
        Move::Deny,
        Move::Line(LineFact::Text(3)),
        Move::Reconnect,
        Move::Deadline,
        Move::Token("first"),
        Move::Line(LineFact::Opened),
        Move::Line(LineFact::Text(0)),
        Move::Allow,
    ];
    let answered = Attended::after(&PROMPTS, &[&UP[..], &asked_anew].concat());
    assert_eq!(answered.check(), Ok(()));
}
