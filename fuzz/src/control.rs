//! Control frames and permission prompts: what is read can be written and read again, and whatever has
//! no name keeps its bytes. What is written is one frame on one line.

use attache_protocol::{
    ByteString,
    frame::{
        Frame, FrameKind, RawJson, RequestId,
        control::{self, ControlOutcome, ControlResponse, Fields},
        decision::{AfterDeny, Allow, Decision, Deny, Standing},
        permission::PermissionRequest,
        relay::{AnswerRefused, DeliveryUpdate, Hello, Settlement},
        split,
    },
};

use crate::object::Object;

/// Takes `data` as one frame.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(frame) = Frame::classify(text.into()) else {
        return;
    };
    reads_what_a_relay_says(&frame);
    match frame.kind() {
        FrameKind::ControlRequest {
            request_id,
            subtype,
        } => {
            request(&frame, request_id, subtype);
            if &**subtype == "can_use_tool" {
                permission(&frame);
            }
        }
        FrameKind::ControlResponse { request_id } => response(&frame, request_id),
        FrameKind::ControlCancelRequest { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => {}
    }
}

/// A request is asked again in our words.
fn request(frame: &Frame, request_id: &RequestId, subtype: &str) {
    let outer = Object::parse(frame.as_str()).expect("a frame is an object");
    let inner = outer.only("request").expect("a request has a `request`");
    let inner = Object::parse(inner).expect("with a subtype in it");
    let fields = inner.without("subtype");
    let written = control::request(
        request_id,
        subtype,
        &Fields::parse(fields.write()).expect("an object without subtype"),
    );
    let again = one_line(&written);
    assert_eq!(
        *again.kind(),
        FrameKind::ControlRequest {
            request_id: request_id.clone(),
            subtype: subtype.into(),
        }
    );
    let outer = Object::parse(again.as_str()).expect("a frame is an object");
    let inner = Object::parse(outer.only("request").expect("a request")).expect("an object");
    assert_same_but_for_line_breaks(&inner.without("subtype"), &fields);
}

/// A prompt keeps its input, and what it does not know stands in the frame; it is answered in each way.
fn permission(frame: &Frame) {
    let Ok(prompt) = PermissionRequest::parse(frame) else {
        return;
    };
    assert_eq!(prompt.frame().as_str(), frame.as_str());
    let outer = Object::parse(frame.as_str()).expect("a frame is an object");
    let inner = Object::parse(outer.only("request").expect("a request")).expect("an object");
    assert_eq!(inner.only("input"), Some(prompt.input().as_str()));
    assert_eq!(inner.text("tool_name").as_deref(), Some(prompt.tool_name()));
    assert!(prompt.asks_the_same(&prompt));
    let _ = format!("{prompt:?}");

    let permissions = prompt.suggestions().cloned();
    let allow = Decision::Allow(Allow {
        updated_input: None,
        updated_permissions: permissions.clone(),
        standing: Standing::VerifiedOnly,
    });
    let answer = answered(&prompt, &allow);
    let answer = Object::parse(answer.as_str()).expect("an answer is an object");
    assert_eq!(answer.text("behavior").as_deref(), Some("allow"));
    let breakless = |text: &str| text.replace(['\n', '\r'], " ");
    assert_eq!(
        answer.only("updatedInput").map(breakless),
        Some(breakless(prompt.input().as_str()))
    );
    assert_eq!(
        answer.only("updatedPermissions").map(breakless),
        permissions.map(|list| breakless(list.as_str()))
    );

    let message = prompt.texts().decision_reason.clone().unwrap_or_default();
    let deny = Decision::Deny(Deny {
        message: message.to_string(),
        then: AfterDeny::Interrupt,
    });
    let answer = answered(&prompt, &deny);
    let answer = Object::parse(answer.as_str()).expect("an answer is an object");
    assert_eq!(answer.text("message").as_deref(), Some(&*message));
    assert_eq!(answer.only("interrupt"), Some("true"));
}

/// The response that `decision` makes, read as the agent would.
fn answered(prompt: &PermissionRequest, decision: &Decision) -> RawJson {
    let written = control::decision(prompt.request_id(), decision, prompt.input(), "u\"1");
    let frame = one_line(&written);
    assert_eq!(frame.uuid().map(|uuid| &**uuid), Some("u\"1"));
    assert_answers(&frame, prompt.request_id());
    match ControlResponse::parse(&frame)
        .expect("our own answer")
        .outcome
    {
        ControlOutcome::Success(Some(answer)) => answer,
        other @ (ControlOutcome::Success(None) | ControlOutcome::Error(_)) => {
            panic!("a decision is a success: {other:?}")
        }
    }
}

/// A response is given again in our words.
fn response(frame: &Frame, request_id: &RequestId) {
    let Ok(read) = ControlResponse::parse(frame) else {
        return;
    };
    for pending in &read.pending_permission_requests {
        assert!(frame.as_str().contains(&**pending));
        let _ = Frame::classify(pending.clone()).map(|frame| PermissionRequest::parse(&frame));
    }
    let written = match &read.outcome {
        ControlOutcome::Success(Some(value)) => control::success(request_id, value),
        ControlOutcome::Success(None) => return,
        ControlOutcome::Error(message) => control::error(request_id, message),
    };
    let again = one_line(&written);
    assert_answers(&again, request_id);
    let again = ControlResponse::parse(&again).expect("our own answer");
    match (&read.outcome, &again.outcome) {
        (ControlOutcome::Success(Some(before)), ControlOutcome::Success(Some(after))) => {
            let breakless = before.as_str().replace(['\n', '\r'], " ");
            assert_eq!(after.as_str().replace(['\n', '\r'], " "), breakless);
        }
        (before, after) => assert_eq!(before, after),
    }
}

fn assert_answers(frame: &Frame, request_id: &RequestId) {
    let expected = FrameKind::ControlResponse {
        request_id: request_id.clone(),
    };
    assert_eq!(*frame.kind(), expected);
}

/// What is written ends with its only line break and is one frame.
fn one_line(written: &ByteString) -> Frame {
    assert!(written.ends_with('\n'));
    let mut frames = split(written);
    let frame = frames.next().expect("one frame");
    assert_eq!(frames.next(), None, "a frame on several lines: {written}");
    Frame::classify(frame).expect("what is written can be read")
}

fn assert_same_but_for_line_breaks(left: &Object<'_>, right: &Object<'_>) {
    let of = |object: &Object<'_>| -> Vec<(String, String)> {
        let fields = object.bytes().into_iter();
        fields
            .map(|(key, value)| (key.to_owned(), value.replace(['\n', '\r'], " ")))
            .collect()
    };
    assert_eq!(of(left), of(right));
}

/// What this project's relay says of itself is read, written, and read again.
fn reads_what_a_relay_says(frame: &Frame) {
    if let Some(hello) = Hello::read(frame) {
        assert_eq!(Hello::read(&line(&hello.to_frame())), Some(hello));
    }
    if let Some(settlement) = Settlement::read(frame) {
        let again = Settlement::read(&line(&settlement.to_frame("u1")));
        assert_eq!(again, Some(settlement));
    }
    if let Some(refused) = AnswerRefused::read(frame) {
        let again = AnswerRefused::read(&line(&refused.to_frame()));
        assert_eq!(again, Some(refused));
    }
    if let Some(update) = DeliveryUpdate::read(frame) {
        let again = DeliveryUpdate::read(&line(&update.to_frame()));
        assert_eq!(again, Some(update));
    }
}

fn line(text: &str) -> Frame {
    assert!(!text.contains('\n'));
    Frame::classify(text.into()).expect("what is written can be read")
}
