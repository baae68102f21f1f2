//! The classifier and the splitter against `serde_json`: same accept and reject, same routing fields,
//! no byte lost.

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameError, FrameKind, REQUEST_ID_LIMIT, UUID_LIMIT, split},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::object::Object;

/// The fields that route a frame; one that stands there twice makes it no frame.
const ROUTING: [&str; 5] = ["type", "uuid", "request_id", "request", "response"];

/// Takes `data` as a message with frames, and as one frame.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let message = ByteString::from(text);
    splits_without_loss(&message);
    for line in split(&message) {
        classifies(&line);
    }
    classifies(&message);
}

/// Frames are pieces of the message in their order, and between them is nothing but white space.
fn splits_without_loss(message: &ByteString) {
    let mut rest: &str = message;
    for piece in split(message) {
        assert!(!piece.contains('\n') && !piece.is_empty());
        assert_eq!(piece.trim(), &*piece);
        let (between, behind) = rest.split_once(&*piece).expect("a piece of the message");
        assert_eq!(between.trim(), "", "a piece is left out");
        let line_end = behind.split('\n').next().unwrap_or_default();
        assert_eq!(line_end.trim(), "", "a piece is cut short");
        rest = behind;
    }
    assert_eq!(rest.trim(), "", "the last piece is left out");
}

fn classifies(text: &ByteString) {
    let found = Frame::classify(text.clone());
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    match &found {
        Ok(frame) => {
            assert!(is_json, "taken, and no JSON");
            assert_eq!(frame.as_str(), &**text);
            assert_eq!(frame.as_str().as_ptr(), text.as_ptr(), "copied");
        }
        Err(bad) => {
            assert_eq!(&*bad.text, &**text);
            // What stands there twice may be seen before what is no JSON.
            let for_its_form = matches!(
                bad.error,
                FrameError::NotJson(_) | FrameError::NotAnObject(_)
            );
            assert!(is_json || for_its_form, "{bad:?}");
        }
    }
    // A value can't hold what is too deep, too large or half a surrogate; those need only be no trouble.
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    assert!(is_json);
    let expected = expected(text, &value);
    let found = found
        .map(|frame| Routed::of(&frame))
        .map_err(|bad| reason(&bad.error));
    assert_eq!(found, expected);
}

/// What a frame says about where it goes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Routed {
    type_name: String,
    subtype: Option<String>,
    request_id: Option<String>,
    uuid: Option<String>,
}

impl Routed {
    fn of(frame: &Frame) -> Self {
        let (request_id, subtype) = match frame.kind() {
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => (Some(request_id), Some(subtype.to_string())),
            FrameKind::ControlResponse { request_id }
            | FrameKind::ControlCancelRequest { request_id } => (Some(request_id), None),
            FrameKind::KeepAlive | FrameKind::Auth => (None, None),
            FrameKind::UnknownControl { type_name } => {
                assert!(type_name.starts_with("control_"));
                (None, None)
            }
            FrameKind::Message { type_name } => {
                assert!(!type_name.starts_with("control_"));
                (None, None)
            }
        };
        Self {
            type_name: frame.type_name().to_owned(),
            subtype,
            request_id: request_id.map(ToString::to_string),
            uuid: frame.uuid().map(ToString::to_string),
        }
    }
}

/// What the classifier should find, by way of a tree.
fn expected(text: &str, value: &Value) -> Result<Routed, &'static str> {
    let Value::Object(_) = value else {
        return Err("not an object");
    };
    let object = Object::parse(text).expect("an object");
    if ROUTING.iter().any(|name| object.count(name) > 1) {
        return Err("not an object");
    }
    let usable = |id: Option<String>, limit| id.filter(|id| (1..=limit).contains(&id.len()));
    let inner = |name, field| {
        Object::parse(object.only(name)?)?
            .unambiguous()?
            .text(field)
    };
    let type_name = object.text("type").ok_or("no type")?;
    let mut routed = Routed {
        uuid: usable(object.text("uuid"), UUID_LIMIT),
        ..Routed::default()
    };
    match &*type_name {
        "control_request" => {
            let id = usable(object.text("request_id"), REQUEST_ID_LIMIT);
            routed.request_id = Some(id.ok_or("no request_id")?);
            routed.subtype = Some(inner("request", "subtype").ok_or("no subtype")?);
        }
        "control_response" => {
            let id = usable(inner("response", "request_id"), REQUEST_ID_LIMIT);
            routed.request_id = Some(id.ok_or("no request_id")?);
        }
        "control_cancel_request" => {
            let id = usable(object.text("request_id"), REQUEST_ID_LIMIT);
            routed.request_id = Some(id.ok_or("no request_id")?);
        }
        _ => {}
    }
    routed.type_name = type_name;
    Ok(routed)
}

impl Object<'_> {
    /// The object, unless one of the fields that route stands there twice.
    fn unambiguous(self) -> Option<Self> {
        (self.count("subtype") < 2 && self.count("request_id") < 2).then_some(self)
    }
}

fn reason(error: &FrameError) -> &'static str {
    match error {
        FrameError::NotJson(_) => "not JSON",
        FrameError::NotAnObject(_) => "not an object",
        FrameError::NoType => "no type",
        FrameError::NoRequestId { .. } => "no request_id",
        FrameError::NoSubtype { .. } => "no subtype",
        FrameError::NotUtf8 | _ => "another reason",
    }
}
