//! Moments in which a viewer could do the wrong thing, each as short as it gets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

mod streaming;

use std::{ops::RangeInclusive, time::Duration};

use attache_protocol::{
    OrganizationId, SessionId,
    io::{
        Effect, HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, SocketEnding,
        SocketId, StreamId, Token, TokenReason, TokenRefusal, TokenRequestId,
    },
    time::Timestamp,
    viewer::{
        Content, Cursor, Event, History, PromptState, Status, Timer, Transport, Viewer,
        ViewerConfig,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// A viewer whose answers a test gives itself.
struct Rig {
    viewer: Viewer,
    now: Timestamp,
    socket: Option<SocketId>,
    stream: Option<StreamId>,
    /// Calls that wait for their answer.
    calls: Vec<(HttpRequestId, HttpRequest)>,
    /// Questions for a token other than the first.
    tokens: Vec<TokenRequestId>,
    /// Where streams were opened.
    opened: Vec<String>,
    /// Whether the server answers pings.
    answers_pings: bool,
}

impl Rig {
    /// A viewer whose line is open.
    fn new(transport: Transport, adapt: impl FnOnce(&mut ViewerConfig)) -> Self {
        let mut config = ViewerConfig::new(SessionId::parse("session_1").unwrap());
        config.transport = transport;
        adapt(&mut config);
        let now = Timestamp::ORIGIN;
        let mut viewer = Viewer::new(config, [3; 32], now);
        viewer.connect(now).unwrap();
        let mut rig = Self {
            viewer,
            now,
            socket: None,
            stream: None,
            calls: Vec::new(),
            tokens: Vec::new(),
            opened: Vec::new(),
            answers_pings: true,
        };
        rig.carry_out();
        rig
    }

    /// A viewer that has seen everything there was.
    fn live(transport: Transport, adapt: impl FnOnce(&mut ViewerConfig)) -> Self {
        let mut rig = Self::new(transport, adapt);
        rig.answer(200, r#"{"data":[],"has_more":false}"#);
        assert_eq!(*rig.viewer.status(), Status::Live);
        rig.events();
        rig
    }

    /// Opens lines and answers pings; calls and further questions for tokens wait.
    fn carry_out(&mut self) {
        while let Some(effect) = self.viewer.poll_effect() {
            let input = match effect {
                Effect::FetchToken {
                    id,
                    reason: TokenReason::Attempt,
                } => Input::TokenFetched {
                    id,
                    token: Token::new("person"),
                },
                Effect::FetchToken { id, .. } => {
                    self.tokens.push(id);
                    continue;
                }
                Effect::SendHttp { id, request } => {
                    self.calls.push((id, request));
                    continue;
                }
                Effect::CancelHttp { id } => {
                    self.calls.retain(|(open, _)| *open != id);
                    continue;
                }
                Effect::OpenSocket { id, .. } => {
                    self.socket = Some(id);
                    Input::SocketOpened { id }
                }
                Effect::OpenStream { id, request } => {
                    self.stream = Some(id);
                    self.opened.push(request.path);
                    Input::StreamOpened { id }
                }
                Effect::SendPing { id, payload } if self.answers_pings => Input::SocketPong {
                    id,
                    payload: Some(payload),
                },
                Effect::SendText { .. }
                | Effect::SendPing { .. }
                | Effect::CloseSocket { .. }
                | Effect::AbortSocket { .. }
                | Effect::CloseStream { .. } => continue,
            };
            self.viewer.handle_input(self.now, input);
        }
    }

    fn input(&mut self, input: Input) {
        self.viewer.handle_input(self.now, input);
        self.carry_out();
    }

    /// Answers the oldest call.
    fn answer(&mut self, status: u16, body: impl Into<String>) {
        let (id, _) = self.calls.remove(0);
        let response = HttpResponse {
            status,
            retry_after: None,
            body: body.into().into(),
        };
        self.input(Input::HttpAnswered { id, response });
    }

    /// The next timer fires.
    fn next_timer(&mut self) -> Timer {
        let (at, timer) = self.viewer.poll_timeout().unwrap();
        self.now = self.now.max(at);
        self.viewer.handle_timeout(self.now);
        self.carry_out();
        timer
    }

    fn run_for(&mut self, delay: Duration) {
        let end = self.now.checked_add(delay).unwrap();
        while self.viewer.poll_timeout().is_some_and(|(at, _)| at <= end) {
            self.next_timer();
        }
        self.now = end;
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.viewer.poll_event()).collect()
    }

    /// The socket brings this.
    fn read(&mut self, text: impl Into<String>) {
        let id = self.socket.unwrap();
        let text = text.into().into();
        self.input(Input::SocketText { id, text });
    }

    /// The socket breaks, and there is another one.
    fn reconnect(&mut self) {
        let id = self.socket.take().unwrap();
        let ending = SocketEnding::Lost(NetworkFailure::Reset);
        self.input(Input::SocketClosed { id, ending });
        while self.socket.is_none() {
            self.next_timer();
        }
    }

    /// The stream brings this.
    fn hear(&mut self, text: impl Into<String>) {
        let id = self.stream.unwrap();
        let bytes = text.into().into();
        self.input(Input::StreamBytes { id, bytes });
    }

    /// The stream brings stored messages, in one piece.
    fn hear_messages(&mut self, numbers: RangeInclusive<u64>) {
        let event = |number| {
            format!(
                "id: {number}\nevent: client_event\ndata: {{\"event_id\":\"e{number}\",\"sequence_num\":{number},\"payload\":{{\"type\":\"assistant\",\"uuid\":\"e{number}\"}}}}\n\n"
            )
        };
        let text: String = numbers.map(event).collect();
        self.hear(text);
    }
}

fn messages(events: &[Event]) -> Vec<String> {
    let uuid = |event: &Event| match event {
        Event::Message(message) => message.frame.uuid().map(ToString::to_string),
        _ => None,
    };
    events.iter().filter_map(uuid).collect()
}

fn gaps(events: &[Event]) -> usize {
    let is_gap = |event: &&Event| matches!(event, Event::Gap { .. });
    events.iter().filter(is_gap).count()
}

#[test]
fn an_application_that_stops_before_it_takes_a_message_gets_it_again() {
    let mut rig = Rig::live(Transport::Sse, |_| {});
    rig.hear_messages(1..=3);
    let mut taken = 0;
    loop {
        let expected = Some(Cursor::Sequence(taken));
        assert_eq!(rig.viewer.cursor(), expected, "{taken} taken");
        match rig.viewer.poll_event() {
            Some(Event::Message(_)) => taken += 1,
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!(taken, 3);
}

#[test]
fn a_post_names_the_version_and_the_organization() {
    let mut rig = Rig::live(Transport::WebSocket, |config| {
        config.organization = Some(OrganizationId::parse("org-1").unwrap());
    });
    rig.viewer.send(rig.now, Content::text("hi")).unwrap();
    rig.carry_out();
    let headers: Vec<(&str, &str)> = rig.calls[0]
        .1
        .headers
        .iter()
        .map(|header| (header.name, &*header.value))
        .collect();
    for header in [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "ccr-byoc-2025-07-29"),
        ("x-organization-uuid", "org-1"),
    ] {
        assert!(headers.contains(&header), "{headers:?}");
    }
}

#[test]
fn a_source_without_another_token_is_asked_ever_more_rarely() {
    let mut rig = Rig::live(Transport::WebSocket, |_| {});
    rig.viewer.send(rig.now, Content::text("hi")).unwrap();
    rig.carry_out();
    rig.answer(401, "");
    let mut waits = Vec::new();
    for _ in 0..6 {
        let id = rig.tokens.pop().unwrap();
        let refusal = TokenRefusal::Unavailable;
        rig.input(Input::TokenRefused { id, refusal });
        let before = rig.now;
        while rig.tokens.is_empty() {
            rig.next_timer();
        }
        waits.push(rig.now.saturating_since(before));
    }
    assert!(waits[0] <= SECOND, "{waits:?}");
    assert!(waits[5] >= SECOND * 15, "{waits:?}");
}

#[test]
fn once_it_is_closing_only_that_has_a_deadline() {
    let mut rig = Rig::live(Transport::WebSocket, |_| {});
    rig.viewer.interrupt(rig.now).unwrap();
    rig.run_for(SECOND * 4);
    rig.viewer.close(rig.now);
    rig.carry_out();
    assert_eq!(*rig.viewer.status(), Status::Closing);
    rig.read(r#"{"type":"keep_alive"}"#);
    assert_eq!(rig.next_timer(), Timer::Close);
    assert!(rig.viewer.is_closed());
}

fn prompt(id: &str) -> String {
    format!(
        r#"{{"type":"control_request","uuid":"p-{id}","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}}}}}"#
    )
}

#[test]
fn a_prompt_that_is_asked_again_behind_a_gap_is_surely_asked() {
    let mut rig = Rig::live(Transport::WebSocket, |_| {});
    rig.read(prompt("r1"));
    rig.reconnect();
    rig.answer(404, "");
    rig.read(prompt("r1"));
    let states: Vec<PromptState> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::PermissionChanged { state, .. } => Some(state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [PromptState::Unverified, PromptState::Pending]);
}

#[test]
fn a_prompt_too_many_is_told_once_however_often_it_is_asked() {
    let mut rig = Rig::live(Transport::WebSocket, |config| config.limits.prompts = 1);
    rig.read(prompt("r1"));
    for _ in 0..3 {
        rig.read(prompt("r2"));
    }
    let is_told = |event: &Event| matches!(event, Event::Malformed(_));
    assert_eq!(rig.events().into_iter().filter(is_told).count(), 1);
}

#[test]
fn silence_is_not_held_against_a_server_that_nobody_listens_to() {
    let mut rig = Rig::live(Transport::WebSocket, |config| config.limits.events = 8);
    rig.answers_pings = false;
    for number in 0..8 {
        rig.read(format!(r#"{{"type":"assistant","uuid":"u{number}"}}"#));
    }
    assert!(!rig.viewer.wants_read());
    rig.run_for(SECOND * 300);
    assert_eq!(*rig.viewer.status(), Status::Live);

    // Listening again, it gives the server the whole time once more.
    rig.events();
    while !rig.viewer.wants_read() {
        rig.next_timer();
    }
    let listening = rig.now;
    while *rig.viewer.status() == Status::Live {
        rig.next_timer();
    }
    let waited = rig.now.saturating_since(listening);
    assert!((SECOND * 40..=SECOND * 80).contains(&waited), "{waited:?}");
}

#[test]
fn what_a_lost_link_brought_and_nobody_read_is_not_taken_for_news() {
    let mut rig = Rig::live(Transport::WebSocket, |config| config.limits.events = 8);
    let message = |number| format!(r#"{{"type":"assistant","uuid":"u{number}"}}"#);
    let spoken: Vec<String> = (0..8).map(message).collect();
    let text = spoken.join("\n") + "\n" + &prompt("r1");
    rig.read(text);
    rig.reconnect();
    let mut events = rig.events();
    while *rig.viewer.status() != Status::Live {
        if rig.calls.is_empty() {
            rig.next_timer();
        } else {
            rig.answer(404, "");
        }
        events.extend(rig.events());
    }
    assert_eq!(messages(&events).len(), 8);
    assert_eq!(gaps(&events), 1);
    let is_asked = |event: &Event| matches!(event, Event::PermissionRequested(_));
    assert!(
        !events.iter().any(is_asked),
        "nobody knows whether it still is"
    );
}

#[test]
fn a_long_list_is_not_given_up_while_it_brings_news() {
    let mut rig = Rig::new(Transport::WebSocket, |config| {
        config.history = History::All;
        config.patience.catch_up = SECOND * 10;
    });
    for page in 0..20 {
        rig.run_for(SECOND * 5);
        assert_eq!(*rig.viewer.status(), Status::CatchingUp, "page {page}");
        let has_more = page < 19;
        rig.answer(
            200,
            format!(
                r#"{{"data":[{{"type":"assistant","uuid":"u{page}"}}],"has_more":{has_more}}}"#
            ),
        );
        rig.events();
    }
    assert_eq!(*rig.viewer.status(), Status::Live);
}
