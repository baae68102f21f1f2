use attache_protocol::{
    frame::{Frame, permission::PermissionRequest},
    io::NetworkFailure,
    policy::Outcome,
    time::Timestamp,
    viewer::{Allow, Decision, Message, Source, Standing},
};

use super::*;

type Bench = Terminal<Vec<u8>, Vec<u8>>;

fn terminal(watching: Watching) -> Bench {
    Terminal::new(Vec::new(), Vec::new(), Countdown::Once, watching)
}

fn at(seconds: u64) -> Moment {
    thread_local! {
        static START: Instant = Instant::now();
    }
    let elapsed = Duration::from_secs(seconds);
    Moment {
        instant: START.with(|start| *start) + elapsed,
        timestamp: Timestamp::from_origin(elapsed),
    }
}

fn id(text: &str) -> RequestId {
    RequestId::new(text.to_owned()).unwrap()
}

fn asked(request_id: &str) -> Event {
    let text = format!(
        r#"{{"type":"control_request","request_id":"{request_id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"ls"}},"decision_reason":"\u001b[31mrisky"}}}}"#
    );
    let frame = Frame::classify(text.into()).unwrap();
    Event::PermissionRequested(PermissionRequest::parse(&frame).unwrap())
}

fn said(text: &str) -> Event {
    Event::Message(Message {
        frame: Frame::classify(text.to_owned().into()).unwrap(),
        source: Source::Live,
    })
}

fn notes(terminal: &Bench) -> String {
    let text = String::from_utf8(terminal.notes.clone()).unwrap();
    anstream::adapter::strip_str(&text).to_string()
}

fn decision(command: Option<Command>) -> (String, Decision) {
    let Some(Command::Decide {
        request_id,
        decision,
    }) = command
    else {
        panic!("a decision, not {command:?}");
    };
    (request_id.to_string(), decision)
}

#[test]
fn y_n_and_a_reason_answer_the_oldest_prompt() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&asked("a"), at(0)).unwrap();
    terminal.event(&asked("b"), at(0)).unwrap();
    let answer = decision(terminal.line("y", at(1)).unwrap());
    assert_eq!(answer, ("a".to_owned(), Decision::allow()));
    let sent = Event::PermissionChanged {
        request_id: id("a"),
        state: PromptState::Sent,
    };
    terminal.event(&sent, at(1)).unwrap();
    assert_eq!(
        terminal.line("y!!", at(1)).unwrap(),
        Some(Command::Send(Content::text("y!!")))
    );
    let answer = decision(terminal.line("n not now", at(1)).unwrap());
    assert_eq!(answer, ("b".to_owned(), Decision::deny("not now")));
}

#[test]
fn e_takes_a_new_input_and_insists_on_an_object() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&asked("a"), at(0)).unwrap();
    assert_eq!(terminal.line("e", at(1)).unwrap(), None);
    assert_eq!(terminal.line("[1]", at(1)).unwrap(), None);
    let (_, answer) = decision(terminal.line(r#"{"command":"pwd"}"#, at(1)).unwrap());
    let Decision::Allow(allow) = answer else {
        panic!("an allow");
    };
    assert_eq!(
        allow.updated_input.unwrap().as_str(),
        r#"{"command":"pwd"}"#
    );
}

#[test]
fn nobody_approves_by_accident_what_is_no_longer_asked() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&asked("a"), at(0)).unwrap();
    let unverified = Event::PermissionChanged {
        request_id: id("a"),
        state: PromptState::Unverified,
    };
    terminal.event(&unverified, at(1)).unwrap();
    assert_eq!(terminal.line("y", at(1)).unwrap(), None);
    let (_, answer) = decision(terminal.line("y!", at(1)).unwrap());
    assert!(matches!(
        answer,
        Decision::Allow(Allow {
            standing: Standing::EvenIfUnverified,
            ..
        })
    ));

    let withdrawn = Event::PermissionWithdrawn {
        request_id: id("a"),
    };
    terminal.event(&withdrawn, at(2)).unwrap();
    assert_eq!(terminal.line("y", at(3)).unwrap(), None);
    assert!(notes(&terminal).contains("there is no prompt to answer"));
    let late = terminal.line("y", at(60)).unwrap();
    assert_eq!(late, Some(Command::Send(Content::text("y"))));
}

#[test]
fn what_is_typed_otherwise_is_sent() {
    let mut talking = terminal(Watching::AndTalking);
    talking.event(&asked("a"), at(0)).unwrap();
    assert_eq!(
        talking.line("yesterday?", at(1)).unwrap(),
        Some(Command::Send(Content::text("yesterday?")))
    );
    let mut watching = terminal(Watching::Only);
    assert_eq!(watching.line("hello", at(1)).unwrap(), None);
}

#[test]
fn ctrl_c_interrupts_a_working_agent_and_then_detaches() {
    let mut terminal = terminal(Watching::AndTalking);
    assert_eq!(terminal.ctrl_c(at(0)).unwrap(), CtrlC::Detach);
    terminal
        .event(&said(r#"{"type":"assistant"}"#), at(10))
        .unwrap();
    assert_eq!(terminal.ctrl_c(at(10)).unwrap(), CtrlC::Interrupt);
    assert_eq!(terminal.ctrl_c(at(15)).unwrap(), CtrlC::Interrupt);
    assert_eq!(terminal.ctrl_c(at(16)).unwrap(), CtrlC::Detach);
}

#[test]
fn the_connection_is_told_apart_from_the_conversation() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&Event::Status(Status::Live), at(0)).unwrap();
    let waiting = Event::Status(Status::Waiting {
        attempt: 1,
        next_attempt_at: Timestamp::from_origin(Duration::from_secs(9)),
        cause: Outcome::Network(NetworkFailure::Refused),
    });
    terminal.event(&waiting, at(5)).unwrap();
    terminal.tick(at(6)).unwrap();
    assert_eq!(
        notes(&terminal),
        "connected\nnot connected: connection refused; next attempt in 4 s\n"
    );
}

#[test]
fn a_countdown_stays_on_its_line() {
    let mut terminal = Terminal::new(
        Vec::new(),
        Vec::new(),
        Countdown::Live,
        Watching::AndTalking,
    );
    let waiting = Event::Status(Status::Waiting {
        attempt: 1,
        next_attempt_at: Timestamp::from_origin(Duration::from_secs(12)),
        cause: Outcome::Silence,
    });
    terminal.event(&waiting, at(1)).unwrap();
    terminal.tick(at(3)).unwrap();
    terminal.event(&Event::Status(Status::Live), at(4)).unwrap();
    let notes = notes(&terminal);
    let lines: Vec<_> = notes.split('\r').map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "",
            "not connected: no sign of life from the server; next attempt in 11 s",
            "not connected: no sign of life from the server; next attempt in 9 s",
            "",
            "connected"
        ]
    );
}

#[test]
fn a_second_y_is_not_sent_as_a_message() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&asked("a"), at(0)).unwrap();
    decision(terminal.line("y", at(1)).unwrap());
    let answered = Event::PermissionChanged {
        request_id: id("a"),
        state: PromptState::Answered,
    };
    terminal.event(&answered, at(1)).unwrap();
    assert_eq!(terminal.line("y", at(2)).unwrap(), None);
}

#[test]
fn a_prompt_shows_its_input_and_no_escapes_of_the_agent() {
    let mut terminal = terminal(Watching::AndTalking);
    terminal.event(&asked("a"), at(0)).unwrap();
    let text = terminal.transcript.into_inner();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(r#"{"command":"ls"}"#) && text.contains("why: risky"));
    assert!(!text.contains("\u{1b}[31mrisky"));
}
