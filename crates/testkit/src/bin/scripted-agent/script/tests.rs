use std::collections::BTreeSet;

use attache_protocol::frame::Frame;
use serde_json::{Value, json};

use super::*;

/// The script with its output, read as far as it goes without waiting.
struct Stage {
    script: Script,
    now: Duration,
    frames: Vec<Value>,
}

impl Stage {
    fn new() -> Self {
        let surroundings = Surroundings {
            cwd: "/srv".to_owned(),
            variables: [("COLOR".to_owned(), "blue".to_owned())].into(),
        };
        Self {
            script: Script::new(u128::MAX, surroundings),
            now: Duration::ZERO,
            frames: Vec::new(),
        }
    }

    fn tell(&mut self, frame: &Value) {
        self.script.hear(&line(frame));
    }

    fn say(&mut self, text: &str) {
        self.tell(
            &json!({"type": "user", "uuid": text, "message": {"role": "user", "content": text}}),
        );
    }

    fn ask(&mut self, request: &Value) {
        self.tell(&json!({"type": "control_request", "request_id": "q", "request": request}));
    }

    fn answer(&mut self, response: &Value) {
        let request_id = self.last("control_request")["request_id"].clone();
        self.tell(&json!({"type": "control_response", "response": {
            "subtype": "success", "request_id": request_id, "response": response,
        }}));
    }

    /// One order; what is written has to be a frame.
    fn step(&mut self) -> Do {
        let order = self.script.next(self.now);
        if let Do::Write(bytes) = &order {
            let text = str::from_utf8(bytes).unwrap();
            assert!(text.ends_with('\n'), "{text}");
            let frame = Frame::classify(text.trim_end().to_owned().into()).unwrap();
            let unmodelled = frame.view().unwrap().unmodelled();
            assert!(unmodelled.is_empty(), "{text} {unmodelled:?}");
            self.frames.push(serde_json::from_str(text).unwrap());
        }
        order
    }

    /// All orders until there is something to wait for, or nothing more to do.
    fn run(&mut self) -> Do {
        loop {
            let order = self.step();
            if let Do::Wait(_) | Do::Exit(_) = order {
                return order;
            }
        }
    }

    fn last(&self, type_name: &str) -> &Value {
        let found = self.frames.iter().rfind(|frame| frame["type"] == type_name);
        found.unwrap()
    }

    fn count(&self, type_name: &str) -> usize {
        let found = self
            .frames
            .iter()
            .filter(|frame| frame["type"] == type_name);
        found.count()
    }

    fn types(&self) -> Vec<&str> {
        let types = self.frames.iter().map(|frame| frame["type"].as_str());
        types.map(Option::unwrap).collect()
    }
}

#[test]
fn it_introduces_itself_and_waits() {
    let mut stage = Stage::new();
    assert_eq!(stage.run(), Do::Wait(None));
    assert_eq!(stage.types(), ["system"]);
    assert_eq!(stage.frames[0]["cwd"], "/srv");
    stage.ask(&json!({"subtype": "initialize"}));
    stage.run();
    let answer = &stage.last("control_response")["response"];
    assert_eq!(
        (&answer["subtype"], &answer["request_id"]),
        (&json!("success"), &json!("q"))
    );
    assert_eq!(answer["response"]["output_style"], "normal");
}

#[test]
fn messages_have_fresh_uuids_and_one_session() {
    let mut stage = Stage::new();
    for text in ["say 5", "tool", "hello", "big 0"] {
        stage.say(text);
    }
    stage.run();
    stage.answer(&json!({"behavior": "allow", "updatedInput": {}}));
    stage.run();
    let mut uuids = BTreeSet::new();
    let session = stage.frames[0]["session_id"].as_str().unwrap();
    for frame in &stage.frames {
        if !frame["type"].as_str().unwrap().starts_with("control_") {
            assert!(uuids.insert(frame["uuid"].as_str().unwrap()), "{frame}");
            assert_eq!(frame["session_id"], session);
        }
    }
    assert_eq!(stage.count("result"), 4);
}

#[test]
fn deltas_add_up_to_the_message() {
    let mut stage = Stage::new();
    stage.say("say 12");
    stage.run();
    let deltas: String = stage
        .frames
        .iter()
        .filter_map(|frame| frame.pointer("/event/delta/text"))
        .filter_map(Value::as_str)
        .collect();
    assert!(deltas.starts_with("word1 ") && deltas.ends_with("word12 "));
    assert_eq!(
        stage.last("assistant")["message"]["content"][0]["text"],
        deltas
    );
    assert_eq!(stage.last("result")["subtype"], "success");
}

