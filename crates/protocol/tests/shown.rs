//! What people are shown: enough to know what it is about, and never what was said.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use attache_protocol::{
    SessionId,
    frame::{
        Frame, RawJson, RequestId,
        permission::PermissionRequest,
        sse::{SseDecoder, SseItem},
    },
    io::{Effect, HttpResponse, Input, NetworkFailure, Token},
    policy::{CloseCause, Outcome, SessionEnd},
    time::Timestamp,
    viewer::{
        AfterDeny, Content, Decision, Deny, Event, ReconnectError, RequestError, SendRefusal,
        Viewer, ViewerConfig,
    },
    worker::{NewSession, SessionChoice, UploadRefusal, Worker, WorkerCloseCause, WorkerConfig},
};

const SECRET: &str = "tell nobody";

/// What `Debug` shows, which names the thing and keeps the secret.
fn shown(name: &str, thing: &impl Debug) -> String {
    let text = format!("{thing:?}");
    assert!(text.contains(name), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    text
}

fn frame(text: &str) -> Frame {
    Frame::classify(text.replace("SECRET", SECRET).into()).unwrap()
}

#[test]
fn frames_show_their_kind_and_length() {
    let said = frame(r#"{"type":"assistant","message":"SECRET"}"#);
    let length = format!("{}", said.as_str().len());
    assert!(shown("Frame", &said).contains(&length));

    let asked = frame(
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"x":"SECRET"}}}"#,
    );
    let prompt = PermissionRequest::parse(&asked).unwrap();
    let text = shown("PermissionRequest", &prompt);
    assert!(text.contains("r1") && text.contains("Bash"));

    let bad = Frame::classify(SECRET.into()).unwrap_err();
    assert!(shown("MalformedFrame", &bad).contains("11"));
    let bad = frame(r#"{"type":"assistant","message":{"content":"SECRET","id":7}}"#);
    let bad = bad.view().unwrap_err();
    assert!(shown("MalformedMessage", &bad).contains("message.id"));

    assert!(shown("RawJson", &RawJson::string(SECRET)).contains("13"));
    assert!(shown("RequestId", &RequestId::new("r7").unwrap()).contains("r7"));
    let said = frame(r#"{"type":"assistant","message":{"content":"s"},"uuid":"u","x":"SECRET"}"#);
    let view = shown("Assistant", &said.as_assistant().unwrap());
    assert!(
        view.contains("Text(1 bytes)") && view.contains("Json(13 bytes)"),
        "{view}"
    );
}

#[test]
fn streams_show_names_and_lengths() {
    let mut decoder = SseDecoder::new(1000);
    decoder.push(format!("id: 7\nevent: client_event\ndata: {SECRET}\n\n").into());
    shown("SseDecoder", &decoder);
    let Some(SseItem::Event(event)) = decoder.next() else {
        panic!("no event")
    };
    let text = shown("SseEvent", &event);
    assert!(text.contains("client_event") && text.contains('7') && text.contains("11"));
}

#[test]
fn a_denial_does_not_show_what_the_agent_is_told() {
    let deny = Deny {
        message: SECRET.into(),
        then: AfterDeny::GoOn,
    };
    assert!(shown("Deny", &Decision::Deny(deny)).contains("GoOn"));
}

#[test]
fn machines_and_what_passes_between_them_and_drivers_show_no_secret() {
    let now = Timestamp::ORIGIN;
    let config = ViewerConfig::new(SessionId::parse("session_1").unwrap());
    let mut viewer = Viewer::new(config, [1; 32], now);
    viewer.connect(now).unwrap();
    assert!(shown("Viewer", &viewer).contains("session_1"));
    while let Some(effect) = viewer.poll_effect() {
        let Effect::FetchToken { id, .. } = effect else {
            shown("OpenSocket", &effect);
            continue;
        };
        shown("FetchToken", &effect);
        let token = Token::new(SECRET);
        shown("redacted", &token);
        let fetched = Input::TokenFetched { id, token };
        shown("TokenFetched", &fetched);
        viewer.handle_input(now, fetched);
    }
    let id = viewer.send(now, Content::text(SECRET)).unwrap();
    assert!(shown("MessageId", &id).contains(id.as_str()));
    shown("Viewer", &viewer);

    let new = NewSession::default();
    let mut worker = Worker::new(WorkerConfig::new(SessionChoice::Create(new)), [1; 32], now);
    worker.start(now).unwrap();
    shown("Worker", &worker);
    while let Some(effect) = worker.poll_effect() {
        match effect {
            Effect::FetchToken { id, .. } => {
                let token = Token::new(SECRET);
                worker.handle_input(now, Input::TokenFetched { id, token });
            }
            Effect::SendHttp { id, ref request } => {
                shown("SendHttp", &effect);
                assert!(shown("HttpRequest", request).contains(&request.path));
                let response = HttpResponse {
                    status: 500,
                    retry_after: Some(Duration::from_secs(9)),
                    body: SECRET.into(),
                };
                let text = shown("HttpResponse", &response);
                assert!(text.contains("500") && text.contains("9s") && text.contains("11"));
                shown("HttpAnswered", &Input::HttpAnswered { id, response });
            }
            _ => {}
        }
    }
    let refused = worker.upload(now, SECRET.into()).unwrap_err();
    assert!(shown("UploadError", &refused).contains("11"));
}

#[test]
fn what_can_not_be_read_is_shown_without_its_text() {
    let now = Timestamp::ORIGIN;
    let config = ViewerConfig::new(SessionId::parse("session_1").unwrap());
    let mut viewer = Viewer::new(config, [1; 32], now);
    viewer.connect(now).unwrap();
    while let Some(effect) = viewer.poll_effect() {
        match effect {
            Effect::FetchToken { id, .. } => {
                let token = Token::new("t");
                viewer.handle_input(now, Input::TokenFetched { id, token });
            }
            Effect::OpenSocket { id, .. } => {
                viewer.handle_input(now, Input::SocketOpened { id });
                let text = SECRET.into();
                viewer.handle_input(now, Input::SocketText { id, text });
            }
            _ => {}
        }
    }
    // It is held until the past is loaded, or told at once.
    let mut told = 0;
    while let Some(event) = viewer.poll_event() {
        if let Event::Malformed(malformed) = event {
            assert!(shown("Malformed", &malformed).contains("11"));
            told += 1;
        }
    }
    assert_eq!(told, 1);
}

#[test]
fn every_end_is_told_in_a_sentence_of_its_own() {
    let outcomes = [
        Outcome::CloseFrame {
            code: 4242,
            session: SessionEnd::NotSaid,
        },
        Outcome::Http {
            status: 502,
            retry_after: None,
        },
        Outcome::Network(NetworkFailure::Dns),
        Outcome::ConnectDeadline,
        Outcome::Silence,
        Outcome::TokenUnavailable,
        Outcome::SignedOut,
        Outcome::Forced,
    ];
    let told: BTreeSet<String> = outcomes.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), outcomes.len(), "{told:?}");
    assert!(told.iter().all(|text| text.len() > 8), "{told:?}");
    assert!(told.iter().any(|text| text.contains("4242")));
    assert!(told.iter().any(|text| text.contains("502")));

    let last = Outcome::Silence;
    let viewers = [
        CloseCause::Requested,
        CloseCause::Unauthorized,
        CloseCause::SignedOut,
        CloseCause::SessionNotFound,
        CloseCause::SessionEnded,
        CloseCause::TooLarge,
        CloseCause::ProtocolError { code: 1002 },
        CloseCause::Rejected { status: 418 },
        CloseCause::Exhausted { last },
    ];
    let told: BTreeSet<String> = viewers.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), viewers.len(), "{told:?}");
    assert!(told.iter().all(|text| text.len() > 8), "{told:?}");
    assert!(told.iter().any(|text| text.ends_with(&last.to_string())));

    let workers = [
        WorkerCloseCause::Requested,
        WorkerCloseCause::Superseded,
        WorkerCloseCause::Unauthorized,
        WorkerCloseCause::SignedOut,
        WorkerCloseCause::SessionNotFound,
        WorkerCloseCause::Rejected { status: 418 },
        WorkerCloseCause::Unreadable,
        WorkerCloseCause::StartFailed { last },
    ];
    let told: BTreeSet<String> = workers.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), workers.len(), "{told:?}");
    assert!(told.iter().all(|text| text.len() > 8), "{told:?}");
}

#[test]
fn a_refusal_says_whether_it_is_worth_another_try() {
    let later = Duration::from_secs(1);
    assert!(SendRefusal::Full.is_retryable() && !SendRefusal::Closed.is_retryable());
    assert!(RequestError::Full.is_retryable() && !RequestError::ViewerOnly.is_retryable());
    assert!(ReconnectError::TooSoon { retry_after: later }.is_retryable());
    assert!(!ReconnectError::Closed.is_retryable());
    assert!(UploadRefusal::Full.is_retryable() && !UploadRefusal::Closed.is_retryable());
}
