//! What goes up as soon as it can: uploads, deliveries, states, heartbeats.

use core::time::Duration;

use super::{
    Timer, Worker, WorkerEvent,
    calls::Call,
    endpoint,
    judgement::{Judgement, judge},
    phase::{Goal, Phase, Step},
    upload::Refused,
};
use crate::{
    attention::Attention,
    io::{Effect, HttpRequest, HttpRequestId, HttpResponse, NetworkFailure},
};

impl Worker {
    /// Does what has become possible.
    pub(super) fn advance(&mut self) {
        if matches!(self.phase, Phase::Running) && self.credentials_are_over() {
            self.rebuild();
        }
        if matches!(self.phase, Phase::Running) {
            self.report_if_new();
            self.upload_next();
            self.deliver_next();
        }
        if self.goal == Goal::Leave {
            self.leave_if_done();
        }
        self.arm_calls();
        self.arm_requests();
        if !self.wants_read() {
            self.attentive = Attention::Elsewhere;
        }
    }

    /// Makes a call; there is never more than one of a kind.
    pub(super) fn call(&mut self, call: Call, request: HttpRequest) {
        let id = self.ids.http();
        // What is ordered at an instant is never overdue at that same instant.
        let patience = self.config.patience.http.max(Duration::from_nanos(1));
        let deadline = self.now.checked_add(patience);
        self.calls.start(call, id, deadline);
        self.effects.push_back(Effect::SendHttp { id, request });
    }

    /// An answer came, or there is none.
    pub(super) fn answered(
        &mut self,
        id: HttpRequestId,
        answer: Result<&HttpResponse, NetworkFailure>,
    ) {
        if let Some(call) = self.calls.over(id) {
            self.call_over(call, answer);
        }
    }

    /// Every call that was not answered in time counts as failed.
    pub(super) fn calls_overdue(&mut self) {
        while let Some((call, id)) = self.calls.overdue(self.now) {
            self.effects.push_back(Effect::CancelHttp { id });
            self.call_over(call, Err(NetworkFailure::TimedOut));
        }
    }

    /// Gives a call up. What it carried may have arrived.
    pub(super) fn give_up(&mut self, call: Call) {
        let Some(id) = self.calls.cancel(call) else {
            return;
        };
        self.effects.push_back(Effect::CancelHttp { id });
        match call {
            Call::Upload => self.uploads.unknown(),
            Call::Delivery => self.deliveries.unknown(),
            Call::Register
            | Call::Bridge
            | Call::Read
            | Call::Report
            | Call::Heartbeat
            | Call::Archive => {}
        }
    }

    pub(super) fn arm_heartbeat(&mut self) {
        let every = self.config.liveness.heartbeat;
        let delay = self.rng.between(
            every.saturating_sub(every / 10),
            every.saturating_add(every / 10),
        );
        self.timers.arm(Timer::Heartbeat, self.now, delay);
    }

    pub(super) fn heartbeat(&mut self) {
        if matches!(self.phase, Phase::Running) && self.credentials_are_over() {
            self.rebuild();
            return;
        }
        if let (Phase::Running, Some(session), Some(credentials)) =
            (&self.phase, &self.session, &self.credentials)
        {
            // The one before may still be under way, where answers are waited for longer than this.
            if !self.calls.is_open(Call::Heartbeat) {
                let request = endpoint::heartbeat(session, credentials);
                self.call(Call::Heartbeat, request);
            }
            self.arm_heartbeat();
        }
    }

    fn call_over(&mut self, call: Call, answer: Result<&HttpResponse, NetworkFailure>) {
        match call {
            Call::Register => self.registered(answer),
            Call::Bridge => self.bridged(answer),
            Call::Read => self.opened(answer, Step::Report),
            Call::Report => self.report_over(answer),
            Call::Upload => self.upload_over(answer),
            Call::Delivery => self.delivery_over(answer),
            Call::Heartbeat => self.heartbeat_over(answer),
            Call::Archive => self.archived(answer),
        }
    }

