//! The suite finds out whoever breaks a promise. One test, because it counts what the process holds.

#![allow(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "each place is about one way to break a promise"
)]

#[path = "../examples/own_loop/call.rs"]
mod call;
#[path = "../examples/own_loop/viewer.rs"]
mod viewer;

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use attache_protocol::{
    frame::RequestId,
    policy::CloseCause,
    viewer::{Content, Decision, Event, MessageId, SendState, ViewerConfig},
    worker::WorkerConfig,
};
use attache_testkit::conformance::{
    Adapter, CLOSE_LIMIT, Next, OpenViewer, OpenWorker, Place, Side, lone_trials, run_one_by_one,
};

use viewer::OwnLoop;

/// What is done wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Sabotage {
    Nothing,
    LosesAMessage,
    RepeatsAMessage,
    SwapsMessages,
    ForgetsAnEnd,
    TellsAnEndTwice,
    SpeaksAfterTheEnd,
    ClosesLate,
    ClosesWithoutACause,
    KeepsASocket,
    KeepsAThread,
}

const EVERY: [(Sabotage, &str); 10] = [
    (Sabotage::LosesAMessage, "delivered"),
    (Sabotage::RepeatsAMessage, "delivered"),
    (Sabotage::SwapsMessages, "delivered"),
    (Sabotage::ForgetsAnEnd, "sends open"),
    (Sabotage::TellsAnEndTwice, "a message has the ends"),
    (Sabotage::SpeaksAfterTheEnd, "closed 2 times"),
    (Sabotage::ClosesLate, "closing took"),
    (Sabotage::ClosesWithoutACause, "without a cause"),
    (Sabotage::KeepsASocket, "something is left"),
    (Sabotage::KeepsAThread, "something is left"),
];

impl Adapter for Sabotage {
    fn name(&self) -> &'static str {
        "saboteur"
    }

    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String> {
        let inner = OwnLoop::open(config, place).map_err(|error| error.to_string())?;
        Ok(Box::new(Saboteur {
            inner,
            sabotage: *self,
            is_done: false,
            next: None,
        }))
    }

    fn open_worker(
        &self,
        _config: WorkerConfig,
        _place: Place,
    ) -> Result<Box<dyn OpenWorker>, String> {
        Err("viewers only".to_owned())
    }
}

struct Saboteur {
    inner: OwnLoop,
    sabotage: Sabotage,
    is_done: bool,
    next: Option<Event>,
}

impl Saboteur {
    /// Does it once, at the first event that it can be done to. What is told instead.
    fn spoil(&mut self, event: Event) -> Option<Event> {
        if self.is_done {
            return Some(event);
        }
        let is_message = matches!(event, Event::Message(_));
        let is_end = matches!(
            event,
            Event::Send {
                state: SendState::Accepted,
                ..
            }
        );
        let is_last = matches!(event, Event::Closed(_));
        let told = match self.sabotage {
            Sabotage::LosesAMessage if is_message => None,
            Sabotage::ForgetsAnEnd if is_end => None,
            Sabotage::RepeatsAMessage if is_message => Some(event.clone()),
            Sabotage::TellsAnEndTwice if is_end => Some(event.clone()),
            Sabotage::SpeaksAfterTheEnd if is_last => Some(event.clone()),
            Sabotage::SwapsMessages if is_message => {
                self.is_done = true;
                let second = self.next_event(Duration::from_secs(1));
                self.next = Some(event);
                return match second {
                    Next::Event(second) => Some(second),
                    Next::Nothing | Next::Over => None,
                };
            }
            _ => return Some(event),
        };
        self.is_done = true;
        self.next.clone_from(&told);
        told
    }
}

impl OpenViewer for Saboteur {
    fn send(&mut self, content: Content) -> Option<MessageId> {
        self.inner.send(content)
    }

    fn decide(&mut self, request: RequestId, decision: Decision) -> bool {
        self.inner.decide(request, decision)
    }

    fn interrupt(&mut self) -> Option<RequestId> {
        self.inner.interrupt()
    }

    fn next_event(&mut self, timeout: Duration) -> Next<Event> {
        if let Some(next) = self.next.take() {
            return Next::Event(next);
        }
        match self.inner.next_event(timeout) {
            Next::Event(event) => self.spoil(event).map_or(Next::Nothing, Next::Event),
            other @ (Next::Nothing | Next::Over) => other,
        }
    }

    fn close(&mut self) -> Option<CloseCause> {
        let cause = self.inner.close();
        match self.sabotage {
            // Late on a machine that hardly keeps up as well.
            Sabotage::ClosesLate => thread::sleep(4 * CLOSE_LIMIT),
            Sabotage::ClosesWithoutACause => return None,
            Sabotage::KeepsASocket => {
                std::mem::forget(TcpListener::bind(("127.0.0.1", 0)));
            }
            Sabotage::KeepsAThread => {
                thread::spawn(thread::park);
            }
            _ => {}
        }
        cause
    }
}

#[test]
fn whoever_breaks_a_promise_is_found_out() {
    // Fine weather is enough for that.
    let fine = lone_trials(&[Side::ViewerOverSocket]);
    let fine = &fine[..1];
    let began = Instant::now();

    let honest = run_one_by_one(&Sabotage::Nothing, fine);
    assert!(honest.is_green(), "{honest}");
    for (sabotage, expected) in EVERY {
        let report = run_one_by_one(&sabotage, fine);
        let what = report.to_string();
        let is_counted = !what.contains("not counted") || !expected.contains("left");
        if is_counted {
            assert!(!report.is_green(), "{sabotage:?}");
            assert!(what.contains(expected), "{sabotage:?}: {what}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(60));
}