#[test]
fn a_tool_waits_for_permission_and_runs_with_the_input_it_was_given() {
    let mut stage = Stage::new();
    stage.say("tool Write");
    assert_eq!(stage.run(), Do::Wait(None));
    let request = stage.last("control_request").clone();
    assert_eq!(request["request"]["tool_name"], "Write");
    stage.ask(&json!({"subtype": "initialize"}));
    stage.run();
    let pending = &stage.last("control_response")["response"]["response"];
    assert_eq!(pending["pending_permission_requests"], json!([request]));

    stage.answer(&json!({"behavior": "allow", "updatedInput": {"command": "pwd"}}));
    assert_eq!(stage.run(), Do::Wait(None));
    let result = &stage.last("user")["message"]["content"][0];
    assert_eq!(result["content"], r#"Write ran with {"command":"pwd"}"#);
    assert_eq!(result["tool_use_id"], request["request"]["tool_use_id"]);
    assert_eq!(stage.last("result")["permission_denials"], json!([]));
}

#[test]
fn an_answer_counts_once_and_only_for_its_prompt() {
    let mut stage = Stage::new();
    stage.say("tool");
    stage.run();
    let allow = json!({"behavior": "allow", "updatedInput": {}});
    stage.tell(&json!({"type": "control_response", "response": {
        "subtype": "success", "request_id": "another", "response": allow,
    }}));
    assert_eq!(stage.run(), Do::Wait(None));
    assert_eq!(stage.count("result"), 0);
    stage.answer(&allow);
    stage.answer(&allow);
    stage.run();
    assert_eq!((stage.count("user"), stage.count("result")), (1, 1));
}

#[test]
fn a_denial_is_said_and_listed() {
    let mut stage = Stage::new();
    stage.say("tool");
    stage.run();
    stage.answer(&json!({"behavior": "deny", "message": "not now"}));
    stage.run();
    let result = &stage.last("user")["message"]["content"][0];
    assert_eq!(result["content"], "Bash was denied: not now");
    assert_eq!(result["is_error"], true);
    let end = stage.last("result");
    assert_eq!(end["subtype"], "success");
    assert_eq!(end["permission_denials"][0]["tool_name"], "Bash");
}

#[test]
fn a_denial_may_end_the_turn() {
    let mut stage = Stage::new();
    stage.say("tool");
    stage.run();
    stage.answer(&json!({"behavior": "deny", "message": "stop", "interrupt": true}));
    stage.run();
    let end = stage.last("result");
    assert_eq!(end["subtype"], "error_during_execution");
    assert_eq!(end["permission_denials"][0]["tool_name"], "Bash");
}

#[test]
fn permission_without_input_runs_nothing() {
    let mut stage = Stage::new();
    stage.say("tool");
    stage.run();
    stage.answer(&json!({"behavior": "allow"}));
    stage.run();
    assert_eq!(
        stage.last("user")["message"]["content"][0]["is_error"],
        true
    );
}

#[test]
fn an_interrupt_ends_the_stream_and_keeps_the_queue() {
    let mut stage = Stage::new();
    stage.say("say 1000000");
    stage.say("hello");
    while stage.count("stream_event") < 10 {
        stage.step();
    }
    stage.ask(&json!({"subtype": "interrupt"}));
    assert_eq!(stage.run(), Do::Wait(None));
    assert_eq!(stage.count("stream_event"), 10);
    let tail = &stage.types()[11..];
    assert_eq!(
        tail,
        ["control_response", "user", "result", "assistant", "result"]
    );
    let answer = &stage.last("control_response")["response"]["response"];
    assert_eq!(answer["still_queued"], json!(["hello"]));
    assert_eq!(stage.frames[13]["subtype"], "error_during_execution");
}

#[test]
fn an_interrupt_may_clear_the_queue_and_do_nothing_else() {
    let mut stage = Stage::new();
    stage.say("hello");
    stage.ask(&json!({"subtype": "interrupt", "cancel_queued": true}));
    stage.run();
    assert_eq!(stage.types(), ["system", "control_response"]);
    let answer = &stage.last("control_response")["response"]["response"];
    assert_eq!(answer["still_queued"], json!([]));
}

#[test]
fn an_interrupt_after_the_result_changes_nothing() {
    for (order, end) in [("hello", Do::Wait(None)), ("exit", Do::Exit(0))] {
        let mut stage = Stage::new();
        stage.say(order);
        while stage.count("result") < 1 {
            stage.step();
        }
        stage.ask(&json!({"subtype": "interrupt"}));
        assert_eq!(stage.run(), end, "{order}");
        assert_eq!(stage.count("result"), 1, "{order}");
    }
}

#[test]
fn an_interrupt_withdraws_the_prompt() {
    let mut stage = Stage::new();
    stage.say("tool");
    stage.run();
    stage.ask(&json!({"subtype": "interrupt"}));
    stage.run();
    let tail = &stage.types()[3..];
    let cancelled = &stage.last("control_cancel_request")["request_id"];
    assert_eq!(
        tail,
        [
            "control_cancel_request",
            "control_response",
            "user",
            "result"
        ]
    );
    assert_eq!(*cancelled, stage.last("control_request")["request_id"]);
    stage.answer(&json!({"behavior": "allow", "updatedInput": {}}));
    stage.run();
    assert_eq!(stage.count("result"), 1);
}

#[test]
fn a_slow_word_comes_when_its_pause_is_over_and_not_before() {
    let millis = Duration::from_millis;
    let mut stage = Stage::new();
    stage.say("slow 2 100");
    assert_eq!(stage.run(), Do::Wait(Some(millis(100))));
    stage.now = millis(60);
    stage.ask(&json!({"subtype": "set_model", "model": "other"}));
    assert_eq!(stage.run(), Do::Wait(Some(millis(40))));
    assert_eq!(stage.count("assistant"), 0);
    stage.now = millis(130);
    assert_eq!(stage.run(), Do::Wait(Some(millis(100))));
    stage.now = millis(230);
    assert_eq!(stage.run(), Do::Wait(None));
    assert_eq!(stage.last("assistant")["message"]["model"], "other");
}

#[test]
fn an_interrupt_never_lands_in_the_middle_of_a_line() {
    let mut stage = Stage::new();
    stage.run();
    stage.say("garbage");
    let mut written = Vec::new();
    let mut run = |stage: &mut Stage| {
        while let Do::Write(bytes) = stage.script.next(stage.now) {
            written.extend(bytes);
        }
        written.clone()
    };
    assert!(!run(&mut stage).ends_with(b"\n"));
    stage.ask(&json!({"subtype": "interrupt"}));
    let all = run(&mut stage);
    let lines: Vec<&[u8]> = all.split(|byte| *byte == b'\n').collect();
    let halves: Value = serde_json::from_slice(lines[7]).unwrap();
    assert_eq!(halves["message"]["content"][0]["text"], "in two halves");
    let answer: Value = serde_json::from_slice(lines[8]).unwrap();
    assert_eq!(answer["type"], "control_response");
}

#[test]
fn unknown_requests_get_an_error() {
    let mut stage = Stage::new();
    stage.ask(&json!({"subtype": "novelty"}));
    stage.run();
    let answer = &stage.last("control_response")["response"];
    assert_eq!(answer["subtype"], "error");
    assert_eq!(
        answer["error"],
        "Unsupported control request subtype: novelty"
    );
}

#[test]
fn what_it_does_not_understand_it_survives() {
    let mut stage = Stage::new();
    stage.run();
    stage.script.hear(b"\xff{");
    assert!(matches!(stage.run(), Do::Wait(None)));
    for frame in [
        json!([]),
        json!({}),
        json!({"type": "novelty"}),
        json!({"type": "user"}),
    ] {
        stage.tell(&frame);
    }
    assert_eq!(stage.run(), Do::Wait(None));
    assert_eq!(stage.types(), ["system", "assistant", "result"]);
}

#[test]
fn text_may_come_in_blocks() {
    let mut stage = Stage::new();
    let content = json!([{"type": "image", "source": {}}, {"type": "text", "text": "env COLOR"}]);
    stage.tell(&json!({"type": "user", "message": {"role": "user", "content": content}}));
    stage.run();
    assert_eq!(stage.last("result")["result"], "COLOR=blue");
}

#[test]
fn a_crash_comes_in_the_middle_of_a_turn() {
    let mut stage = Stage::new();
    stage.say("crash 42");
    assert_eq!(stage.run(), Do::Exit(42));
    assert!(stage.count("stream_event") > 0);
    assert_eq!(stage.count("result"), 0);
}

#[test]
fn the_end_of_input_ends_it_where_it_would_wait() {
    for (order, results) in [
        ("hello", 1),
        ("tool", 0),
        ("slow 3", 0),
        ("say 3", 1),
        ("exit", 1),
    ] {
        let mut stage = Stage::new();
        stage.say(order);
        stage.script.hear_the_end();
        assert_eq!(stage.run(), Do::Exit(0), "{order}");
        assert_eq!(stage.count("result"), results, "{order}");
    }
}
