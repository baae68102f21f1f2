//! A viewer whose server sends without end and answers nothing.

use core::time::Duration;

use attache_protocol::{
    SessionId,
    io::{Effect, HttpRequestId, HttpResponse, Input, SocketId, StreamId, Token},
    time::Timestamp,
    viewer::{Event, History, Limits, Status, Transport, Viewer, ViewerConfig},
};

use crate::{KIB, MIB, floods::FRAMES, most_held};

/// So much is sent, and so much may be held of it.
const SENT: usize = 8 * MIB;
const HELD: usize = 2 * MIB;

/// What the application does with events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Application {
    Takes,
    IsAway,
}

/// What the pages of a list bring that never ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Past {
    New,
    Repeated,
    Empty,
}

#[test]
fn a_viewer_holds_no_more_than_its_limits_whatever_is_sent_without_end() {
    for transport in [Transport::WebSocket, Transport::Sse] {
        for application in [Application::Takes, Application::IsAway] {
            for (what, frame) in FRAMES {
                let mut flooded = Flooded::live(transport);
                let held = most_held(|| flooded.flood(*frame, application));
                assert!(
                    held <= HELD,
                    "{what} over {transport:?}, {application:?}: {held} bytes"
                );
                assert_eq!(
                    *flooded.viewer.status(),
                    Status::Live,
                    "{what} over {transport:?}"
                );
            }
        }
    }
}

#[test]
fn a_past_without_end_is_read_as_fast_as_it_is_taken() {
    for history in [History::All, History::Latest(50)] {
        for application in [Application::Takes, Application::IsAway] {
            let mut flooded = Flooded::new(Transport::WebSocket, history);
            let held = most_held(|| flooded.page_for_ever(Past::New, application));
            assert!(held <= HELD, "{history:?}, {application:?}: {held} bytes");
            assert_eq!(*flooded.viewer.status(), Status::CatchingUp, "{history:?}");
        }
    }
}

#[test]
fn a_past_that_repeats_itself_without_end_is_left() {
    for history in [History::All, History::Latest(50)] {
        for past in [Past::Repeated, Past::Empty] {
            let mut flooded = Flooded::new(Transport::WebSocket, history);
            let held = most_held(|| flooded.page_for_ever(past, Application::Takes));
            assert!(held <= HELD, "{past:?}, {history:?}: {held} bytes");
            assert_eq!(
                *flooded.viewer.status(),
                Status::Live,
                "{past:?}, {history:?}"
            );
            assert_eq!(flooded.gaps, 1, "{past:?}, {history:?}");
        }
    }
}

#[test]
fn an_event_over_the_limit_is_dropped_while_it_arrives() {
    let mut flooded = Flooded::live(Transport::Sse);
    let id = flooded.stream.unwrap();
    let held = most_held(|| {
        flooded.hear(id, "id: 1\nevent: client_event\ndata: ".to_owned());
        for _ in 0..1000 {
            flooded.hear(id, "x".repeat(16 * KIB));
        }
        flooded.hear(id, "\n\n".to_owned());
        flooded.settle(Application::Takes);
    });
    assert!(held <= MIB, "{held} bytes");
    assert_eq!((flooded.gaps, flooded.viewer.status()), (1, &Status::Live));
}

struct Flooded {
    viewer: Viewer,
    now: Timestamp,
    socket: Option<SocketId>,
    stream: Option<StreamId>,
    pages: usize,
    call: Option<HttpRequestId>,
    gaps: usize,
}

impl Flooded {
    fn new(transport: Transport, history: History) -> Self {
        let mut config = ViewerConfig::new(SessionId::parse("session_a").unwrap());
        config.transport = transport;
        config.history = history;
        config.limits = limits();
        let now = Timestamp::ORIGIN;
        let mut viewer = Viewer::new(config, [5; 32], now);
        viewer.connect(now).unwrap();
        Self {
            viewer,
            now,
            socket: None,
            stream: None,
            pages: 0,
            call: None,
            gaps: 0,
        }
    }

    fn live(transport: Transport) -> Self {
        let mut flooded = Self::new(transport, History::All);
        for _ in 0..100 {
            flooded.take_effects();
            flooded.answer(&[], false);
            flooded.take_events(Application::Takes);
            if *flooded.viewer.status() == Status::Live {
                return flooded;
            }
            flooded.pass();
        }
        panic!("not live");
    }