    fn upload_next(&mut self) {
        if self.calls.is_open(Call::Upload) || self.timers.deadline(Timer::Upload).is_some() {
            return;
        }
        let (Some(session), Some(credentials)) = (&self.session, &self.credentials) else {
            return;
        };
        let limits = &self.config.limits;
        if let Some(body) = self.uploads.next(credentials.epoch, limits) {
            let request = endpoint::upload(session, credentials, body);
            self.call(Call::Upload, request);
        }
    }

    fn upload_over(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::Fine(_) => {
                self.uploads.accepted(&self.config.limits);
                self.upload_failures = 0;
                self.credentials_taken();
            }
            Judgement::Later { after, .. } => {
                if answer.is_ok_and(|response| response.status == 429) {
                    self.uploads.not_taken();
                } else {
                    self.uploads.unknown();
                }
                self.upload_failures = self.upload_failures.saturating_add(1);
                let failures = self.upload_failures;
                self.pause(Timer::Upload, failures, after);
            }
            Judgement::Refused(status) => {
                if let Some(Refused::Dropped(uuid)) = self.uploads.refused() {
                    self.events
                        .push(WorkerEvent::UploadRejected { uuid, status });
                }
            }
            Judgement::OtherCredential
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost => {
                self.uploads.not_taken();
                self.lose_standing(answer);
            }
        }
    }

    fn deliver_next(&mut self) {
        if self.calls.is_open(Call::Delivery) || self.timers.deadline(Timer::Delivery).is_some() {
            return;
        }
        let (Some(session), Some(credentials)) = (&self.session, &self.credentials) else {
            return;
        };
        if let Some(body) = self.deliveries.next(credentials.epoch, self.uploads.open()) {
            let request = endpoint::delivery(session, credentials, body);
            self.call(Call::Delivery, request);
        }
    }

    fn delivery_over(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            // News that the server refuses is no better the second time.
            Judgement::Fine(_) | Judgement::Refused(_) => {
                self.deliveries.accepted();
                self.delivery_failures = 0;
            }
            Judgement::Later { after, .. } => {
                self.deliveries.unknown();
                self.delivery_failures = self.delivery_failures.saturating_add(1);
                let failures = self.delivery_failures;
                self.pause(Timer::Delivery, failures, after);
            }
            Judgement::OtherCredential
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost => {
                self.deliveries.unknown();
                self.lose_standing(answer);
            }
        }
    }

    fn report_over(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        if matches!(self.phase, Phase::Opening(_)) {
            if matches!(judge(answer), Judgement::Fine(_)) {
                self.reported();
            }
            self.opened(answer, Step::Stream);
            return;
        }
        match judge(answer) {
            Judgement::Fine(_) | Judgement::Refused(_) => {
                self.reported();
                self.report_failures = 0;
            }
            Judgement::Later { after, .. } => {
                self.report_failures = self.report_failures.saturating_add(1);
                let failures = self.report_failures;
                self.pause(Timer::Report, failures, after);
            }
            Judgement::OtherCredential
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost => self.lose_standing(answer),
        }
    }

    fn heartbeat_over(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::Fine(_) => {
                self.heartbeat_failures = 0;
                self.credentials_taken();
            }
            Judgement::Later { .. } | Judgement::Refused(_) => {
                self.heartbeat_failures = self.heartbeat_failures.saturating_add(1);
                if self.heartbeat_failures >= self.config.liveness.heartbeat_failures.max(1) {
                    self.heartbeat_failures = 0;
                    self.rebuild();
                }
            }
            Judgement::OtherCredential
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost => self.lose_standing(answer),
        }
    }

    fn pause(&mut self, timer: Timer, failures: u32, asked: Option<Duration>) {
        let cap = self.config.liveness.retry_after_cap;
        let asked = asked.unwrap_or_default().min(cap);
        let delay = self.backoff(failures).max(asked);
        self.timers.arm(timer, self.now, delay);
    }

    fn arm_calls(&mut self) {
        match self.calls.deadline() {
            Some(deadline) => self.timers.arm_at(Timer::Calls, deadline),
            None => self.timers.disarm(Timer::Calls),
        }
    }

    fn arm_requests(&mut self) {
        match self.requests.deadline() {
            Some(deadline) if !matches!(self.phase, Phase::Closed) => {
                self.timers.arm_at(Timer::Requests, deadline);
            }
            Some(_) | None => self.timers.disarm(Timer::Requests),
        }
    }
}
