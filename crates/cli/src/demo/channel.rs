//! How the demo agent is reached: inside the relay, or over stdin and stdout.

use std::io::{self, Write};

use attache_protocol::frame::Frame;
use attache_relay::Agent;

use crate::{exit::Failure, lines::Lines};

/// Carries frames between the agent and whoever runs it.
pub(super) trait Channel: Send {
    /// Says one frame.
    fn say(&mut self, frame: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes the next frame for the agent; `None` when there will be no more. Cancel safe.
    fn hear(&mut self) -> impl Future<Output = Result<Option<Frame>, Failure>> + Send;
}

/// A place inside the relay, without a worker.
impl Channel for Agent {
    async fn say(&mut self, frame: &str) -> Result<(), Failure> {
        self.publish(frame).await?;
        Ok(())
    }

    async fn hear(&mut self) -> Result<Option<Frame>, Failure> {
        Ok(self.recv().await?)
    }
}

/// Frames on stdin and stdout, one a line.
#[derive(Debug)]
pub(super) struct Stdio(Lines);

impl Stdio {
    pub(super) fn new() -> Self {
        Self(Lines::of_stdin())
    }
}

impl Channel for Stdio {
    async fn say(&mut self, frame: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{frame}")?;
        Ok(out.flush()?)
    }

    async fn hear(&mut self) -> Result<Option<Frame>, Failure> {
        while let Some(line) = self.0.next().await {
            // What is no frame is not for this agent.
            if let Ok(frame) = Frame::classify(line.into()) {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}
