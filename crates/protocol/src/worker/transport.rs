//! The transport: opening it step by step, the stream, and what its end means.

use super::{
    Timer, Worker,
    calls::Call,
    endpoint,
    event::{AgentState, WorkerCloseCause, WorkerStatus},
    judgement::{Judgement, judge},
    phase::{Phase, Reached, Step, Stream},
};
use crate::{
    attention::Attention,
    frame::sse::SseDecoder,
    io::{Effect, HttpResponse, NetworkFailure, Refusal, StreamId},
    policy::Outcome,
};

impl Worker {
    /// Takes a step of opening.
    pub(super) fn open(&mut self, step: Step) {
        if self.credentials_are_over() {
            let outcome = Outcome::Network(NetworkFailure::TimedOut);
            self.try_again(outcome, None);
            return;
        }
        self.phase = Phase::Opening(step);
        self.set_status(match self.reached {
            Reached::Never => WorkerStatus::Connecting,
            Reached::Once => WorkerStatus::Rebuilding,
        });
        match step {
            Step::Read => {
                if let (Some(session), Some(credentials)) = (&self.session, &self.credentials) {
                    let request = endpoint::read_state(session, credentials);
                    self.call(Call::Read, request);
                }
            }
            Step::Report => self.report_state(),
            Step::Stream => self.open_stream(),
        }
    }

    /// The answer to one of the calls of opening.
    pub(super) fn opened(&mut self, answer: Result<&HttpResponse, NetworkFailure>, next: Step) {
        match judge(answer) {
            Judgement::Fine(_) => self.open(next),
            Judgement::Later { outcome, after } => self.try_again(outcome, after),
            Judgement::Refused(status) => {
                self.give_start_up(WorkerCloseCause::Rejected { status });
            }
            Judgement::OtherCredential
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost => self.lose_standing(answer),
        }
    }

