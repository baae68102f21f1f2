//! What the examples of every adapter do, against the relay, embedded: [`watch`], [`chat`], [`approver`]
//! and [`worker`] each run one as it is and hold it against what it says it does.
//!
//! An example is a closure that blocks until the example has ended: it gets the [`Door`] to go in by, and
//! an [`Output`] to write to.
//!
//! # Panics
//! Each of them does when the example does something else, or takes longer than 20 s for a step.

mod running;
mod stage;

use std::{error::Error, sync::mpsc};

use running::Running;
use stage::Stage;

pub use running::Output;

/// How an example ended.
pub type Ended = Result<(), Box<dyn Error>>;

/// Where an example goes in.
#[derive(Clone, Debug)]
pub struct Door {
    /// Of the relay.
    pub base_url: String,
    /// Empty for a worker, which makes its own.
    pub session: String,
    /// Nobody else is let in.
    pub token: &'static str,
}

/// A watcher shows every message, whether it came before or comes now, until the session ends, and then
/// why it did.
#[expect(clippy::missing_panics_doc, reason = "the module's doc says it")]
pub fn watch(watch: impl FnOnce(Door, Output) -> Ended + Send + 'static) {
    let stage = Stage::open();
    let (door, agent) = stage.session();
    let archived = door.clone();
    stage.publish(&agent, &answer("before"));
    let (watching, lines) = Running::start(|output| watch(door, output));

    assert!(lines.next().contains("before"));
    stage.publish(&agent, &answer("live"));
    assert!(lines.next().contains("live"));
    drop(agent);
    stage.archive(&archived);

    assert_eq!(lines.next(), "the session has ended");
    watching.ends();
}

/// A chat says each line that is typed, shows each answer, and leaves when nothing more is typed.
#[expect(clippy::missing_panics_doc, reason = "the module's doc says it")]
pub fn chat(chat: impl FnOnce(Door, mpsc::Receiver<String>, Output) -> Ended + Send + 'static) {
    let stage = Stage::open();
    let (door, mut agent) = stage.session();
    let (typing, typed) = mpsc::channel();
    let (chatting, lines) = Running::start(|output| chat(door, typed, output));

    typing.send("hello".to_owned()).expect("it reads on");
    let heard = stage.hears(&mut agent, "user");
    assert!(heard.as_str().contains("hello"), "{}", heard.as_str());
    stage.publish(&agent, &answer("how do you do"));
    assert_eq!(lines.next(), "how do you do");
    drop(typing);

    chatting.ends();
}

/// An approver that was told the tool `Read` allows that, and denies any other.
#[expect(clippy::missing_panics_doc, reason = "the module's doc says it")]
pub fn approver(approve: impl FnOnce(Door, Vec<String>, Output) -> Ended + Send + 'static) {
    let stage = Stage::open();
    let (door, mut agent) = stage.session();
    let archived = door.clone();
    let tools = vec!["Read".to_owned()];
    let (approving, lines) = Running::start(|output| approve(door, tools, output));

    for (tool, behavior) in [("Read", "allow"), ("Bash", "deny")] {
        let asked = format!(
            r#"{{"type":"control_request","request_id":"r-{tool}","request":{{"subtype":"can_use_tool","tool_name":"{tool}","input":{{}},"tool_use_id":"t-{tool}"}}}}"#
        );
        stage.publish(&agent, &asked);
        assert!(lines.next().starts_with(tool));
        let answered = stage.hears(&mut agent, "control_response");
        let answered: serde_json::Value =
            serde_json::from_str(answered.as_str()).expect("a frame is JSON");
        let told = |pointer| {
            answered
                .pointer(pointer)
                .and_then(serde_json::Value::as_str)
        };
        let request_id = format!("r-{tool}");
        assert_eq!(told("/response/request_id"), Some(request_id.as_str()));
        assert_eq!(told("/response/response/behavior"), Some(behavior));
    }
    drop(agent);
    stage.archive(&archived);

    approving.ends();
}

/// A worker writes the id of its session, repeats what it is told, ends when it is told "bye", and writes
/// why it did; the chat of the same adapter talks with it.
#[expect(clippy::missing_panics_doc, reason = "the module's doc says it")]
pub fn worker(
    work: impl FnOnce(Door, Output) -> Ended + Send + 'static,
    chat: impl FnOnce(Door, mpsc::Receiver<String>, Output) -> Ended + Send + 'static,
) {
    let stage = Stage::open();
    let door = stage.door("");
    let (working, said) = Running::start(|output| work(door, output));
    let door = stage.door(&said.next());
    let (typing, typed) = mpsc::channel();
    let (chatting, shown) = Running::start(|output| chat(door, typed, output));

    for words in ["hello", "bye"] {
        typing.send(words.to_owned()).expect("it reads on");
        assert_eq!(shown.next(), words);
    }

    assert_eq!(said.next(), "closed as asked");
    working.ends();
    drop(typing);
    chatting.ends();
}

fn answer(words: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{words}"}}]}}}}"#
    )
}
