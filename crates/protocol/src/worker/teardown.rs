//! Leaving nothing behind: idle is reported, what is left is sent, the session archived, within a budget.

use alloc::{vec, vec::Vec};

use super::{
    Timer, Worker, WorkerEvent,
    calls::Call,
    config::{Farewell, SessionChoice},
    endpoint,
    event::{AgentState, WorkerCloseCause, WorkerStatus},
    judgement::{Judgement, judge},
    phase::{Goal, Phase, Reached},
};
use crate::io::{HttpResponse, NetworkFailure, Token, TokenRequestId};

impl Worker {
    /// Starts leaving.
    pub(super) fn leave(&mut self) {
        if self.goal == Goal::Leave || matches!(self.phase, Phase::Closed) {
            return;
        }
        self.goal = Goal::Leave;
        self.state = AgentState::Idle;
        let patience = &self.config.patience;
        self.timers.arm(Timer::Close, self.now, patience.close);
        if !matches!(self.phase, Phase::Archiving { .. }) {
            self.timers
                .arm(Timer::Flush, self.now, patience.flush_share());
        }
        self.set_status(WorkerStatus::Closing);
        self.hurry();
    }

    /// What waits to be tried again waits no longer: there may be no later.
    fn hurry(&mut self) {
        for again in [Timer::Upload, Timer::Report, Timer::Delivery] {
            self.timers.disarm(again);
        }
        self.advance();
        if matches!(self.phase, Phase::Pausing) {
            self.timers.disarm(Timer::Start);
            self.fire(Timer::Start);
        }
    }

    /// Goes on to the archive once there is nothing to wait for.
    pub(super) fn leave_if_done(&mut self) {
        match &self.phase {
            Phase::Idle => self.finish(WorkerCloseCause::Requested),
            // The session may come into being any moment, and then it has to go.
            Phase::Registering | Phase::Archiving { .. } | Phase::Closed => {}
            Phase::FetchingToken(_) | Phase::Pausing if self.session.is_none() => {
                self.finish(WorkerCloseCause::Requested);
            }
            Phase::Running
                if self.uploads.is_empty()
                    && self.deliveries.is_empty()
                    && self.is_known_idle() =>
            {
                self.archive(WorkerCloseCause::Requested);
            }
            Phase::FetchingToken(_)
            | Phase::Bridging
            | Phase::Opening(_)
            | Phase::Pausing
            | Phase::Running => {
                // Without anything to say there is no reason to finish building.
                let has_more_to_say = !self.uploads.is_empty() || self.leaves_a_session_in_use();
                if !has_more_to_say && !matches!(self.phase, Phase::Running) {
                    self.archive(WorkerCloseCause::Requested);
                }
            }
        }
    }

    /// Whether the session stays, and may look as if its agent were still at work.
    fn leaves_a_session_in_use(&self) -> bool {
        self.config.farewell == Farewell::Leave && self.reached == Reached::Once
    }

    /// What could not be sent until now stays unsent: the rest of the time is the archive's.
    pub(super) fn flush_over(&mut self) {
        match self.phase {
            // A session that is being created is archived as soon as it is known, however late that is.
            Phase::Registering | Phase::Archiving { .. } | Phase::Closed => {}
            Phase::Idle
            | Phase::FetchingToken(_)
            | Phase::Bridging
            | Phase::Opening(_)
            | Phase::Running
            | Phase::Pausing => self.archive(WorkerCloseCause::Requested),
        }
    }

    /// The farewell has lasted as long as it may.
    pub(super) fn farewell_over(&mut self) {
        match self.phase {
            Phase::Archiving { cause, .. } => self.finish(cause),
            Phase::Closed => {}
            Phase::Idle
            | Phase::FetchingToken(_)
            | Phase::Registering
            | Phase::Bridging
            | Phase::Opening(_)
            | Phase::Running
            | Phase::Pausing => self.finish(WorkerCloseCause::Requested),
        }
    }

    /// Archives the session, trying each credential once, one that is still on its way as well.
    pub(super) fn archive(&mut self, cause: WorkerCloseCause) {
        let awaited = if let Phase::FetchingToken(id) = self.phase {
            Some(id)
        } else {
            None
        };
        self.drop_transport();
        self.timers.disarm(Timer::Token);
        self.timers.disarm(Timer::Flush);
        if self.config.farewell == Farewell::Leave || self.session.is_none() {
            self.finish(cause);
            return;
        }
        let worker = self
            .credentials
            .as_ref()
            .filter(|_| !self.credentials_are_over())
            .map(|granted| granted.token.clone());
        let mut untried: Vec<Token> = vec![];
        for token in [self.token.clone(), worker].into_iter().flatten() {
            if !untried.contains(&token) {
                untried.push(token);
            }
        }
        self.timers
            .arm(Timer::Archive, self.now, self.config.patience.archive);
        self.phase = Phase::Archiving {
            untried,
            awaited,
            cause,
        };
        self.archive_next();
    }

    /// The answer of the token source to `id`, in case the archive waits for it.
    pub(super) fn archive_token(&mut self, id: TokenRequestId, answer: Option<&Token>) {
        let Phase::Archiving {
            untried, awaited, ..
        } = &mut self.phase
        else {
            return;
        };
        if *awaited != Some(id) {
            return;
        }
        *awaited = None;
        let known = [self.token.as_ref(), self.rejected.as_ref()];
        if let Some(token) = answer
            && !known.contains(&Some(token))
        {
            untried.push(token.clone());
        }
        if !self.calls.is_open(Call::Archive) {
            self.archive_next();
        }
    }

    pub(super) fn archived(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::OtherCredential => self.archive_next(),
            Judgement::Fine(_)
            | Judgement::Later { .. }
            | Judgement::NotFound
            | Judgement::Fenced
            | Judgement::LeaseLost
            | Judgement::Refused(_) => self.archive_over(),
        }
    }

    /// The archive has been tried as often as it may.
    pub(super) fn archive_over(&mut self) {
        if let Phase::Archiving { cause, .. } = self.phase {
            self.finish(cause);
        }
    }

    /// The start failed for good. A session that was created for it is not left behind.
    pub(super) fn give_start_up(&mut self, cause: WorkerCloseCause) {
        match self.config.session {
            SessionChoice::Create(_) => self.archive(cause),
            SessionChoice::Join(_) => self.finish(cause),
        }
    }

    /// The end.
    pub(super) fn finish(&mut self, cause: WorkerCloseCause) {
        self.drop_transport();
        self.backlog = None;
        self.timers.clear();
        self.phase = Phase::Closed;
        self.set_status(WorkerStatus::Closed(cause));
        self.events.push(WorkerEvent::Closed(cause));
    }

    fn archive_next(&mut self) {
        let Phase::Archiving {
            untried, awaited, ..
        } = &mut self.phase
        else {
            return;
        };
        match (untried.pop(), &self.session) {
            (Some(token), Some(session)) => {
                let request = endpoint::archive(&token, session);
                self.call(Call::Archive, request);
            }
            (None, Some(_)) if awaited.is_some() => {}
            (None, _) | (_, None) => self.archive_over(),
        }
    }
}
