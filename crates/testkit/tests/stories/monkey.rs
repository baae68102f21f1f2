//! Inputs in any order, under any id, at any time: no panic, and the promises still hold.

use std::time::Duration;

use super::config;
use attache_protocol::{
    Bytes,
    frame::{RequestId, control::Fields},
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketEnding,
        SocketId, StreamId, Token, TokenRefusal, TokenRequestId,
    },
    time::Timestamp,
    viewer::{Content, Cursor, Decision, Event, History, Viewer},
};

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

trait Pick {
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T>;
}

impl Pick for Dice {
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.throw(from.len().max(1) as u64);
        from.get(usize::try_from(index).ok()?).cloned()
    }
}

/// Every id the viewer has ever given out.
#[derive(Default)]
struct Ids {
    tokens: Vec<TokenRequestId>,
    sockets: Vec<SocketId>,
    streams: Vec<StreamId>,
    calls: Vec<HttpRequestId>,
}

const TEXTS: &[&str] = &[
    r#"{"type":"assistant","uuid":"u1"}"#,
    r#"{"type":"assistant","uuid":"u2"}"#,
    r#"{"type":"result"}"#,
    r#"{"type":"system","subtype":"status","status":"compacting"}"#,
    r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}"#,
    r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"x":1}}}"#,
    r#"{"type":"control_request","request_id":"r2","request":{"subtype":"novelty"}}"#,
    r#"{"type":"control_request","request_id":"r3"}"#,
    r#"{"type":"control_cancel_request","request_id":"r1"}"#,
    r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"allow"}}}"#,
    r#"{"type":"control_response","response":7}"#,
    r#"{"type":"keep_alive"}"#,
    "{\"type\":\"a\"}\n{\"type\":\"b\"}\nbroken",
    "broken",
    "",
];

const BODIES: &[&str] = &[
    "{}",
    "broken",
    r#"{"data":[],"has_more":false}"#,
    r#"{"data":[{"sequence_num":3}]}"#,
    r#"{"data":[{"sequence_num":"18446744073709551615"}]}"#,
    r#"{"data":[{"id":"x","status":"stored"}]}"#,
    r#"{"data":[{"id":"x","status":"refused","reason":"withdrawn"}]}"#,
    r#"{"data":[{"id":"x","status":"refused","reason":"mood"}]}"#,
    r#"{"data":[{"type":"assistant","uuid":"u1"}],"has_more":true,"last_id":"u1"}"#,
    r#"{"data":[{"type":"assistant","uuid":"u3"},{"type":"control_cancel_request","request_id":"r1","uuid":"c"}],"has_more":false}"#,
];

const PIECES: &[&str] = &[
    ":ok\n\n",
    "event: client_event\n",
    "event: ephemeral_event\n",
    "event: catch_up_truncated\ndata: {\"first_sequence_num\":5}\n\n",
    "event: catch_up_truncated\ndata: {}\n\n",
    "event: delivery_update\ndata: {\"event_id\":\"u1\",\"status\":\"DELIVERY_STATUS_PROCESSED\"}\n\n",
    "event: session_ended\n",
    "id: 1\n",
    "id: 2\n",
    "id: 9\n",
    "id: 18446744073709551615\n",
    "data: {\"sequence_num\":3,\"source\":\"client\",\"payload\":{\"type\":\"control_request\",\"request_id\":\"r9\",\"request\":{\"subtype\":\"x\"}}}\n",
    "data: {\"event_id\":\"e\",\"payload\":{\"type\":\"assistant\"}}\n",
    "data: {\"sequence_num\":\"4\",\"payload\":{\"type\":\"assistant\",\"uuid\":\"u1\"}}\n",
    "data: {\"sequence_num\":6,\"payload\":{\"type\":\"result\",\"uuid\":\"u2\"}}\n",
    "data: {\"payload\":{\"type\":\"control_request\",\"request_id\":\"r1\",\"request\":{\"subtype\":\"can_use_tool\",\"tool_name\":\"Bash\",\"input\":{}}}}\n",
    "data: {\"payload\":{\"type\":\"control_request\",\"request_id\":\"r2\",\"request\":{\"subtype\":\"novelty\"}}}\n",
    "data: broken",
    "\n",
    "\n\n",
    "\r\n",
];

