use alloc::{format, string::String, vec::Vec};

use super::*;
use crate::frame::JsonShape;

fn frame(text: impl Into<ByteString>) -> Frame {
    Frame::classify(text.into()).unwrap()
}

fn unmodelled(text: &'static str) -> Vec<String> {
    let frame = frame(text);
    let view = frame.view().unwrap();
    assert!(same_json(&view.encode(), frame.as_str()), "{text}");
    view.unmodelled().iter().map(ToString::to_string).collect()
}

fn fault(text: &'static str) -> String {
    let malformed = frame(text).view().unwrap_err();
    assert_eq!(malformed.text, text);
    format!("{malformed}")
}

/// One of each kind, with everything that has been seen to vary.
const COMPLETE: &[&str] = &[
    r#"{"type":"user","message":{"role":"user","content":"hi \u00e4"},"parent_tool_use_id":null,"uuid":"u1","session_id":"s","isReplay":true}"#,
    r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"out"},{"type":"image","source":{"type":"base64","data":"AAAA"}}],"is_error":false}]},"tool_use_result":{"x":[1, 2]}}"#,
    r#"{"type":"assistant","message":{"id":"m1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"a"},{"type":"thinking","thinking":"b","signature":"c"},{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls"}}],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":"12"}},"parent_tool_use_id":null,"uuid":"u2"}"#,
    r#"{"type":"stream_event","event":{"type":"message_start","message":{"content":[]}}}"#,
    r#"{"type":"stream_event","event":{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}}"#,
    r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"wo"}}}"#,
    r#"{"type":"stream_event","event":{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}}"#,
    r#"{"type":"stream_event","event":{"type":"content_block_stop","index":1}}"#,
    r#"{"type":"stream_event","event":{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}}"#,
    r#"{"type":"stream_event","event":{"type":"message_stop"}}"#,
    r#"{"type":"result","subtype":"success","is_error":true,"num_turns":-1,"duration_ms":"1200","total_cost_usd":0.10,"permission_denials":[{"tool_name":"Bash","tool_use_id":"t","tool_input":{}}]}"#,
    r#"{"type":"result","subtype":"error_next_week","is_error":false,"errors":["x"],"modelUsage":{"m":{"y":1}},"result":"done","stop_reason":"end_turn"}"#,
    r#"{"type":"system","subtype":"init","model":"x","tools":["Bash"],"permissionMode":"default"}"#,
    r#"{"type":"system","subtype":"status","status":null}"#,
    r#"{"type":"system","subtype":"api_retry","attempt":1,"error_status":null,"error":"overloaded"}"#,
    r#"{"type":"tool_progress","tool_use_id":"t","tool_name":"Bash","elapsed_time_seconds":1.5}"#,
    r#"{"type":"control_cancel_request","request_id":"r"}"#,
    r#"{"type":"keep_alive"}"#,
];