    /// What any call of the worker can be told about its standing.
    pub(super) fn lose_standing(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::OtherCredential => self.credentials_refused(),
            Judgement::LeaseLost => self.lease_lost(),
            Judgement::NotFound => self.end_transport(WorkerCloseCause::SessionNotFound),
            Judgement::Fenced => self.end_transport(WorkerCloseCause::Superseded),
            Judgement::Fine(_) | Judgement::Later { .. } | Judgement::Refused(_) => {}
        }
    }

    /// Asks for the stream, from where it was left.
    pub(super) fn open_stream(&mut self) {
        if self.credentials_are_over() {
            self.rebuild();
            return;
        }
        let (Some(session), Some(credentials)) = (&self.session, &self.credentials) else {
            return;
        };
        let id = self.ids.stream();
        let request = endpoint::stream(session, credentials, self.sequence);
        self.stream = Stream::Opening(id);
        self.decoder = SseDecoder::new(self.config.limits.stream_event_bytes);
        self.backlog = None;
        self.timers
            .arm(Timer::Silence, self.now, self.config.patience.http);
        self.effects.push_back(Effect::OpenStream { id, request });
    }

    pub(super) fn stream_opened(&mut self, id: StreamId) {
        if self.stream != Stream::Opening(id) {
            return;
        }
        self.stream = Stream::Open(id);
        self.stream_alive();
        if matches!(self.phase, Phase::Opening(Step::Stream)) {
            self.run();
        } else {
            self.set_status(WorkerStatus::Running);
        }
    }

    /// Bytes came: a sign of life.
    pub(super) fn stream_alive(&mut self) {
        self.attentive = Attention::Undivided;
        self.timers.arm(
            Timer::Silence,
            self.now,
            self.config.liveness.stream_silence,
        );
    }

    pub(super) fn stream_closed(&mut self, id: StreamId, ending: Refusal) {
        if self.stream.id() == Some(id) {
            self.stream_lost(ending);
        }
    }

    /// The stream is silent, or its opening was not answered.
    pub(super) fn stream_silent(&mut self) {
        if matches!(self.stream, Stream::Open(_))
            && (self.attentive == Attention::Elsewhere || !self.wants_read())
        {
            if self.wants_read() {
                self.attentive = Attention::Undivided;
            }
            self.timers.arm(
                Timer::Silence,
                self.now,
                self.config.liveness.stream_silence,
            );
            return;
        }
        self.drop_stream();
        self.stream_lost(Refusal::Network(NetworkFailure::TimedOut));
    }

    /// Drops everything that was opened with the present credentials. What was on its way is sent again.
    pub(super) fn drop_transport(&mut self) {
        self.drop_stream();
        for call in self.calls.kinds() {
            self.give_up(call);
        }
        self.reported = None;
        for timer in [
            Timer::Start,
            Timer::Refresh,
            Timer::Stream,
            Timer::Upload,
            Timer::Report,
            Timer::Delivery,
            Timer::Heartbeat,
        ] {
            self.timers.disarm(timer);
        }
    }

    fn drop_stream(&mut self) {
        if let Some(id) = self.stream.id() {
            self.effects.push_back(Effect::CloseStream { id });
        }
        self.stream = Stream::Down;
        self.timers.disarm(Timer::Silence);
    }

    fn end_transport(&mut self, cause: WorkerCloseCause) {
        self.drop_transport();
        self.finish(cause);
    }

    fn stream_lost(&mut self, ending: Refusal) {
        self.stream = Stream::Down;
        self.timers.disarm(Timer::Silence);
        let (outcome, after) = match ending {
            Refusal::Http { status, .. } if matches!(status, 401 | 403 | 404 | 409 | 410) => {
                let response = HttpResponse {
                    status,
                    retry_after: None,
                    body: bytes::Bytes::new(),
                };
                self.lose_standing(Ok(&response));
                return;
            }
            Refusal::Http {
                status,
                retry_after,
            } => (
                Outcome::Http {
                    status,
                    retry_after,
                },
                retry_after,
            ),
            Refusal::Network(failure) => (Outcome::Network(failure), None),
        };
        if !matches!(self.phase, Phase::Running) {
            self.try_again(outcome, after);
            return;
        }
        self.stream_failures = self.stream_failures.saturating_add(1);
        let cap = self.config.liveness.retry_after_cap;
        let asked = after.unwrap_or_default().min(cap);
        let delay = self.backoff(self.stream_failures).max(asked);
        self.stream = Stream::Pausing { cause: outcome };
        self.timers.arm(Timer::Stream, self.now, delay);
        self.set_status(WorkerStatus::Deaf { cause: outcome });
    }

    /// Everything is up.
    fn run(&mut self) {
        self.phase = Phase::Running;
        self.reached = Reached::Once;
        self.failures = 0;
        self.heartbeat_failures = 0;
        self.arm_heartbeat();
        self.set_status(WorkerStatus::Running);
    }

    fn report_state(&mut self) {
        let (Some(session), Some(credentials)) = (&self.session, &self.credentials) else {
            return;
        };
        let request = endpoint::report(session, credentials, &self.state);
        // Until it is answered, nobody knows which of the two the server has.
        self.reported = None;
        self.reporting = Some(self.state.clone());
        self.call(Call::Report, request);
    }

    /// Reports the agent's state if the server does not know it.
    pub(super) fn report_if_new(&mut self) {
        let known = self.reported.as_ref() == Some(&self.state);
        if !known
            && !self.calls.is_open(Call::Report)
            && self.timers.deadline(Timer::Report).is_none()
        {
            self.report_state();
        }
    }

    /// The state that was reported is known.
    pub(super) fn reported(&mut self) {
        self.reported = self.reporting.take();
    }

    /// Whether the server knows that the agent is idle.
    pub(super) fn is_known_idle(&self) -> bool {
        self.reported == Some(AgentState::Idle)
    }
}
