//! The scripted agent as a process: what it writes and how it ends.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// Nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(20);
const MEBIBYTE: usize = 1024 * 1024;

/// A running agent. It dies with its test.
struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: Receiver<String>,
}

impl Agent {
    fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// Starts an agent and reads its introduction.
    fn start_with(prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = command();
        command
            .args(["--input-format", "stream-json", "--verbose"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                match stdout.read_until(b'\n', &mut line) {
                    Ok(1..) if sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        let (sender, stderr) = mpsc::channel();
        let mut pipe = child.stderr.take().unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let agent = Self {
            child,
            stdin,
            lines,
            stderr,
        };
        let init = agent.frame();
        assert_eq!(
            (&init["type"], &init["subtype"]),
            (&json!("system"), &json!("init"))
        );
        agent
    }

    fn tell(&mut self, frame: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{frame}").unwrap();
    }

    fn say(&mut self, text: &str) {
        self.tell(&json!({"type": "user", "message": {"role": "user", "content": text}}));
    }

    fn ask(&mut self, request_id: &str, request: &Value) {
        self.tell(
            &json!({"type": "control_request", "request_id": request_id, "request": request}),
        );
    }

    fn answer(&mut self, prompt: &Value, response: &Value) {
        self.tell(&json!({"type": "control_response", "response": {
            "subtype": "success", "request_id": prompt["request_id"], "response": response,
        }}));
    }

    fn line(&self) -> Vec<u8> {
        self.lines.recv_timeout(LIMIT).unwrap()
    }

    fn frame(&self) -> Value {
        serde_json::from_slice(&self.line()).unwrap()
    }

    /// Reads until a frame of this type.
    fn until(&self, type_name: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == type_name {
                return frame;
            }
        }
    }

    /// Waits for the end of the process; gives its exit code and all of its stderr.
    fn end(mut self) -> (Option<i32>, String) {
        while self.lines.recv_timeout(LIMIT).is_ok() {}
        let stderr = self.stderr.recv_timeout(LIMIT).unwrap();
        // Both pipes are closed, so the process is on its way out.
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scripted-agent"))
}

fn text(frame: &Value) -> &str {
    let text = frame["message"]["content"][0]["text"].as_str();
    text.unwrap()
}

#[test]
fn help_lists_what_it_obeys() {
    let output = command().arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for order in [
        "say N",
        "slow N",
        "tool [NAME]",
        "big N",
        "garbage",
        "crash [CODE]",
        "exit",
    ] {
        assert!(help.contains(order), "{order}");
    }
}

#[test]
fn a_conversation() {
    let mut agent = Agent::start();
    agent.ask("q1", &json!({"subtype": "initialize"}));
    let answer = agent.frame();
    assert_eq!(answer["response"]["request_id"], "q1");
    assert_eq!(answer["response"]["subtype"], "success");

    agent.say("hello there");
    assert_eq!(text(&agent.until("assistant")), "You said: hello there");
    assert_eq!(agent.until("result")["subtype"], "success");

    agent.ask("q2", &json!({"subtype": "novelty"}));
    assert_eq!(agent.frame()["response"]["subtype"], "error");

    agent.say("say 100");
    assert_eq!(agent.frame()["event"]["type"], "message_start");
    let whole = agent.until("assistant");
    assert!(text(&whole).ends_with("word100 "));
    agent.until("result");

    agent.stdin = None;
    assert_eq!(agent.end(), (Some(0), String::new()));
}

#[test]
fn permission_is_asked_given_and_refused() {
    let mut agent = Agent::start();
    agent.say("tool");
    let prompt = agent.until("control_request");
    let input = json!({"command": "changed"});
    agent.answer(
        &prompt,
        &json!({"behavior": "allow", "updatedInput": input}),
    );
    let ran = agent.until("user")["message"]["content"][0]["content"].clone();
    assert_eq!(ran, r#"Bash ran with {"command":"changed"}"#);
    assert_eq!(agent.until("result")["permission_denials"], json!([]));

    agent.say("tool Write");
    let prompt = agent.until("control_request");
    agent.answer(&prompt, &json!({"behavior": "deny", "message": "no"}));
    let denials = agent.until("result")["permission_denials"].clone();
    assert_eq!(denials[0]["tool_name"], "Write");
}

#[test]
fn an_interrupt_is_obeyed_in_the_middle_of_a_pause() {
    let mut agent = Agent::start();
    // Without the interrupt the first pause would outlast the test.
    agent.say("slow 2 3600000");
    agent.until("stream_event");
    agent.ask("q", &json!({"subtype": "interrupt"}));
    assert_eq!(
        agent.until("control_response")["response"]["request_id"],
        "q"
    );
    assert_eq!(agent.until("result")["subtype"], "error_during_execution");
    agent.say("still there?");
    assert_eq!(agent.until("result")["result"], "You said: still there?");
}

#[test]
fn an_interrupt_stops_a_stream_and_withdraws_a_prompt() {
    let mut agent = Agent::start();
    agent.say("say 4000000000");
    agent.until("stream_event");
    agent.ask("q1", &json!({"subtype": "interrupt"}));
    assert_eq!(agent.until("result")["subtype"], "error_during_execution");

    agent.say("tool");
    let prompt = agent.until("control_request");
    agent.ask("q2", &json!({"subtype": "interrupt"}));
    let cancel = agent.frame();
    assert_eq!(cancel["type"], "control_cancel_request");
    assert_eq!(cancel["request_id"], prompt["request_id"]);
    assert_eq!(agent.frame()["response"]["request_id"], "q2");
    assert_eq!(agent.until("result")["subtype"], "error_during_execution");
}

#[test]
fn a_line_may_be_as_big_as_it_likes_in_both_directions() {
    let mut agent = Agent::start();
    agent.say("big 16");
    let line = agent.line();
    assert!((16 * MEBIBYTE..17 * MEBIBYTE).contains(&line.len()));
    let frame: Value = serde_json::from_slice(&line).unwrap();
    assert!(text(&frame).ends_with("0123456789abcdef"));
    agent.until("result");

    agent.say(&"x".repeat(8 * MEBIBYTE));
    assert!(text(&agent.until("assistant")).starts_with("You said: xxx"));
}

#[test]
fn after_garbage_it_goes_on() {
    let mut agent = Agent::start();
    agent.say("garbage");
    let mut garbage = 0;
    let mut texts = Vec::new();
    while texts.len() < 2 {
        match serde_json::from_slice::<Value>(&agent.line()) {
            Ok(frame) if frame["type"] == "assistant" => texts.push(text(&frame).to_owned()),
            _ => garbage += 1,
        }
    }
    assert_eq!(
        (garbage, texts),
        (
            7,
            vec!["in two halves".to_owned(), "That was garbage.".to_owned()]
        )
    );
    assert_eq!(agent.until("result")["subtype"], "success");
}

#[test]
fn it_crashes_with_a_code_and_last_words() {
    let mut agent = Agent::start();
    agent.say("crash 42");
    assert_eq!(
        agent.until("stream_event")["event"]["type"],
        "message_start"
    );
    let (code, stderr) = agent.end();
    assert_eq!(code, Some(42));
    assert!(stderr.lines().count() >= 2, "{stderr}");
}

#[test]
fn it_leaves_when_told_to_and_when_stdin_ends() {
    let mut agent = Agent::start();
    agent.say("exit");
    assert_eq!(agent.until("result")["subtype"], "success");
    assert_eq!(agent.end().0, Some(0));

    for order in ["tool", "slow 2 3600000"] {
        let mut agent = Agent::start();
        agent.say(order);
        agent.frame();
        agent.stdin = None;
        assert_eq!(agent.end().0, Some(0), "{order}");
    }
}

#[test]
fn what_it_finds_where_it_runs() {
    let mut agent = Agent::start_with(|command| {
        command.env("SCRIPTED_COLOR", "blue");
    });
    agent.say("env SCRIPTED_COLOR");
    assert_eq!(agent.until("result")["result"], "SCRIPTED_COLOR=blue");
}
