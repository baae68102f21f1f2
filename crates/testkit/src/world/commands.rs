//! What the application tells the viewer.

use attache_protocol::{
    frame::{RequestId, control::Fields},
    viewer::{
        ConnectError, Content, DecideError, Decision, MessageId, ReconnectError, RequestError,
        SendError,
    },
};

use super::World;
use crate::record::Call;

impl World {
    /// Connects, which must not be refused.
    #[track_caller]
    pub fn connect(&mut self) {
        if let Err(error) = self.try_connect() {
            self.fail(&error);
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn try_connect(&mut self) -> Result<(), ConnectError> {
        self.record(Call::Connect);
        let result = self.viewer.connect(self.now);
        self.settle();
        result
    }

    /// Sends a text, which must not be refused.
    #[track_caller]
    pub fn send(&mut self, text: &str) -> MessageId {
        match self.try_send(Content::text(text)) {
            Ok(id) => id,
            Err(error) => self.fail(&error),
        }
    }

    /// Sends.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn try_send(&mut self, content: Content) -> Result<MessageId, SendError> {
        self.record(Call::Send(content.clone()));
        let result = self.viewer.send(self.now, content);
        if let Ok(id) = &result {
            let check = self.checks.sent(id.as_str());
            self.expect(check);
        }
        self.settle();
        result
    }

    /// Answers a prompt.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn decide(&mut self, request_id: &str, decision: &Decision) -> Result<(), DecideError> {
        let Some(id) = RequestId::new(request_id.to_owned()) else {
            self.fail(&"not a request id");
        };
        self.record(Call::Decide(id.clone(), decision.clone()));
        let result = self.viewer.decide(self.now, &id, decision);
        self.settle();
        result
    }

    /// Asks the agent for something.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn request(&mut self, subtype: &str, fields: &Fields) -> Result<RequestId, RequestError> {
        self.record(Call::Request(subtype.to_owned(), fields.clone()));
        let result = self.viewer.request(self.now, subtype, fields);
        self.requested(result)
    }

    /// Interrupts the agent.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn interrupt(&mut self) -> Result<RequestId, RequestError> {
        self.record(Call::Interrupt);
        let result = self.viewer.interrupt(self.now);
        self.requested(result)
    }

    /// Forces a new connection.
    ///
    /// # Errors
    /// As the viewer says.
    #[track_caller]
    pub fn reconnect(&mut self) -> Result<(), ReconnectError> {
        self.record(Call::Reconnect);
        let result = self.viewer.reconnect(self.now);
        self.settle();
        result
    }

    /// Closes.
    #[track_caller]
    pub fn close(&mut self) {
        self.record(Call::Close);
        self.viewer.close(self.now);
        self.settle();
    }
}
