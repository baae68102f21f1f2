//! What goes out as soon as it can: answers, requests, messages.

use core::time::Duration;

use super::{
    Event, SendState, Timer, Viewer, endpoint,
    outbox::Posted,
    phase::Phase,
    requests::{Audience, Finished, Scope},
};
use crate::{
    attention::Attention,
    frame::{
        RequestId,
        control::{self, Fields},
    },
    io::Effect,
};

impl Viewer {
    /// Does what has become possible: asks for pages and tokens, sends answers, requests, messages.
    pub(super) fn advance(&mut self) {
        self.refresh_token();
        self.ask_for_page();
        if matches!(self.phase, Phase::Up(_)) && !self.catch_up.is_running() {
            self.send_answers();
            self.send_requests();
        }
        self.post_control();
        self.post_message();
        self.arm_requests();
        self.note_backlog();
        let reading = self.wants_read();
        if let Phase::Up(link) = &mut self.phase
            && !reading
        {
            link.attention = Attention::Elsewhere;
            self.catch_up.looks_away();
        }
    }

    fn send_answers(&mut self) {
        if self.prompts.is_empty() {
            return;
        }
        let Some(id) = self.socket_up() else { return };
        let answers = self.prompts.send(self.pings.wrapping_add(1));
        if answers.is_empty() {
            return;
        }
        for (request_id, text) in answers {
            self.effects.push_back(Effect::SendText { id, text });
            if let Some(state) = self.prompts.state(&request_id) {
                self.events
                    .push(Event::PermissionChanged { request_id, state });
            }
        }
        self.ping();
    }

    fn send_requests(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let Some(id) = self.socket_up() else { return };
        let (texts, lapsed) = self.requests.send(self.turn);
        for text in texts {
            self.effects.push_back(Effect::SendText { id, text });
        }
        for over in lapsed {
            self.request_over(over);
        }
    }

    pub(super) fn open_request(
        &mut self,
        subtype: &str,
        fields: &Fields,
        patience: Duration,
        scope: Scope,
        audience: Audience,
    ) -> RequestId {
        let request_id = RequestId::minted(self.rng.uuid());
        let text = self.identified(control::request(&request_id, subtype, fields));
        let deadline = self.now.checked_add(patience);
        self.requests
            .open(request_id.clone(), text, deadline, scope, audience);
        request_id
    }

    fn arm_requests(&mut self) {
        match self.requests.deadline() {
            Some(deadline) if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) => {
                self.timers.arm_at(Timer::Request, deadline);
            }
            Some(_) | None => self.timers.disarm(Timer::Request),
        }
    }

    pub(super) fn request_over(&mut self, over: Finished) {
        match over.audience {
            Audience::Application => self.events.push(Event::Request {
                request_id: over.request_id,
                outcome: over.outcome,
            }),
            Audience::Viewer => {}
        }
    }

    fn post_message(&mut self) {
        let Phase::Up(link) = &self.phase else { return };
        let Some((id, body)) = self.outbox.next(&link.token) else {
            return;
        };
        let request = endpoint::post_event(&self.config, &link.token, body);
        let call = self.ids.http();
        self.outbox.posted(call, link.token.clone());
        self.timers
            .arm(Timer::Outbox, self.now, self.config.patience.http);
        self.effects
            .push_back(Effect::SendHttp { id: call, request });
        self.events.push(Event::Send {
            id,
            state: SendState::InFlight,
        });
    }

    pub(super) fn posted(&mut self, posted: Posted) {
        match posted {
            Posted::Done(id, state) => {
                self.timers.disarm(Timer::Outbox);
                if state == SendState::Accepted {
                    self.start_watchdog();
                }
                self.events.push(Event::Send { id, state });
            }
            Posted::Again(id, state, after) => {
                self.timers.arm(Timer::Outbox, self.now, after);
                self.events.push(Event::Send { id, state });
            }
            Posted::NeedsToken(id) => {
                self.timers.disarm(Timer::Outbox);
                let state = SendState::Queued;
                self.events.push(Event::Send { id, state });
            }
        }
    }

    pub(super) fn start_watchdog(&mut self) {
        if self.config.viewer_only || !matches!(self.phase, Phase::Up(_)) {
            return;
        }
        if let Some(delay) = self.watchdog.start(self.now, &self.config.patience) {
            self.timers.arm(Timer::Watchdog, self.now, delay);
        }
    }
}
