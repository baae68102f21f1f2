//! Every example does what it says.

use std::sync::mpsc;

use crate::{
    approver::approve,
    chat::chat,
    hub::{Hub, Running, screen},
    watch::watch,
    worker::work,
};

fn said(words: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{words}"}}]}}}}"#
    )
}

#[test]
fn watch_shows_every_message_until_the_session_ends() {
    let hub = Hub::start();
    let session = hub.session();
    let agent = hub.agent(&session);
    hub.publish(&agent, &said("before"));
    let (output, lines) = screen();
    let (base_url, id) = (hub.base_url(), session.to_string());
    let watching = Running::start(move || {
        let watched = watch(&base_url, &id, "token", output);
        watched.map_err(|error| error.to_string())
    });

    assert!(lines.next().contains("before"));
    hub.publish(&agent, &said("live"));
    assert!(lines.next().contains("live"));
    drop(agent);
    hub.archive(&session);

    assert_eq!(lines.next(), "the session has ended");
    watching.ends().unwrap();
}

#[test]
fn chat_says_lines_and_shows_answers() {
    let hub = Hub::start();
    let session = hub.session();
    let mut agent = hub.agent(&session);
    let (output, shown) = screen();
    let (typing, typed) = mpsc::channel::<String>();
    let (base_url, id) = (hub.base_url(), session.to_string());
    let chatting = Running::start(move || {
        let chatted = chat(&base_url, &id, "token", typed.into_iter(), output);
        chatted.map_err(|error| error.to_string())
    });

    typing.send("hello".into()).unwrap();
    let heard = hub.hears(&mut agent, "user");
    assert!(heard.as_str().contains("hello"));
    hub.publish(&agent, &said("how do you do"));
    assert_eq!(shown.next(), "how do you do");
    drop(typing);

    chatting.ends().unwrap();
}

#[test]
fn approver_allows_what_is_on_its_list_and_denies_the_rest() {
    let hub = Hub::start();
    let session = hub.session();
    let mut agent = hub.agent(&session);
    let (output, lines) = screen();
    let (base_url, id) = (hub.base_url(), session.to_string());
    let approving = Running::start(move || {
        let approved = approve(&base_url, &id, "token", &["Read".into()], output);
        approved.map_err(|error| error.to_string())
    });

    for (tool, behavior) in [("Read", "allow"), ("Bash", "deny")] {
        hub.publish(
            &agent,
            &format!(
                r#"{{"type":"control_request","request_id":"r-{tool}","request":{{"subtype":"can_use_tool","tool_name":"{tool}","input":{{}},"tool_use_id":"t-{tool}"}}}}"#
            ),
        );
        assert!(lines.next().starts_with(tool));
        let answer = hub.hears(&mut agent, "control_response");
        let json: serde_json::Value = serde_json::from_str(answer.as_str()).unwrap();
        assert_eq!(json["response"]["request_id"], format!("r-{tool}"));
        assert_eq!(json["response"]["response"]["behavior"], behavior);
    }
    hub.archive(&session);

    approving.ends().unwrap();
}

#[test]
fn worker_and_chat_talk_with_each_other_through_the_relay() {
    let hub = Hub::start();
    let (output, said) = screen();
    let base_url = hub.base_url();
    let working = Running::start(move || {
        let worked = work(&base_url, "token", output);
        worked.map_err(|error| error.to_string())
    });
    let session = said.next();
    let (typing, typed) = mpsc::channel::<String>();
    let (output, shown) = screen();
    let base_url = hub.base_url();
    let chatting = Running::start(move || {
        let chatted = chat(&base_url, &session, "token", typed.into_iter(), output);
        chatted.map_err(|error| error.to_string())
    });

    for words in ["hello", "bye"] {
        typing.send(words.into()).unwrap();
        assert_eq!(shown.next(), words);
    }

    assert_eq!(said.next(), "closed as asked");
    working.ends().unwrap();
    drop(typing);
    chatting.ends().unwrap();
}
