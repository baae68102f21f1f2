//! Sending control frames by calls: what is posted when, and what its answer means.

use bytestring::ByteString;

use super::{
    Event, RequestOutcome, Timer, Transport, Viewer, endpoint,
    phase::Phase,
    posting::{Act, Delivered, Refused},
};
use crate::{
    frame::{
        Frame, RequestId,
        relay::{AnswerRefused, RefusedBecause},
    },
    io::{Effect, HttpResponse},
};

impl Viewer {
    /// A frame of ours under an id of its own, where it may have to be posted twice.
    pub(super) fn identified(&mut self, text: ByteString) -> ByteString {
        match (self.config.transport, Frame::classify(text.clone())) {
            (Transport::Sse, Ok(frame)) => frame.identified(|| self.rng.uuid()).1,
            (Transport::Sse, Err(_)) | (Transport::WebSocket, _) => text,
        }
    }

    /// Answers a request with an error, over the socket or by a call.
    pub(super) fn send_refusal(&mut self, text: ByteString) {
        match (self.socket_up(), self.config.transport) {
            (Some(id), _) => self.effects.push_back(Effect::SendText { id, text }),
            (None, Transport::Sse) => {
                let text = self.identified(text);
                self.posting.refuse(text);
            }
            (None, Transport::WebSocket) => {}
        }
    }

    /// Posts the next control frame if one may go now.
    pub(super) fn post_control(&mut self) {
        if self.config.transport != Transport::Sse {
            return;
        }
        let Phase::Up(link) = &self.phase else { return };
        let token = link.token.clone();
        if !self.posting.is_free(&token) {
            return;
        }
        let Some((act, body)) = self.next_control() else {
            return;
        };
        let request = endpoint::post_event(&self.config, &token, body);
        let id = self.ids.http();
        self.posting.posted(id, token, act);
        self.timers
            .arm(Timer::Control, self.now, self.config.patience.http);
        self.effects.push_back(Effect::SendHttp { id, request });
    }

    fn next_control(&mut self) -> Option<(Act, bytes::Bytes)> {
        if !self.catch_up.is_running() {
            if let Some((request_id, text)) = self.prompts.next() {
                self.tell_state(&request_id);
                return Some((Act::Answer(request_id), endpoint::payloads([&*text])));
            }
            for over in self.requests.lapse(self.turn) {
                self.request_over(over);
            }
            if let Some((request_id, text)) = self.requests.next() {
                return Some((Act::Request(request_id), endpoint::payloads([&*text])));
            }
        }
        let refusals = self.posting.next_refusals();
        let body = endpoint::payloads(refusals.iter().map(|text| &**text));
        (!refusals.is_empty()).then_some((Act::Refusals(refusals), body))
    }

    /// A post of control frames was answered, or (`None`) the answer is lost.
    pub(super) fn control_over(&mut self, response: Option<&HttpResponse>) {
        self.timers.disarm(Timer::Control);
        let profile = &self.config.profile;
        if let Some(delivered) = self.posting.answered(response, profile, &mut self.rng) {
            self.control_delivered(delivered);
        }
    }

    pub(super) fn control_delivered(&mut self, delivered: Delivered) {
        match delivered {
            Delivered::Taken(Act::Answer(request_id)) => {
                let settled = self.prompts.taken(&request_id);
                self.tell_settled(settled);
            }
            // The agent's answer comes over the stream.
            Delivered::Taken(Act::Request(_) | Act::Refusals(_))
            | Delivered::Refused(Act::Refusals(_), _) => {}
            Delivered::Refused(Act::Answer(request_id), refused) => {
                self.refuse_answer(request_id, refused);
            }
            Delivered::Refused(Act::Request(request_id), refused) => {
                let outcome = RequestOutcome::Failed(refused.message);
                if let Some(over) = self.requests.responded(&request_id, outcome) {
                    self.request_over(over);
                }
            }
            Delivered::Unknown(act, delay) => {
                self.timers.arm(Timer::Control, self.now, delay);
                match act {
                    Act::Answer(request_id) => self.answer_again(&request_id),
                    Act::Request(request_id) => self.requests.perhaps_sent(&request_id),
                    Act::Refusals(texts) => self.posting.refuse_again(texts),
                }
            }
            Delivered::NotTaken(act, delay) => {
                self.timers.arm(Timer::Control, self.now, delay);
                self.not_taken(act);
            }
            Delivered::NeedsToken(act) => self.not_taken(act),
        }
    }

    fn not_taken(&mut self, act: Act) {
        match act {
            Act::Answer(request_id) => self.answer_again(&request_id),
            Act::Request(request_id) => self.requests.not_sent(&request_id),
            Act::Refusals(texts) => self.posting.refuse_again(texts),
        }
    }

    fn answer_again(&mut self, request_id: &RequestId) {
        if self.prompts.post_again(request_id).is_some() {
            self.tell_state(request_id);
        }
    }

    /// The answer did not count.
    fn refuse_answer(&mut self, request_id: RequestId, refused: Refused) {
        let refused = AnswerRefused {
            request_id,
            answer_id: None,
            // Without a reason nothing is known of the prompt: it stands as before.
            reason: refused.because.unwrap_or(RefusedBecause::Forbidden),
            answered_by: refused.answered_by,
            message: refused.message,
        };
        self.answer_refused(&refused);
    }

    fn tell_state(&mut self, request_id: &RequestId) {
        if let Some(state) = self.prompts.state(request_id) {
            self.events.push(Event::PermissionChanged {
                request_id: request_id.clone(),
                state,
            });
        }
    }
}
