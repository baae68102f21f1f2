//! What must hold after every step.

use std::time::Duration;

use attache_protocol::{
    io::{HttpRequest, Method, NetworkFailure, Server as Place},
    policy::Outcome,
    time::Timestamp,
    worker::{Timer, WorkerCloseCause, WorkerEvent, WorkerStatus},
};

use super::{
    super::{
        order::{BASE, Body, Kind, Order},
        owed::as_reported,
        weather::TokenFate,
    },
    Beat, Lease, Life, Line, LineLife, Reading, Statuses,
};

/// Whoever shows a request does not show its token.
pub(super) fn no_secret(request: &HttpRequest) -> Result<(), String> {
    if format!("{request:?}").contains(request.bearer.expose()) {
        return Err("a token shows up in Debug".to_owned());
    }
    Ok(())
}

impl Life {
    /// A call, before it goes out.
    pub(super) fn check_order(&mut self, order: &Order) -> Result<(), String> {
        let kind = order.kind;
        if self.is_calling(kind) {
            return Err(format!("two calls of the kind {kind:?} at once"));
        }
        self.check_bearer(kind, &order.bearer)?;
        if let Some(epoch) = order.epoch
            && self.held.as_ref().is_none_or(|held| held.epoch != epoch)
        {
            return Err(format!("{kind:?} names the epoch {epoch}"));
        }
        match &order.body {
            Body::Nothing => {}
            Body::State(status, details) => {
                let (said, known) = ((status.clone(), details.clone()), &self.owed.state);
                if said != as_reported(known) {
                    return Err(format!("{said:?} is reported, and the agent is {known:?}"));
                }
            }
            Body::Frames(frames) => {
                let limits = &self.config.limits;
                let bytes: usize = frames.iter().map(|frame| frame.text.len()).sum();
                if frames.is_empty() || frames.len() > limits.batch.max(1) {
                    return Err(format!("{} frames at once", frames.len()));
                }
                if frames.len() > 1 && bytes > limits.batch_bytes {
                    return Err(format!("{bytes} bytes of frames at once"));
                }
            }
            Body::News(news) => {
                if news.is_empty() {
                    return Err("a report of deliveries says nothing".to_owned());
                }
            }
        }
        if kind == Kind::Heartbeat {
            self.check_beat()?;
        }
        Ok(())
    }

    /// The stream, before it is asked for; after which number.
    pub(super) fn check_stream(&mut self, request: &HttpRequest) -> Result<u64, String> {
        if self.stream.is_some() {
            return Err("two streams at once".to_owned());
        }
        let (path, after) = request
            .path
            .split_once("?from_sequence_num=")
            .ok_or("the stream is asked for without a position")?;
        let is_stream = path.ends_with("/worker/events/stream") && request.method == Method::Get;
        if !is_stream || request.server != Place::At(BASE.into()) {
            return Err(format!("no server has {path}"));
        }
        self.check_bearer(Kind::Read, request.bearer.expose())?;
        let last = request
            .headers
            .iter()
            .find(|header| header.name == "last-event-id");
        if last.map(|header| header.value.as_str()) != Some(after) {
            return Err("the two positions of the stream differ".to_owned());
        }
        let after = after
            .parse()
            .map_err(|error| format!("the position of the stream: {error}"))?;
        if after < self.owed.delivered_up_to() {
            return Err(format!("the stream is asked for from {after} again"));
        }
        Ok(after)
    }

