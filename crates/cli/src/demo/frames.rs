//! What the demo agent puts on the wire.

use serde_json::{Value, json};

/// Mints ids that don't repeat.
#[derive(Debug)]
pub(super) struct Ids {
    random: u128,
    count: u32,
}

impl Ids {
    pub(super) fn new(random: u128) -> Self {
        Self { random, count: 0 }
    }

    /// A version 4 UUID: random, but for a counter at its end.
    pub(super) fn uuid(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        let version = 4 << 76;
        let variant = 2 << 62;
        let fixed = (0xf << 76) | (3 << 62) | u128::from(u32::MAX);
        let id = (self.random & !fixed) | version | variant | u128::from(self.count);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

/// A text, word by word as it is spoken, and then as a whole.
pub(super) fn spoken(ids: &mut Ids, text: &str) -> Vec<String> {
    let message = format!("msg_{}", ids.uuid());
    let mut frames = vec![
        live(
            ids,
            &json!({"type": "message_start", "message": {
                "id": message, "type": "message", "role": "assistant", "content": [],
            }}),
        ),
        live(
            ids,
            &json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    for word in text.split_inclusive(' ') {
        frames.push(live(
            ids,
            &json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": word}}),
        ));
    }
    frames.push(live(
        ids,
        &json!({"type": "content_block_stop", "index": 0}),
    ));
    frames.push(assistant(
        ids,
        &message,
        &json!({"type": "text", "text": text}),
    ));
    frames.push(live(ids, &json!({"type": "message_stop"})));
    frames
}

/// A text as a whole.
pub(super) fn said(ids: &mut Ids, text: &str) -> String {
    let message = format!("msg_{}", ids.uuid());
    assistant(ids, &message, &json!({"type": "text", "text": text}))
}

pub(super) fn tool_use(ids: &mut Ids, id: &str, name: &str, input: &Value) -> String {
    let message = format!("msg_{}", ids.uuid());
    let block = json!({"type": "tool_use", "id": id, "name": name, "input": input});
    assistant(ids, &message, &block)
}

pub(super) fn tool_result(ids: &mut Ids, id: &str, text: &str, is_error: bool) -> String {
    json!({"type": "user", "uuid": ids.uuid(), "parent_tool_use_id": null, "message": {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": is_error}],
    }})
    .to_string()
}

pub(super) fn permission(
    ids: &mut Ids,
    request_id: &str,
    tool_use_id: &str,
    name: &str,
    input: &Value,
) -> String {
    json!({"type": "control_request", "uuid": ids.uuid(), "request_id": request_id, "request": {
        "subtype": "can_use_tool",
        "tool_name": name,
        "input": input,
        "tool_use_id": tool_use_id,
        "description": "Rolls dice. Nothing else happens, so say what you like.",
    }})
    .to_string()
}

pub(super) fn cancel(ids: &mut Ids, request_id: &str) -> String {
    json!({"type": "control_cancel_request", "uuid": ids.uuid(), "request_id": request_id})
        .to_string()
}

pub(super) fn success(ids: &mut Ids, request_id: &str, response: &Value) -> String {
    json!({"type": "control_response", "uuid": ids.uuid(), "response": {
        "subtype": "success", "request_id": request_id, "response": response,
    }})
    .to_string()
}

pub(super) fn error(ids: &mut Ids, request_id: &str, error: &str) -> String {
    json!({"type": "control_response", "uuid": ids.uuid(), "response": {
        "subtype": "error", "request_id": request_id, "error": error,
    }})
    .to_string()
}

/// The agent waits for a person.
pub(super) fn idle(ids: &mut Ids) -> String {
    json!({
        "type": "system", "uuid": ids.uuid(), "subtype": "session_state_changed", "state": "idle",
    })
    .to_string()
}

/// The end of a turn.
pub(super) fn result(ids: &mut Ids, subtype: &str, text: &str) -> String {
    json!({
        "type": "result", "uuid": ids.uuid(), "subtype": subtype, "is_error": false,
        "num_turns": 1, "result": text, "total_cost_usd": 0, "usage": {}, "permission_denials": [],
    })
    .to_string()
}

fn assistant(ids: &mut Ids, message: &str, block: &Value) -> String {
    json!({"type": "assistant", "uuid": ids.uuid(), "parent_tool_use_id": null, "message": {
        "id": message, "type": "message", "role": "assistant", "content": [block],
    }})
    .to_string()
}

fn live(ids: &mut Ids, event: &Value) -> String {
    json!({"type": "stream_event", "uuid": ids.uuid(), "parent_tool_use_id": null, "event": event})
        .to_string()
}

#[cfg(test)]
mod tests {
    use attache_protocol::frame::Frame;

    use super::*;

    #[test]
    fn an_id_has_the_shape_of_a_uuid() {
        let id = Ids::new(u128::MAX).uuid();
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffff00000001");
    }

    #[test]
    fn every_frame_is_understood_whole() {
        let mut ids = Ids::new(u128::MAX);
        let input = json!({"sides": 6});
        let mut frames = spoken(&mut ids, "one two");
        frames.extend([
            tool_use(&mut ids, "t", "Dice", &input),
            tool_result(&mut ids, "t", "4", false),
            permission(&mut ids, "r", "t", "Dice", &input),
            cancel(&mut ids, "r"),
            success(&mut ids, "r", &json!({})),
            error(&mut ids, "r", "no"),
            result(&mut ids, "success", "done"),
            idle(&mut ids),
        ]);
        let mut uuids = std::collections::BTreeSet::new();
        for text in frames {
            let frame = Frame::classify(text.into()).unwrap();
            assert!(frame.view().is_ok(), "{}", frame.as_str());
            assert!(uuids.insert(frame.uuid().unwrap().clone()));
        }
    }
}
