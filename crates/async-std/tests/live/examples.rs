//! Every example does what it says.

use std::{
    error::Error,
    io::{self, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use attache_relay::Agent;
use smol::channel;

use crate::{approver::approve, chat::chat, stage::Stage, watch::watch, worker_example::work};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

fn answer(words: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{words}"}}]}}}}"#
    )
}

#[test]
fn watch_shows_every_message_until_the_session_ends() {
    let stage = Stage::open();
    let (id, agent) = stage.session();
    stage.now(agent.publish(&answer("before"))).unwrap();
    let (output, lines) = screen();
    let url = stage.url();
    let session = id.to_string();
    let watching = Running::start(move || {
        async_std::task::block_on(watch(&url, &session, Stage::TOKEN, output))
    });

    assert!(lines.next().contains("before"));
    stage.now(agent.publish(&answer("live"))).unwrap();
    assert!(lines.next().contains("live"));
    drop(agent);
    stage.archive(&id);

    assert_eq!(lines.next(), "the session has ended");
    watching.ends();
}

#[test]
fn chat_says_lines_and_shows_answers() {
    let stage = Stage::open();
    let (id, mut agent) = stage.session();
    let (output, shown) = screen();
    let (typing, chatting) = start_chat(&stage, id.to_string(), output);

    typing.try_send(Ok("hello".into())).unwrap();
    assert!(hears(&stage, &mut agent, "user").contains("hello"));
    let words = answer("how do you do");
    stage.now(agent.publish(&words)).unwrap();
    assert_eq!(shown.next(), "how do you do");
    drop(typing);

    chatting.ends();
}

#[test]
fn approver_allows_what_is_on_its_list_and_denies_the_rest() {
    let stage = Stage::open();
    let (id, mut agent) = stage.session();
    let (output, lines) = screen();
    let url = stage.url();
    let session = id.to_string();
    let approving = Running::start(move || {
        let tools = ["Read".to_owned()];
        async_std::task::block_on(approve(&url, &session, Stage::TOKEN, &tools, output))
    });

    for (tool, behavior) in [("Read", "allow"), ("Bash", "deny")] {
        let asked = format!(
            r#"{{"type":"control_request","request_id":"r-{tool}","request":{{"subtype":"can_use_tool","tool_name":"{tool}","input":{{}},"tool_use_id":"t-{tool}"}}}}"#
        );
        stage.now(agent.publish(&asked)).unwrap();
        assert!(lines.next().starts_with(tool));
        let answered = hears(&stage, &mut agent, "control_response");
        let answered: serde_json::Value = serde_json::from_str(&answered).unwrap();
        assert_eq!(answered["response"]["request_id"], format!("r-{tool}"));
        assert_eq!(answered["response"]["response"]["behavior"], behavior);
    }
    stage.archive(&id);

    approving.ends();
}

#[test]
fn worker_and_chat_talk_with_each_other_through_the_relay() {
    let stage = Stage::open();
    let (output, said) = screen();
    let url = stage.url();
    let working = Running::start(move || smol::block_on(work(&url, Stage::TOKEN, output)));
    let session = said.next();
    let (output, shown) = screen();
    let (typing, chatting) = start_chat(&stage, session, output);

    for words in ["hello", "bye"] {
        typing.try_send(Ok(words.into())).unwrap();
        assert_eq!(shown.next(), words);
    }

    assert_eq!(said.next(), "closed as asked");
    working.ends();
    drop(typing);
    chatting.ends();
}

fn start_chat(
    stage: &Stage,
    session: String,
    output: Output,
) -> (channel::Sender<io::Result<String>>, Running) {
    let (typing, typed) = channel::unbounded();
    let url = stage.url();
    let chatting = Running::start(move || {
        let typed = Box::pin(typed);
        smol::block_on(chat(&url, &session, Stage::TOKEN, typed, output))
    });
    (typing, chatting)
}

/// The next frame for the agent of this type.
fn hears(stage: &Stage, agent: &mut Agent, type_name: &str) -> String {
    loop {
        let frame = stage.now(agent.recv()).unwrap().unwrap();
        if frame.type_name() == type_name {
            return frame.as_str().to_owned();
        }
    }
}

/// An example on a thread of its own, which has to end in time.
struct Running(mpsc::Receiver<Result<(), String>>);

impl Running {
    fn start(example: impl FnOnce() -> Result<(), Box<dyn Error>> + Send + 'static) -> Self {
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            let ended = example().map_err(|error| error.to_string());
            eprintln!("the example ended: {ended:?}");
            sender.send(ended)
        });
        Self(done)
    }

    fn ends(self) {
        self.0.recv_timeout(LIMIT).expect("it ends").unwrap();
    }
}

/// What an example writes, line by line.
struct Lines(mpsc::Receiver<String>);

/// Where it writes it.
struct Output {
    line: Vec<u8>,
    lines: mpsc::Sender<String>,
}

fn screen() -> (Output, Lines) {
    let (sender, lines) = mpsc::channel();
    let output = Output {
        line: Vec::new(),
        lines: sender,
    };
    (output, Lines(lines))
}

impl Lines {
    fn next(&self) -> String {
        self.0.recv_timeout(LIMIT).expect("another line")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                // The test may have seen enough.
                let _ = self.lines.send(String::from_utf8(line).unwrap());
            } else {
                self.line.push(byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