fn input(dice: &mut Dice, ids: &Ids) -> Option<Input> {
    let socket = dice.pick(&ids.sockets);
    let stream = dice.pick(&ids.streams);
    let call = dice.pick(&ids.calls);
    let token = dice.pick(&ids.tokens);
    let status = dice.pick(&[200, 201, 400, 401, 403, 404, 410, 413, 429, 500, 503])?;
    let retry_after = dice.pick(&[
        None,
        Some(Duration::ZERO),
        Some(Duration::from_secs(5)),
        Some(Duration::MAX),
    ])?;
    let failure = dice.pick(&[
        NetworkFailure::Reset,
        NetworkFailure::TooLarge,
        NetworkFailure::Tls,
        NetworkFailure::TimedOut,
    ])?;
    Some(match dice.throw(24) {
        0 => Input::TokenFetched {
            id: token?,
            token: Token::new(dice.pick(&["a", "b", ""])?),
        },
        1 => Input::TokenRefused {
            id: token?,
            refusal: TokenRefusal::Unavailable,
        },
        2 | 3 => Input::SocketOpened { id: socket? },
        4 => Input::SocketRefused {
            id: socket?,
            refusal: if dice.throw(2) == 0 {
                Refusal::Network(failure)
            } else {
                Refusal::Http {
                    status: dice.pick(&[500, 503, 404])?,
                    retry_after,
                }
            },
        },
        5 => Input::SocketBytes { id: socket? },
        6..=8 => Input::SocketText {
            id: socket?,
            text: dice.pick(TEXTS)?.into(),
        },
        9 => Input::SocketBinary {
            id: socket?,
            bytes: Bytes::from_static(dice.pick(&[&b"\xff"[..], b"{}", b""])?),
        },
        10 => Input::SocketPong {
            id: socket?,
            payload: dice.pick(&[None, Some(0), Some(1), Some(5), Some(u64::MAX)])?,
        },
        11 => Input::SocketClosed {
            id: socket?,
            ending: if dice.throw(2) == 0 {
                SocketEnding::Lost(failure)
            } else {
                SocketEnding::CloseFrame {
                    code: dice.pick(&[1001, 1006, 1011, 1012, 3000])?,
                    reason: "".into(),
                }
            },
        },
        12 | 13 => Input::HttpAnswered {
            id: call?,
            response: HttpResponse {
                status,
                retry_after,
                body: Bytes::from_static(dice.pick(BODIES)?.as_bytes()),
            },
        },
        14 => Input::HttpFailed { id: call?, failure },
        15 => Input::Woke,
        16 | 17 => Input::StreamOpened { id: stream? },
        18 => Input::StreamClosed {
            id: stream?,
            ending: if dice.throw(2) == 0 {
                Refusal::Network(failure)
            } else {
                Refusal::Http {
                    status: dice.pick(&[500, 503, 404, 410])?,
                    retry_after,
                }
            },
        },
        _ => Input::StreamBytes {
            id: stream?,
            bytes: Bytes::from_static(dice.pick(PIECES)?.as_bytes()),
        },
    })
}

fn command(dice: &mut Dice, viewer: &mut Viewer, now: Timestamp) {
    match dice.throw(40) {
        0 => {
            let _ = viewer.connect(now);
        }
        1..=4 => drop(viewer.send(now, Content::text("x"))),
        5..=8 => {
            let id = RequestId::new("r1").unwrap();
            let _ = viewer.decide(now, &id, &Decision::deny("no"));
        }
        9 | 10 => {
            let _ = viewer.interrupt(now);
        }
        11 | 12 => {
            let _ = viewer.request(now, "x", &Fields::NONE);
        }
        13 => {
            let _ = viewer.reconnect(now);
        }
        14 if dice.throw(30) == 0 => viewer.close(now),
        _ => {}
    }
}

