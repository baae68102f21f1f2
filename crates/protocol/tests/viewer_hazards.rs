//! Moments in which a viewer could do the wrong thing, each as short as it gets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

use attache_protocol::{
    SessionId,
    io::{Effect, HttpResponse, Input, StreamId, Token},
    time::Timestamp,
    viewer::{Cursor, Event, Transport, Viewer, ViewerConfig},
};

/// A viewer whose answers a test gives itself.
struct Rig {
    viewer: Viewer,
    now: Timestamp,
    stream: Option<StreamId>,
}

impl Rig {
    /// A viewer whose stream is open.
    fn streaming() -> Self {
        let mut config = ViewerConfig::new(SessionId::parse("session_1").unwrap());
        config.transport = Transport::Sse;
        let now = Timestamp::ORIGIN;
        let mut viewer = Viewer::new(config, [3; 32], now);
        viewer.connect(now).unwrap();
        let mut rig = Self {
            viewer,
            now,
            stream: None,
        };
        rig.carry_out();
        assert!(rig.stream.is_some());
        rig
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.viewer.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("person"),
                },
                Effect::SendHttp { id, .. } => Input::HttpAnswered {
                    id,
                    response: HttpResponse {
                        status: 200,
                        retry_after: None,
                        body: r#"{"data":[]}"#.into(),
                    },
                },
                Effect::OpenStream { id, .. } => {
                    self.stream = Some(id);
                    Input::StreamOpened { id }
                }
                other => panic!("{other:?}"),
            };
            self.viewer.handle_input(self.now, input);
        }
    }

    /// The stream brings stored messages, in one piece.
    fn hear(&mut self, numbers: core::ops::RangeInclusive<u64>) {
        let event = |number| {
            format!(
                "id: {number}\nevent: client_event\ndata: {{\"event_id\":\"e{number}\",\"sequence_num\":{number},\"payload\":{{\"type\":\"assistant\",\"uuid\":\"e{number}\"}}}}\n\n"
            )
        };
        let text: String = numbers.map(event).collect();
        let input = Input::StreamBytes {
            id: self.stream.unwrap(),
            bytes: text.into(),
        };
        self.viewer.handle_input(self.now, input);
    }
}

#[test]
fn an_application_that_stops_before_it_takes_a_message_gets_it_again() {
    let mut rig = Rig::streaming();
    while rig.viewer.poll_event().is_some() {}
    rig.hear(1..=3);
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
