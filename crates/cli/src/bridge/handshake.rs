//! The bridge's own `initialize`: what the agent says about itself.

use std::{convert::Infallible, future::pending, time::Duration};

use attache_protocol::{
    ByteString,
    frame::{
        Frame, RawJson, RequestId,
        control::{self, ControlOutcome, Fields},
    },
};
use tokio::{sync::watch, time::sleep};

use super::{note, observer::answer_to};

/// How long an agent may take to introduce itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// One agent's introduction.
#[derive(Debug)]
pub(super) struct Handshake {
    request_id: RequestId,
    answer: watch::Sender<Answer>,
}

#[derive(Clone, Debug)]
enum Answer {
    Awaited,
    Given(Option<RawJson>),
}

impl Handshake {
    /// A handshake under an id that nobody else uses.
    pub(super) fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            answer: watch::Sender::new(Answer::Awaited),
        }
    }

    /// What the agent is told first.
    pub(super) fn request(&self) -> ByteString {
        control::request(&self.request_id, "initialize", &Fields::NONE)
    }

    /// Takes the agent's answer. Whether `frame` was that, and for nobody else.
    pub(super) fn hear(&self, frame: &Frame) -> bool {
        let Some(response) = answer_to(&self.request_id, frame) else {
            return false;
        };
        self.answer
            .send_replace(Answer::Given(match response.outcome {
                ControlOutcome::Success(answer) => answer,
                ControlOutcome::Error(error) => {
                    note(&format!(
                        "the agent refused `initialize`: {error}; going on"
                    ));
                    None
                }
            }));
        true
    }

    /// Ends the wait for the answer when it takes too long.
    pub(super) async fn limit(&self) -> Infallible {
        sleep(PATIENCE).await;
        let gives_up = self.answer.send_if_modified(|answer| {
            let awaited = matches!(answer, Answer::Awaited);
            if awaited {
                *answer = Answer::Given(None);
            }
            awaited
        });
        if gives_up {
            note("the agent does not answer `initialize`; going on without");
        }
        pending().await
    }

    /// Waits for the end of the handshake: what the agent said, if anything. Cancel safe.
    pub(super) async fn done(&self) -> Option<RawJson> {
        let mut answer = self.answer.subscribe();
        loop {
            if let Answer::Given(answer) = &*answer.borrow_and_update() {
                return answer.clone();
            }
            if answer.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake {
        Handshake::new(RequestId::new("mine").unwrap())
    }

    fn response(id: &str, body: &str) -> Frame {
        let text =
            format!(r#"{{"type":"control_response","response":{{"request_id":"{id}",{body}}}}}"#);
        Frame::classify(text.into()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_ends_the_wait_and_other_answers_do_not() {
        let handshake = handshake();
        assert!(!handshake.hear(&response("other", r#""subtype":"success""#)));
        let answer = response("mine", r#""subtype":"success","response":{"models":[]}"#);
        assert!(handshake.hear(&answer));
        let said = handshake.done().await.unwrap();
        assert_eq!(said.as_str(), r#"{"models":[]}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_agent_is_not_waited_for_for_ever() {
        let handshake = handshake();
        let started = tokio::time::Instant::now();
        tokio::select! {
            answer = handshake.done() => assert!(answer.is_none()),
            never = handshake.limit() => match never {},
        }
        assert_eq!(started.elapsed(), PATIENCE);
        assert!(handshake.hear(&response("mine", r#""subtype":"error","error":"late""#)));
    }
}