fn rampage(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut config = config();
    config.history = dice
        .pick(&[History::None, History::Latest(2), History::All])
        .unwrap();
    config.resume_from = dice
        .pick(&[
            None,
            None,
            Some(Cursor::Sequence(2)),
            Some(Cursor::Event("u1".into())),
        ])
        .unwrap();
    config.viewer_only = dice.throw(8) == 0;
    config.initialize = dice.throw(2) == 0;
    config.limits.held = usize::try_from(dice.throw(4)).unwrap();
    config.limits.events = 4 + usize::try_from(dice.throw(40)).unwrap();
    config.limits.outbox = 3;
    config.limits.requests = 3;
    let mut viewer = Viewer::new(config, [3; 32], Timestamp::ORIGIN);
    let mut now = Timestamp::ORIGIN;
    let mut ids = Ids::default();
    let mut alive: Vec<u64> = Vec::new();
    let mut closed = false;
    viewer.connect(now).unwrap();
    for _ in 0..2000 {
        let wait = Duration::from_millis(dice.throw(500) * dice.throw(20));
        if dice.throw(3) == 0 {
            now = now.checked_add(wait).unwrap();
        }
        match dice.throw(4) {
            0 => {
                viewer.handle_timeout(now);
                if let Some((at, timer)) = viewer.poll_timeout() {
                    assert!(at > now, "{timer:?} is still due");
                }
            }
            1 => command(&mut dice, &mut viewer, now),
            _ => {
                if let Some(input) = input(&mut dice, &ids) {
                    match &input {
                        Input::SocketClosed { id, .. } | Input::SocketRefused { id, .. } => {
                            alive.retain(|line| *line != id.get());
                        }
                        Input::StreamClosed { id, .. } => alive.retain(|line| *line != id.get()),
                        _ => {}
                    }
                    viewer.handle_input(now, input);
                }
            }
        }
        if dice.throw(4) > 0 {
            while let Some(event) = viewer.poll_event() {
                assert!(!closed, "{event:?} after Closed");
                closed = matches!(event, Event::Closed(_));
            }
        }
        while let Some(effect) = viewer.poll_effect() {
            match effect {
                Effect::OpenStream { id, .. } => {
                    assert!(alive.is_empty(), "{id:?} beside {alive:?}");
                    alive.push(id.get());
                    ids.streams.push(id);
                }
                Effect::CloseStream { id } => alive.retain(|line| *line != id.get()),
                Effect::FetchToken { id, .. } => ids.tokens.push(id),
                Effect::OpenSocket { id, .. } => {
                    assert!(alive.is_empty(), "{id:?} beside {alive:?}");
                    alive.push(id.get());
                    ids.sockets.push(id);
                }
                Effect::AbortSocket { id } => alive.retain(|line| *line != id.get()),
                Effect::SendHttp { id, .. } => ids.calls.push(id),
                Effect::SendText { .. }
                | Effect::SendPing { .. }
                | Effect::CloseSocket { .. }
                | Effect::CancelHttp { .. } => {}
            }
        }
        // Mostly the newest ids, now and then a stale one.
        if dice.throw(3) > 0 {
            ids.sockets.drain(..ids.sockets.len().saturating_sub(2));
            ids.streams.drain(..ids.streams.len().saturating_sub(2));
            ids.calls.drain(..ids.calls.len().saturating_sub(2));
            ids.tokens.drain(..ids.tokens.len().saturating_sub(2));
        }
    }
    viewer.close(now);
    let end = now.checked_add(Duration::from_secs(3600)).unwrap();
    viewer.handle_timeout(end);
    assert!(viewer.is_closed());
    while viewer.poll_effect().is_some() {}
    while viewer.poll_event().is_some() {}
    assert!(viewer.is_drained());
    assert_eq!(viewer.poll_timeout(), None);
}

#[test]
fn inputs_in_any_order_break_nothing() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| rampage(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
