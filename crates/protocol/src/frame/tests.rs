use alloc::vec::Vec;

use super::*;

fn kind(text: &'static str) -> FrameKind {
    Frame::classify(text.into()).unwrap().kind().clone()
}

fn error(text: impl Into<ByteString>) -> FrameError {
    Frame::classify(text.into()).unwrap_err().error
}

fn id(text: &'static str) -> RequestId {
    RequestId::new(text).unwrap()
}

#[test]
fn each_type_lands_in_its_bucket() {
    assert_eq!(
        kind(
            r#"{"request":{"subtype":"can_use_tool"},"type":"control_request","request_id":"r1"}"#
        ),
        FrameKind::ControlRequest {
            request_id: id("r1"),
            subtype: "can_use_tool".into()
        }
    );
    assert_eq!(
        kind(r#"{"type":"control_response","response":{"subtype":"success","request_id":"r2"}}"#),
        FrameKind::ControlResponse {
            request_id: id("r2")
        }
    );
    assert_eq!(
        kind(r#"{"type":"control_cancel_request","request_id":"r3"}"#),
        FrameKind::ControlCancelRequest {
            request_id: id("r3")
        }
    );
    assert_eq!(kind(r#"{"type":"keep_alive"}"#), FrameKind::KeepAlive);
    assert_eq!(
        kind(r#"{"type":"control_novelty"}"#),
        FrameKind::UnknownControl {
            type_name: "control_novelty".into()
        }
    );
    assert_eq!(
        kind(r#"{"type":"next_week","request":7,"response":[]}"#),
        FrameKind::Message {
            type_name: "next_week".into()
        }
    );
}

#[test]
fn what_cannot_be_routed_says_why_and_keeps_its_text() {
    assert!(matches!(error("garbage"), FrameError::NotJson(_)));
    assert!(matches!(error("{}{}"), FrameError::NotJson(_)));
    assert!(matches!(error("[]"), FrameError::NotAnObject(_)));
    assert!(matches!(error(r#"["user"]"#), FrameError::NotAnObject(_)));
    assert!(matches!(
        error(r#"{"type":"a","type":"b"}"#),
        FrameError::NotAnObject(_)
    ));
    assert_eq!(error("{}"), FrameError::NoType);
    assert_eq!(error(r#"{"type":7}"#), FrameError::NoType);
    assert_eq!(error(r#"{"type":null}"#), FrameError::NoType);
    assert_eq!(
        error(r#"{"type":"control_request","request":{"subtype":"x"}}"#),
        FrameError::NoRequestId {
            type_name: "control_request"
        }
    );
    assert_eq!(
        error(r#"{"type":"control_request","request_id":"r","request":[]}"#),
        FrameError::NoSubtype {
            request_id: id("r")
        }
    );
    let kept = Frame::classify("garbage".into()).unwrap_err();
    assert_eq!(kept.text, "garbage");
    assert!(!format!("{kept:?} {kept}").contains("garbage"));
}

#[test]
fn depth_and_odd_uuids_do_not_matter() {
    let deep = format!(
        r#"{{"type":"user","x":{}{},"uuid":7}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let frame = Frame::classify(deep.into()).unwrap();
    assert_eq!(frame.type_name(), "user");
    assert_eq!(frame.uuid(), None);

    let endless = "[".repeat(10_000);
    assert!(Frame::classify(endless.into()).is_err());
}

#[test]
fn escaped_routing_fields_are_read_as_what_they_mean() {
    let frame = Frame::classify(r#"{"\u0074ype":"keep\u005falive"}"#.into()).unwrap();
    assert_eq!(*frame.kind(), FrameKind::KeepAlive);
}

#[test]
fn several_frames_share_one_message_and_the_last_needs_no_newline() {
    let message: ByteString = "\n{\"type\":\"a\"}\r\n\n  {\"type\":\"b\"}".into();
    let texts: Vec<ByteString> = split(&message).collect();
    assert_eq!(texts, [r#"{"type":"a"}"#, r#"{"type":"b"}"#]);
}

#[test]
fn debug_never_shows_content() {
    let frame = Frame::classify(r#"{"type":"user","message":"canary"}"#.into()).unwrap();
    assert!(!format!("{frame:?}").contains("canary"));
}

#[test]
fn a_frame_with_a_uuid_that_is_none_gets_one_in_its_place() {
    let long = format!(
        r#"{{"uuid":"{}","type":"user"}}"#,
        "x".repeat(UUID_LIMIT + 1)
    );
    for (text, expected) in [
        (r#"{"type":"user"}"#, r#"{"type":"user","uuid":"minted"}"#),
        (
            r#"{"type":"user" } "#,
            r#"{"type":"user" ,"uuid":"minted"}"#,
        ),
        (
            r#"{"uuid":"own","type":"user"}"#,
            r#"{"uuid":"own","type":"user"}"#,
        ),
        (
            r#"{"uuid": null,"type":"user"}"#,
            r#"{"uuid": "minted","type":"user"}"#,
        ),
        (
            r#"{"type":"user","\u0075uid":[7] }"#,
            r#"{"type":"user","\u0075uid":"minted" }"#,
        ),
        (
            r#"{"uuid":"","type":"user"}"#,
            r#"{"uuid":"minted","type":"user"}"#,
        ),
        (&long, r#"{"uuid":"minted","type":"user"}"#),
    ] {
        let frame = Frame::classify(text.into()).unwrap();
        let (uuid, text) = frame.identified(|| "minted".into());
        assert_eq!(text, expected);
        assert_eq!(Frame::classify(text).unwrap().uuid(), Some(&uuid));
    }
}

#[test]
fn a_credential_is_no_message() {
    let frame = Frame::classify(r#"{"type":"auth","uuid":"u","credential":{}}"#.into()).unwrap();
    assert_eq!(*frame.kind(), FrameKind::Auth);
    assert!(!frame.is_stored());
}

#[test]
fn a_type_that_is_no_text_is_none() {
    for value in [
        "null",
        "true",
        "7",
        "-7",
        "1.5",
        "[1,[2]]",
        r#"{"a":{"b":1}}"#,
    ] {
        for text in [
            alloc::format!(r#"{{"type":{value}}}"#),
            alloc::format!(r#"{{"a":1,"type":{value},"b":2}}"#),
        ] {
            let error = Frame::classify(text.clone().into()).unwrap_err().error;
            assert_eq!(error, FrameError::NoType, "{text}");
        }
    }
}