#[test]
fn what_is_known_is_modelled_and_comes_back_the_same() {
    for text in COMPLETE {
        assert_eq!(unmodelled(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn unknown_fields_types_and_subtypes_are_named_and_kept() {
    assert_eq!(
        unmodelled(
            r#"{"novel": {"a" : 1},"type":"assistant","message":{"content":[{"type":"text","text":"a","x":1e400},{"type":"server_tool_use","y":2}],"z":[ ]}}"#
        ),
        [
            "message.content[0].x",
            "message.content[1].type \"server_tool_use\"",
            "message.z",
            "novel"
        ]
    );
    assert_eq!(
        unmodelled(r#"{"type":"system","subtype":"hook_new","q":1}"#),
        ["subtype \"hook_new\""]
    );
    assert_eq!(
        unmodelled(r#"{"type":"env_manager_log","q":1}"#),
        ["type \"env_manager_log\""]
    );
    assert_eq!(
        unmodelled(
            r#"{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"new_delta"}}}"#
        ),
        ["event.delta.type \"new_delta\""]
    );

    let frame =
        frame(r#"{"type":"assistant","b" : { "x":  1.0 },"message":{"content":"s"},"a":2}"#);
    let said = frame.as_assistant().unwrap();
    let kept: Vec<_> = said
        .rest
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str()))
        .collect();
    assert_eq!(kept, [r#"b={ "x":  1.0 }"#, "a=2"]);
}

#[test]
fn a_malformed_known_field_is_named_by_its_path() {
    assert_eq!(
        fault(
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":7}]}}"#
        ),
        "`message.content[2].text` is of an unexpected shape"
    );
    assert_eq!(fault(r#"{"type":"user"}"#), "`message` is missing");
    assert_eq!(
        fault(r#"{"type":"user","message":[]}"#),
        "`message` is of an unexpected shape"
    );
    assert_eq!(
        fault(r#"{"type":"assistant","message":{"content":[{"text":"a"}]}}"#),
        "`message.content[0].type` is missing"
    );
    assert_eq!(
        fault(r#"{"type":"result","subtype":"success","is_error":"no"}"#),
        "`is_error` is of an unexpected shape"
    );
    assert_eq!(
        fault(
            r#"{"type":"result","subtype":"success","is_error":false,"usage":{"input_tokens":"many"}}"#
        ),
        "`usage.input_tokens` is of an unexpected shape"
    );
    assert_eq!(fault(r#"{"type":"system"}"#), "`subtype` is missing");
}

#[test]
fn counters_may_be_negative_and_may_be_strings() {
    let frame = frame(COMPLETE[10]);
    let result = frame.as_result().unwrap();
    assert!(result.is_error);
    assert_eq!(result.subtype, "success");
    assert_eq!(result.num_turns.as_ref().unwrap().as_i64(), Some(-1));
    assert_eq!(result.duration_ms.as_ref().unwrap().as_i64(), Some(1200));
    assert!(result.result.as_str().is_none());
}

#[test]
fn deltas_tools_and_words_can_be_told_apart() {
    assert_eq!(
        frame(COMPLETE[5]).as_stream_event().unwrap().text_delta(),
        Some("wo")
    );
    let said = frame(COMPLETE[2]);
    let said = said.as_assistant().unwrap();
    assert_eq!(said.message.content.words().collect::<String>(), "a");
    let ContentBlock::ToolUse(tool) = &said.message.content.blocks()[2] else {
        panic!("a tool use");
    };
    assert_eq!(
        (&*tool.name, tool.input.as_str()),
        ("Bash", r#"{"command":"ls"}"#)
    );
    assert!(frame(COMPLETE[0]).as_assistant().is_none());
}

#[test]
fn depth_and_half_surrogates_harm_nothing() {
    let deep = format!(
        r#"{{"type":"user","message":{{"content":{}"x"{}}},"x":{}{}}}"#,
        r#"[{"type":"tool_result","tool_use_id":"t","content":"#.repeat(2000),
        "}]".repeat(2000),
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let frame_ = frame(deep);
    let view = frame_.view().unwrap();
    assert!(same_json(&view.encode(), frame_.as_str()));

    let cut = frame(r#"{"type":"user","message":{"content":"a\ud83d","\ud83d":1}}"#);
    let view = cut.view().unwrap();
    assert!(same_json(&view.encode(), cut.as_str()));
    assert!(
        cut.as_user()
            .unwrap()
            .message
            .content
            .words()
            .all(|text| text.starts_with('a'))
    );
}

#[test]
fn debug_shows_no_content() {
    let frame = frame(r#"{"type":"user","message":{"content":"canary"},"canary":"canary"}"#);
    assert!(!format!("{:?}", frame.view().unwrap()).contains("canary"));
    let malformed =
        Frame::classify(r#"{"type":"user","message":{"content":7},"x":"canary"}"#.into())
            .unwrap()
            .view()
            .unwrap_err();
    assert!(!format!("{malformed:?} {malformed}").contains("canary"));
}

/// Every value inside `value`, by the steps that lead to it.
fn places(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    found.push(at.into());
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                places(value, &format!("{at}/{key}"), found);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

#[test]
fn whatever_stands_anywhere_is_kept_or_named() {
    let strange = [
        "null",
        "7",
        "-1.50",
        "true",
        r#""x""#,
        "[]",
        "[7]",
        "{}",
        r#"{"type":"x"}"#,
    ];
    let (mut kept, mut named) = (0, 0);
    for text in COMPLETE {
        let whole: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        for place in found
            .iter()
            .filter(|place| *place != "/type" && !place.is_empty())
        {
            for other in strange {
                let mut changed = whole.clone();
                *changed.pointer_mut(place).unwrap() = serde_json::from_str(other).unwrap();
                let Ok(frame) = Frame::classify(format!("{changed}").into()) else {
                    continue;
                };
                match frame.view() {
                    Ok(view) => {
                        assert!(same_json(&view.encode(), frame.as_str()), "{changed}");
                        kept += 1;
                    }
                    Err(malformed) => {
                        let steps = place.trim_start_matches('/').split('/').next().unwrap();
                        assert!(malformed.path.starts_with(steps), "{changed}: {malformed}");
                        named += 1;
                    }
                }
            }
        }
    }
    assert!(kept > 200 && named > 200, "{kept} kept, {named} named");
}

#[test]
fn a_quantity_is_a_decimal_number_or_its_text() {
    let cost = |value: &str| {
        let text = format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"total_cost_usd":{value}}}"#
        );
        let frame = frame(text);
        let result = frame.as_result()?;
        let cost = result.total_cost_usd.as_ref()?.as_f64();
        Some(cost)
    };
    for (value, quantity) in [("0.25", 0.25_f64), (r#""-2e1""#, -20.0), ("3", 3.0)] {
        assert_eq!(
            cost(value).map(f64::to_bits),
            Some(quantity.to_bits()),
            "{value}"
        );
    }
    for value in [r#""inf""#, r#""NaN""#, r#""1.2.3""#, r#""""#, "true"] {
        assert_eq!(cost(value), None, "{value}");
    }
}

#[test]
fn what_is_there_can_be_read() {
    let result = frame(COMPLETE[11]);
    let result = result.as_result().unwrap();
    assert_eq!(result.result.as_str(), Some("done"));
    assert!(result.subtype == "error_next_week" && result.subtype != "success");
    let system = frame(COMPLETE[12]);
    assert!(matches!(system.as_system(), Some(System::Init(_))));
    assert!(frame(COMPLETE[0]).as_system().is_none());
}

#[test]
fn new_fields_are_named_inside_what_may_be_absent_as_well() {
    assert_eq!(
        unmodelled(
            r#"{"type":"assistant","message":{"content":"a","usage":{"input_tokens":1,"novel":2}}}"#
        ),
        ["message.usage.novel"]
    );
}

#[test]
fn what_has_no_name_here_still_has_a_shape() {
    let frame = frame(
        r#"{"type":"assistant","message":{"content":"s"},"a":{},"b":[],"c":"","d":1,"e":true,"f":false,"g":null}"#,
    );
    let said = frame.as_assistant().unwrap();
    assert!(!said.rest.is_empty());
    assert!(
        Frame::classify(COMPLETE[2].into())
            .unwrap()
            .as_assistant()
            .unwrap()
            .rest
            .is_empty()
    );
    let shapes: Vec<_> = said.rest.iter().map(|(_, value)| value.shape()).collect();
    assert_eq!(
        shapes,
        [
            JsonShape::Object,
            JsonShape::Array,
            JsonShape::String,
            JsonShape::Number,
            JsonShape::Boolean,
            JsonShape::Boolean,
            JsonShape::Null
        ]
    );
    let bare = Frame::classify(r#"{"type":"keep_alive"}"#.into()).unwrap();
    assert!(bare.as_assistant().is_none());
}
