//! One frame, however large, deep or repetitive.

use attache_protocol::{
    ByteString,
    frame::{
        Frame, FrameKind, RawJson, control::ControlResponse, message::same_json,
        permission::PermissionRequest, split,
    },
};

use crate::{KIB, MIB, floods::FRAMES, most_held};

/// A view's parts are fields and pieces of 16 to 80 bytes; the shortest field takes 6 bytes of its frame.
const VIEW_FACTOR: usize = 40;

#[test]
fn a_frame_is_classified_without_a_copy_of_it() {
    for (what, text) in FRAMES {
        let levels = if what.starts_with("deep") { 8000 } else { 0 };
        classify(&text(7), KIB + 2 * levels);
    }
    classify(
        &format!(r#"{{"type":"user","x":"{}"}}"#, "x".repeat(20 * MIB)),
        KIB,
    );
}

#[test]
fn depth_costs_a_byte_a_level_and_no_stack() {
    let levels = 300_000;
    let deep = format!("{}{}", r#"{"x":["#.repeat(levels), "]}".repeat(levels));
    for text in [
        format!(r#"{{"type":"user","message":{deep}}}"#),
        format!(r#"{{"message":{deep},"type":{deep}}}"#),
        format!(
            r#"{{"type":"control_request","request_id":"r","request":{{"subtype":"can_use_tool","tool_name":"x","input":{deep}}}}}"#
        ),
        format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"r","response":{deep}}}}}"#
        ),
        deep.clone(),
        r#"{"type":["#.repeat(levels),
    ] {
        on_a_small_stack(move || {
            classify(&text, KIB + 8 * levels);
            take_apart(&text);
        });
    }
}

#[test]
fn a_view_is_no_larger_than_the_fields_it_shows() {
    let many = 50_000;
    for text in [
        format!(r#"{{"type":"user"{}}}"#, r#","x":1"#.repeat(many)),
        format!(r#"{{"type":"result"{}}}"#, r#","result":"""#.repeat(many)),
        format!(
            r#"{{"type":"user","message":{{"content":[{}0]}}}}"#,
            "0,".repeat(many)
        ),
        format!(
            r#"{{"type":"user","message":{{"role":"user","content":[{}{{"type":"x"}}]}}}}"#,
            r#"{"type":"text","text":""},"#.repeat(many)
        ),
        format!(
            r#"{{"type":"user","message":{{"role":"user","content":{}"x"{}}}}}"#,
            r#"[{"type":"tool_result","tool_use_id":"t","content":"#.repeat(many),
            "}]".repeat(many)
        ),
    ] {
        on_a_small_stack(move || take_apart(&text));
    }
}

#[test]
fn a_message_of_nothing_but_line_breaks_is_nothing() {
    let message = ByteString::from("\n".repeat(10 * MIB));
    assert!(most_held(|| assert_eq!(split(&message).count(), 0)) < KIB);
}

fn classify(text: &str, most: usize) {
    let text = ByteString::from(text);
    let held = most_held(|| drop(Frame::classify(text.clone())));
    // Texts with escapes and ids are copied; nothing in a flood has more than a few of them.
    assert!(
        held <= most,
        "{held} bytes for {} of {:.80}",
        text.len(),
        &*text
    );
}

/// Every reading of a frame that there is.
fn take_apart(text: &str) {
    let Ok(frame) = Frame::classify(text.into()) else {
        return;
    };
    let held = most_held(|| {
        match frame.kind() {
            FrameKind::ControlRequest { .. } => {
                if let Ok(prompt) = PermissionRequest::parse(&frame) {
                    assert!(prompt.asks_the_same(&prompt));
                }
            }
            FrameKind::ControlResponse { .. } => drop(ControlResponse::parse(&frame)),
            _ => {}
        }
        if let Ok(view) = frame.view() {
            let written = view.encode();
            assert!(same_json(&written, frame.as_str()));
            drop(view.unmodelled());
        }
        let raw = RawJson::parse(frame.text().clone()).unwrap();
        let spaced = RawJson::parse(format!("{} ", frame.as_str())).unwrap();
        assert!(raw.same_value(&spaced));
    });
    assert!(
        held <= VIEW_FACTOR * text.len(),
        "{held} bytes for {} of {text:.80}",
        text.len()
    );
}

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * KIB);
    thread.spawn(run).unwrap().join().unwrap();
}
