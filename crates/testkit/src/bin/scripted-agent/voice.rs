//! The frames an agent writes.

use serde_json::{Value, json};

/// Writes frames, each with a fresh `uuid` and the id of the session. Control frames carry neither, as
/// with real agents.
#[derive(Debug)]
pub(crate) struct Voice {
    random: u128,
    count: u32,
    session_id: String,
    pub(crate) model: String,
}

/// A question to a person.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) request_id: String,
    pub(crate) tool_use_id: String,
    pub(crate) tool: String,
    pub(crate) input: Value,
}

impl Voice {
    pub(crate) fn new(random: u128) -> Self {
        let mut voice = Self {
            random,
            count: 0,
            session_id: String::new(),
            model: "scripted".to_owned(),
        };
        voice.session_id = voice.uuid();
        voice
    }

    /// A version 4 UUID: random, but for a counter at its end.
    pub(crate) fn uuid(&mut self) -> String {
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

    pub(crate) fn init(&mut self, cwd: &str) -> Vec<u8> {
        let frame = json!({
            "type": "system", "subtype": "init", "cwd": cwd, "model": self.model,
            "tools": ["Bash"], "mcp_servers": [], "slash_commands": [],
            "permissionMode": "default", "apiKeySource": "none", "output_style": "normal",
        });
        self.message(frame)
    }

    /// The start of an answer that is streamed.
    pub(crate) fn starts(&mut self, message_id: &str) -> Vec<u8> {
        let model = self.model.clone();
        self.live(&json!({"type": "message_start", "message": {
            "id": message_id, "type": "message", "role": "assistant", "model": model, "content": [],
        }}))
    }

    pub(crate) fn opens_block(&mut self) -> Vec<u8> {
        self.live(&json!({
            "type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""},
        }))
    }

    pub(crate) fn delta(&mut self, text: &str) -> Vec<u8> {
        self.live(&json!({
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
        }))
    }

    pub(crate) fn closes_block(&mut self) -> Vec<u8> {
        self.live(&json!({"type": "content_block_stop", "index": 0}))
    }

    pub(crate) fn stops(&mut self) -> Vec<u8> {
        self.live(&json!({"type": "message_stop"}))
    }

    /// A whole text.
    pub(crate) fn says(&mut self, message_id: &str, text: &str) -> Vec<u8> {
        self.assistant(message_id, &json!({"type": "text", "text": text}))
    }

    pub(crate) fn uses_tool(&mut self, message_id: &str, prompt: &Prompt) -> Vec<u8> {
        let block = json!({
            "type": "tool_use", "id": prompt.tool_use_id, "name": prompt.tool, "input": prompt.input,
        });
        self.assistant(message_id, &block)
    }

    pub(crate) fn tool_result(&mut self, prompt: &Prompt, text: &str, is_error: bool) -> Vec<u8> {
        let content = json!([{
            "type": "tool_result", "tool_use_id": prompt.tool_use_id, "content": text,
            "is_error": is_error,
        }]);
        self.user(&content)
    }

    /// What stands in the log where a turn was interrupted.
    pub(crate) fn interrupted(&mut self) -> Vec<u8> {
        self.user(&json!([{"type": "text", "text": "[Request interrupted by user]"}]))
    }

    /// The end of a turn that went well.
    pub(crate) fn success(&mut self, text: &str, denials: &[Value]) -> Vec<u8> {
        let frame = json!({
            "type": "result", "subtype": "success", "is_error": false, "result": text,
            "duration_ms": 0, "duration_api_ms": 0, "num_turns": 1, "total_cost_usd": 0,
            "usage": {"input_tokens": 0, "output_tokens": 0}, "permission_denials": denials,
        });
        self.message(frame)
    }

    /// The end of a turn that was broken off.
    pub(crate) fn failure(&mut self, error: &str, denials: &[Value]) -> Vec<u8> {
        let frame = json!({
            "type": "result", "subtype": "error_during_execution", "is_error": true,
            "errors": [error], "duration_ms": 0, "duration_api_ms": 0, "num_turns": 1,
            "total_cost_usd": 0, "usage": {"input_tokens": 0, "output_tokens": 0},
            "permission_denials": denials,
        });
        self.message(frame)
    }

    fn assistant(&mut self, message_id: &str, block: &Value) -> Vec<u8> {
        let frame = json!({"type": "assistant", "parent_tool_use_id": null, "message": {
            "id": message_id, "type": "message", "role": "assistant", "model": self.model,
            "content": [block], "stop_reason": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }});
        self.message(frame)
    }

    fn user(&mut self, content: &Value) -> Vec<u8> {
        let frame = json!({
            "type": "user", "parent_tool_use_id": null,
            "message": {"role": "user", "content": content},
        });
        self.message(frame)
    }

    fn live(&mut self, event: &Value) -> Vec<u8> {
        self.message(json!({"type": "stream_event", "parent_tool_use_id": null, "event": event}))
    }

    fn message(&mut self, mut frame: Value) -> Vec<u8> {
        if let Value::Object(fields) = &mut frame {
            fields.insert("uuid".to_owned(), self.uuid().into());
            fields.insert("session_id".to_owned(), self.session_id.clone().into());
        }
        line(&frame)
    }
}

impl Prompt {
    /// The question as it is asked, and asked again of those who come late.
    pub(crate) fn request(&self) -> Value {
        json!({"type": "control_request", "request_id": self.request_id, "request": {
            "subtype": "can_use_tool", "tool_name": self.tool, "input": self.input,
            "tool_use_id": self.tool_use_id, "permission_suggestions": [],
            "description": "Only a script: nothing will happen.",
        }})
    }

    pub(crate) fn cancel(&self) -> Value {
        json!({"type": "control_cancel_request", "request_id": self.request_id})
    }

    /// What the result of the turn says when it was not allowed.
    pub(crate) fn denial(&self) -> Value {
        json!({
            "tool_name": self.tool, "tool_use_id": self.tool_use_id, "tool_input": self.input,
        })
    }
}

/// An answer to a request of the other side.
pub(crate) fn answer(request_id: &str, response: &Value) -> Vec<u8> {
    line(&json!({"type": "control_response", "response": {
        "subtype": "success", "request_id": request_id, "response": response,
    }}))
}

/// The answer to a request that can't be met.
pub(crate) fn refusal(request_id: &str, error: &str) -> Vec<u8> {
    line(&json!({"type": "control_response", "response": {
        "subtype": "error", "request_id": request_id, "error": error,
    }}))
}

/// One frame, one line.
pub(crate) fn line(frame: &Value) -> Vec<u8> {
    let mut bytes = frame.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}