    /// Sends frames for as long as the viewer reads; every call is left without an answer.
    fn flood(&mut self, frame: fn(usize) -> String, application: Application) {
        let (mut sent, mut number) = (0, 0);
        while sent < SENT && self.viewer.wants_read() {
            number += 1;
            let text = frame(number);
            sent += text.len().max(1000);
            let input = match (self.socket, self.stream) {
                (Some(id), _) => Input::SocketText {
                    id,
                    text: text.into(),
                },
                (None, Some(id)) => Input::StreamBytes {
                    id,
                    bytes: stored(number, &text).into(),
                },
                (None, None) => panic!("not connected"),
            };
            self.viewer.handle_input(self.now, input);
            self.settle(application);
        }
    }

    /// Answers every question for a page with another one that says that there is more.
    fn page_for_ever(&mut self, past: Past, application: Application) {
        for _ in 0..4000 {
            self.take_effects();
            let (entries, page) = match past {
                Past::New => (10, self.pages),
                Past::Repeated => (10, 0),
                Past::Empty => (0, 0),
            };
            let x = "x".repeat(4000);
            let entry = |entry| format!(r#"{{"type":"user","uuid":"p{page}e{entry}","x":"{x}"}}"#);
            let entries: Vec<String> = (0..entries).map(entry).collect();
            self.answer(&entries, true);
            self.take_events(application);
            if *self.viewer.status() == Status::Live {
                return;
            }
            self.now = self.now.checked_add(Duration::from_millis(50)).unwrap();
            if self
                .viewer
                .poll_timeout()
                .is_some_and(|(deadline, _)| deadline <= self.now)
            {
                self.viewer.handle_timeout(self.now);
            }
            if let Some(id) = self.socket {
                self.viewer
                    .handle_input(self.now, Input::SocketBytes { id });
            }
        }
    }

    fn hear(&mut self, id: StreamId, text: String) {
        let bytes = text.into();
        self.viewer
            .handle_input(self.now, Input::StreamBytes { id, bytes });
    }

    /// Lets what has come in be looked at.
    fn settle(&mut self, application: Application) {
        for _ in 0..10 {
            self.take_effects();
            self.take_events(application);
            if self.viewer.wants_read() || application == Application::IsAway {
                return;
            }
            // A full queue is looked at again a little later.
            self.now = self.now.checked_add(Duration::from_millis(10)).unwrap();
            self.viewer.handle_timeout(self.now);
        }
    }

    fn pass(&mut self) {
        let (deadline, _) = self.viewer.poll_timeout().expect("it goes on");
        self.now = deadline;
        self.viewer.handle_timeout(deadline);
    }

    /// Answers the question for a page, if there is one.
    fn answer(&mut self, entries: &[String], has_more: bool) {
        if let Some(id) = self.call.take() {
            self.pages += 1;
            let (entries, number) = (entries.join(","), self.pages);
            let body =
                format!(r#"{{"data":[{entries}],"has_more":{has_more},"last_id":"page{number}"}}"#);
            let response = HttpResponse {
                status: 200,
                retry_after: None,
                body: body.into(),
            };
            let answered = Input::HttpAnswered { id, response };
            self.viewer.handle_input(self.now, answered);
        }
    }

    /// Carries orders out; calls wait for their answer.
    fn take_effects(&mut self) {
        while let Some(effect) = self.viewer.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("t"),
                },
                Effect::OpenSocket { id, .. } => {
                    self.socket = Some(id);
                    Input::SocketOpened { id }
                }
                Effect::OpenStream { id, .. } => {
                    self.stream = Some(id);
                    Input::StreamOpened { id }
                }
                Effect::SendPing { id, payload } => Input::SocketPong {
                    id,
                    payload: Some(payload),
                },
                Effect::SendHttp { id, .. } => {
                    self.call = Some(id);
                    continue;
                }
                _ => continue,
            };
            self.viewer.handle_input(self.now, input);
        }
    }

    fn take_events(&mut self, application: Application) {
        if application == Application::Takes {
            while let Some(event) = self.viewer.poll_event() {
                self.gaps += usize::from(matches!(event, Event::Gap { .. }));
            }
        }
    }
}

/// Small ones, so that a flood is over soon.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.events = 64;
    limits.event_bytes = 256 * KIB;
    limits.held = 64;
    limits.held_bytes = 256 * KIB;
    limits.stream_event_bytes = 64 * KIB;
    limits.effects = 256;
    limits.outbox = 16;
    limits.outbox_bytes = 256 * KIB;
    limits.prompts = 256;
    limits.prompt_bytes = 256 * KIB;
    limits.requests = 256;
    limits.remembered = 1000;
    limits.page = 10;
    limits
}

fn stored(number: usize, payload: &str) -> String {
    format!(
        "id: {number}\nevent: client_event\ndata: {{\"event_id\":\"e{number}\",\"sequence_num\":{number},\"payload\":{payload}}}\n\n"
    )
}
