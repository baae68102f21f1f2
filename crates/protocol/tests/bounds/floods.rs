//! What a hostile peer sends without end: each item another, and large where it may be.

/// What it is, and the item with this number.
pub(crate) type Flood = (&'static str, fn(usize) -> String);

/// Frames.
pub(crate) const FRAMES: &[Flood] = &[
    ("messages", |n| {
        format!(r#"{{"type":"assistant","uuid":"u{n}","x":"{}"}}"#, large(n))
    }),
    ("live messages", |n| {
        format!(r#"{{"type":"stream_event","event":"{}"}}"#, large(n))
    }),
    ("long ids", |n| {
        format!(r#"{{"type":"assistant","uuid":"u{n}{}"}}"#, large(n))
    }),
    ("long types", |n| {
        format!(r#"{{"type":"t{n}{}"}}"#, large(n))
    }),
    ("no frames", |n| format!("{n}{}", large(n))),
    ("one frame over and over", |_| {
        format!(r#"{{"type":"assistant","uuid":"u","x":"{}"}}"#, large(0))
    }),
    ("fields that stand there twice", |_| {
        format!(r#"{{"type":"user"{}}}"#, r#","x":1"#.repeat(4000))
    }),
    ("deep frames", |n| {
        format!(
            r#"{{"type":"assistant","uuid":"u{n}","x":{}{}}}"#,
            "[".repeat(8000),
            "]".repeat(8000)
        )
    }),
    ("prompts", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"x":"{}"}}}}}}"#,
            large(n)
        )
    }),
    ("one prompt with other words", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"x":"{n}{}"}}}}}}"#,
            large(n)
        )
    }),
    ("prompts that can't be shown", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"can_use_tool","x":"{}"}}}}"#,
            large(n)
        )
    }),
    ("requests", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"mcp_message","x":"{}"}}}}"#,
            large(n)
        )
    }),
    ("requests for what has a long name", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"{}"}}}}"#,
            large(n)
        )
    }),
    ("requests for nothing", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{}},"x":"{}"}}"#,
            large(n)
        )
    }),
    ("withdrawals", |n| {
        format!(
            r#"{{"type":"control_cancel_request","request_id":"r{n}","x":"{}"}}"#,
            large(n)
        )
    }),
    ("responses", |n| {
        format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"r{n}","response":"{}"}}}}"#,
            large(n)
        )
    }),
    ("unknown control frames", |n| {
        format!(r#"{{"type":"control_x{n}","x":"{}"}}"#, large(n))
    }),
    ("settlements", |n| {
        format!(
            r#"{{"type":"system","subtype":"permission_settled","uuid":"u{n}","request_id":"r{n}","behavior":"deny","answered_by":{{"name":"{}"}}}}"#,
            large(n)
        )
    }),
    ("refused answers", |n| {
        format!(
            r#"{{"type":"answer_refused","request_id":"r{n}","reason":"answered","message":"{}"}}"#,
            large(n)
        )
    }),
    ("news of messages", |n| {
        format!(
            r#"{{"type":"delivery_update","event_id":"m{n}{}","status":"DELIVERY_STATUS_RECEIVED"}}"#,
            large(n)
        )
    }),
    ("small frames beside much white space", |n| {
        format!("{}{}", small(n), " ".repeat(16_000))
    }),
    ("small prompts beside much white space", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}}}}}{}"#,
            " ".repeat(16_000)
        )
    }),
    ("signs of life", |_| r#"{"type":"keep_alive"}"#.to_owned()),
];

/// A frame of few bytes.
pub(crate) fn small(n: usize) -> String {
    format!(r#"{{"type":"assistant","uuid":"u{n}"}}"#)
}

/// Sixteen thousand bytes, which differ.
fn large(n: usize) -> String {
    format!("{n:016}").repeat(1000)
}
