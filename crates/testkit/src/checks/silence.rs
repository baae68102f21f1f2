//! A link is only given up for its silence once it has been silent for long enough.

use attache_protocol::{
    io::Input,
    policy::Outcome,
    time::Timestamp,
    viewer::{Liveness, Status, Transport, ViewerConfig},
};

/// When something was last heard.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    liveness: Liveness,
    transport: Transport,
    heard: Timestamp,
    woken: Option<Timestamp>,
}

impl Silence {
    pub(super) fn new(config: &ViewerConfig) -> Self {
        Self {
            liveness: config.liveness.clone(),
            transport: config.transport,
            heard: Timestamp::ORIGIN,
            woken: None,
        }
    }

    pub(super) fn input(&mut self, now: Timestamp, input: &Input) {
        match input {
            Input::SocketOpened { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::StreamOpened { .. }
            | Input::StreamBytes { .. } => {
                self.heard = now;
                self.woken = None;
            }
            Input::Woke => {
                self.woken.get_or_insert(now);
            }
            Input::TokenFetched { .. }
            | Input::TokenRefused { .. }
            | Input::SocketRefused { .. }
            | Input::SocketClosed { .. }
            | Input::HttpAnswered { .. }
            | Input::HttpFailed { .. }
            | Input::StreamClosed { .. } => {}
        }
    }

    pub(super) fn status(&self, now: Timestamp, status: &Status) -> Result<(), String> {
        if !matches!(
            status,
            Status::Waiting {
                cause: Outcome::Silence,
                ..
            }
        ) {
            return Ok(());
        }
        let patience = match self.transport {
            Transport::WebSocket => self.liveness.silence_deadline,
            Transport::Sse => self.liveness.stream_silence,
        };
        let probed = self.woken.is_some_and(|woken| {
            now.saturating_since(woken) >= self.liveness.probe_deadline.min(patience)
        });
        let silent_for = now.saturating_since(self.heard);
        if silent_for < patience && !probed {
            return Err(format!("given up for a silence of only {silent_for:?}"));
        }
        Ok(())
    }
}