    /// The stream, which has just been closed: not for its silence while it is heard.
    pub(super) fn check_silence(&self, line: &Line) -> Result<(), String> {
        let WorkerStatus::Deaf {
            cause: Outcome::Network(NetworkFailure::TimedOut),
        } = self.machine.worker.status()
        else {
            return Ok(());
        };
        let silent_for = line.heard.map(|heard| self.now.saturating_since(heard));
        match silent_for {
            Some(silent_for) if silent_for < self.config.liveness.stream_silence => Err(format!(
                "{:?} is given up for a silence of only {silent_for:?}",
                line.id
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn check_bearer(&self, kind: Kind, bearer: &str) -> Result<(), String> {
        if self.refused.contains(bearer) {
            return Err(format!(
                "{kind:?} goes out with {bearer}, which was refused"
            ));
        }
        let is_persons = self.given.as_deref() == Some(bearer);
        let is_grant = match &self.held {
            Some(held) if held.token == bearer => {
                if held.until <= self.now {
                    return Err(format!(
                        "{kind:?} goes out with {bearer}, which has expired"
                    ));
                }
                true
            }
            Some(_) | None => false,
        };
        let is_right = match kind {
            Kind::Register | Kind::Bridge => is_persons,
            Kind::Archive => is_persons || is_grant,
            Kind::Read | Kind::Report | Kind::Upload | Kind::Delivery | Kind::Heartbeat => is_grant,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{kind:?} goes out with {bearer}"))
        }
    }

    fn check_beat(&mut self) -> Result<(), String> {
        let every = self.config.liveness.heartbeat;
        if let Beat::Since(last) = self.beat {
            let distance = self.now.saturating_since(last);
            if distance < every.saturating_sub(every / 10) {
                return Err(format!("a heartbeat {distance:?} after the last one"));
            }
        }
        self.beat = Beat::Since(self.now);
        Ok(())
    }

    pub(super) fn hear(&mut self, event: WorkerEvent) -> Result<(), String> {
        if self.closed.is_some() {
            return Err(format!("{event:?} after the end"));
        }
        match event {
            WorkerEvent::Status(status) => {
                if self.status == status && self.shown == Statuses::All {
                    return Err(format!("{status:?} is told twice in a row"));
                }
                self.status = status;
                Ok(())
            }
            WorkerEvent::Registered(session) => match self.machine.worker.session() {
                Some(known) if *known == session && !self.joins() => Ok(()),
                Some(_) | None => Err(format!("{session} is not the session")),
            },
            WorkerEvent::Inbound(inbound) => {
                self.counts.delivered += 1;
                self.owed.delivered(&inbound, self.now)?;
                self.got.push(inbound);
                Ok(())
            }
            WorkerEvent::Malformed(_) => self.owed.malformed(),
            WorkerEvent::UploadRejected { uuid, status } => {
                if !self.statuses.contains(&status) {
                    return Err(format!(
                        "{uuid} is rejected with {status}, which nobody said"
                    ));
                }
                self.owed.rejected(&uuid)
            }
            WorkerEvent::Closed(cause) => {
                self.closed = Some(cause);
                self.check_cause(cause)
            }
            other => Err(format!("{other:?} is new")),
        }
    }

    fn check_cause(&self, cause: WorkerCloseCause) -> Result<(), String> {
        let was_told = |status| self.statuses.contains(&status);
        let is_justified = match cause {
            WorkerCloseCause::Requested => self.close_asked_at.is_some(),
            WorkerCloseCause::Superseded => self.fenced.is_some(),
            WorkerCloseCause::Unauthorized => {
                let refusals = self.config.liveness.refusals.max(1);
                self.token_refused == Some(TokenFate::Stale)
                    || self.refused.len() >= 2
                    || (refusals == 1 && !self.refused.is_empty())
            }
            WorkerCloseCause::SignedOut => self.token_refused == Some(TokenFate::SignedOut),
            WorkerCloseCause::SessionNotFound => was_told(404),
            WorkerCloseCause::Rejected { status } => was_told(status),
            WorkerCloseCause::Unreadable => was_told(200),
            WorkerCloseCause::StartFailed { .. } => {
                self.counts.streams == 0 && self.failures >= self.config.start.attempts.max(1)
            }
            _ => false,
        };
        if is_justified {
            Ok(())
        } else {
            Err(format!("it ends as {cause:?} without a reason"))
        }
    }

    /// Where the machine stands after a call.
    pub(super) fn check_standing(&mut self, after_timeout: bool) -> Result<(), String> {
        let worker = &self.machine.worker;
        let deadline = worker.poll_timeout();
        let status = worker.status();
        if worker.is_closed() {
            if let Some(order) = self.calls.values().next() {
                return Err(format!("it is closed, and {:?} is under way", order.kind));
            }
            if let Some(line) = &self.stream {
                return Err(format!("it is closed, and {:?} is open", line.id));
            }
            if deadline.is_some() {
                return Err(format!("it is closed, and waits for {deadline:?}"));
            }
            return if matches!(status, WorkerStatus::Closed(_)) {
                Ok(())
            } else {
                Err(format!("it is closed, and its status is {status:?}"))
            };
        }
        if let Some(status) = self.fenced {
            return Err(format!("it was told {status}, and goes on"));
        }
        if self.is_started && deadline.is_none() {
            return Err(format!("it is {status:?}, and waits for nothing"));
        }
        // Except for what waited for the room of the events that have been taken since.
        if after_timeout
            && let Some((at, timer)) = deadline
            && at <= self.now
            && timer != Timer::Backlog
        {
            return Err(format!("{timer:?} is due again at once"));
        }
        if let Some(asked) = self.close_asked_at {
            let budget = self.close_budget();
            if self.now.saturating_since(asked) > budget {
                return Err(format!("it was told to close more than {budget:?} ago"));
            }
        }
        let is_mute = |line: &Line| line.life == LineLife::Mute;
        if !worker.wants_read() && self.stream.as_ref().is_some_and(is_mute) {
            // A time of silence in which nothing was read at some moment does not count, but the whole next one does.
            self.trouble(self.config.liveness.stream_silence * 2);
        }
        let worker = &self.machine.worker;
        let reads =
            self.reading == Reading::Eagerly && worker.wants_read() && self.stream.is_some();
        if reads && self.owed.lacks(self.handed.full) {
            return Err(format!(
                "event {} lies about, and more is read",
                self.handed.full
            ));
        }
        self.check_patience(status, deadline)?;
        self.check_heart(status)
    }

    /// What failed for the first time in a row is tried again soon: earlier failures are forgotten.
    fn check_patience(
        &mut self,
        status: WorkerStatus,
        deadline: Option<(Timestamp, Timer)>,
    ) -> Result<(), String> {
        let heard = match status {
            WorkerStatus::Deaf { .. } => std::mem::take(&mut self.has_heard),
            WorkerStatus::Running => {
                self.questions = 0;
                false
            }
            WorkerStatus::Rebuilding => {
                // The stream may have failed just before.
                self.has_heard = false;
                false
            }
            WorkerStatus::Idle
            | WorkerStatus::Registering
            | WorkerStatus::Connecting
            | WorkerStatus::Closing
            | WorkerStatus::Closed(_) => false,
        };
        let Some((at, timer)) = deadline else {
            return Ok(());
        };
        let is_rebuilding = status == WorkerStatus::Rebuilding;
        let was_first = (timer == Timer::Start && is_rebuilding && self.questions == 1)
            || (timer == Timer::Stream && heard);
        let wait = at.saturating_since(self.now);
        let soon = self.config.liveness.retry_base;
        let is_excused = self.asked_pause.is_some() || self.lease == Lease::Lost;
        if was_first && !is_excused && wait > soon {
            return Err(format!("{timer:?} waits for {wait:?} after one failure"));
        }
        Ok(())
    }

    /// A worker that runs has a heartbeat.
    fn check_heart(&mut self, status: WorkerStatus) -> Result<(), String> {
        let every = self.config.liveness.heartbeat;
        match status {
            WorkerStatus::Running | WorkerStatus::Deaf { .. } => {}
            WorkerStatus::Idle
            | WorkerStatus::Registering
            | WorkerStatus::Connecting
            | WorkerStatus::Rebuilding
            | WorkerStatus::Closing
            | WorkerStatus::Closed(_) => {
                self.beat = Beat::Off;
                return Ok(());
            }
        }
        match self.beat {
            Beat::Off => self.beat = Beat::Since(self.now),
            Beat::Since(last) | Beat::Somewhere(last) => {
                let silent = self.now.saturating_since(last);
                // One at a time: the next waits for the answer to the last.
                let http = self.config.patience.http;
                let wait = if http > every { http } else { Duration::ZERO };
                if silent > every + every / 10 + wait {
                    return Err(format!("no heartbeat for {silent:?}"));
                }
            }
        }
        Ok(())
    }

    /// How long closing may take.
    pub(in crate::schedule) fn close_budget(&self) -> Duration {
        let patience = &self.config.patience;
        patience.close
    }
}
