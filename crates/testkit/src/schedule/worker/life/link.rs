//! What the worker orders, and what becomes of it on the way to the server and back.

use std::time::Duration;

use attache_protocol::{
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Token, TokenReason,
        TokenRefusal, TokenRequestId,
    },
    worker::WorkerStatus,
};

use super::{
    super::{
        machine::Act,
        order::{Kind, Order},
        weather::{Fate, Loss, TokenFate},
    },
    COMMENT_EVERY, Happening, Held, Lease, Life, LineLife,
    checks::no_secret,
};

impl Life {
    pub(super) fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::FetchToken { id, reason } => {
                self.fresh(id.get())?;
                self.fetch_token(id, reason)?;
            }
            Effect::SendHttp { id, request } => {
                self.fresh(id.get())?;
                no_secret(&request)?;
                let order = Order::read(&request)?;
                self.check_order(&order)?;
                self.send(id, order);
            }
            Effect::CancelHttp { id } => {
                let Some(order) = self.calls.remove(&id) else {
                    return Err(format!("{id:?} is given up, and it is over"));
                };
                self.failures += 1;
                self.owed.lost(&order);
            }
            Effect::OpenStream { id, request } => {
                self.fresh(id.get())?;
                no_secret(&request)?;
                let after = self.check_stream(&request)?;
                self.open_stream(id, &request, after);
            }
            Effect::CloseStream { id } => {
                let Some(line) = self.stream.take_if(|line| line.id == id) else {
                    return Err(format!("{id:?} is closed, and it is gone"));
                };
                self.check_silence(&line)?;
                self.failures += 1;
            }
            Effect::OpenSocket { .. }
            | Effect::SendText { .. }
            | Effect::SendPing { .. }
            | Effect::CloseSocket { .. }
            | Effect::AbortSocket { .. } => return Err("a worker has no sockets".to_owned()),
        }
        Ok(())
    }

    fn fresh(&mut self, id: u64) -> Result<(), String> {
        if id <= self.last_id {
            return Err(format!("the id {id} is used again"));
        }
        self.last_id = id;
        Ok(())
    }

    // Tokens.

    fn fetch_token(&mut self, id: TokenRequestId, reason: TokenReason) -> Result<(), String> {
        let until = self.now.checked_add(self.config.patience.token);
        if self
            .token
            .replace((id, until.unwrap_or(self.now)))
            .is_some()
        {
            return Err("two questions to the token source at once".to_owned());
        }
        self.questions += 1;
        let fate = self.weather.of_token();
        if reason == TokenReason::Rejected && fate != TokenFate::Stale {
            self.person += 1;
        }
        let token = Token::new(self.person_token());
        let refuse = |refusal| Input::TokenRefused { id, refusal };
        let (delay, input) = match fate {
            TokenFate::Given => (Duration::ZERO, Input::TokenFetched { id, token }),
            TokenFate::Stale => {
                self.token_refused = Some(fate);
                (Duration::ZERO, Input::TokenFetched { id, token })
            }
            TokenFate::Late(delay) => (delay, Input::TokenFetched { id, token }),
            TokenFate::Unavailable => (Duration::ZERO, refuse(TokenRefusal::Unavailable)),
            TokenFate::SignedOut => {
                self.token_refused = Some(fate);
                (Duration::ZERO, refuse(TokenRefusal::SignedOut))
            }
            TokenFate::Never => {
                self.fault("the token source says nothing", Duration::ZERO);
                return Ok(());
            }
        };
        if fate != TokenFate::Given {
            self.fault(&format!("{fate:?} for a token"), delay);
        }
        self.plan(self.weather.latency + delay, Happening::Answer(input));
        Ok(())
    }

    /// The machine is told the time: a question that is still open after so long is given up.
    pub(super) fn time_is_told(&mut self) {
        let now = self.now;
        if self.token.take_if(|(_, until)| *until <= now).is_some() {
            self.failures += 1;
        }
    }

    /// Takes the open question away, if it is the one with this id.
    fn token_answered(&mut self, id: TokenRequestId) -> bool {
        self.token.take_if(|(asked, _)| *asked == id).is_some()
    }

    // Calls.

    fn send(&mut self, id: HttpRequestId, order: Order) {
        let fate = self.weather.of_call(order.kind, self.now);
        if fate != Fate::Served {
            let lasting = match fate {
                Fate::Slow(delay) => delay,
                Fate::Status(_, after) => {
                    let cap = self.config.liveness.retry_after_cap;
                    after.unwrap_or_default().min(cap)
                }
                Fate::Served
                | Fate::AnswerLost(_)
                | Fate::Failed(_)
                | Fate::Swallowed
                | Fate::Garbled
                | Fate::Outdated => Duration::ZERO,
            };
            let lasting = lasting + self.weather.latency * 2;
            self.fault(&format!("{fate:?} for {:?}", order.kind), lasting);
        }
        self.owed.sent(&order);
        self.calls.insert(id, order);
        self.plan(self.weather.latency, Happening::Arrive(id, fate));
    }

    pub(super) fn arrive(&mut self, id: HttpRequestId, fate: Fate) -> Result<(), String> {
        // Given up on the way, it does not arrive.
        let Some(order) = self.calls.get(&id).cloned() else {
            return Ok(());
        };
        let latency = self.weather.latency;
        let failed = |failure| Input::HttpFailed { id, failure };
        let answered = |status, retry_after, body: String| Input::HttpAnswered {
            id,
            response: HttpResponse {
                status,
                retry_after,
                body: body.into(),
            },
        };
        let (delay, input) = match fate {
            Fate::Served => (latency, self.serve(&order, answered)?),
            Fate::Slow(delay) => (latency + delay, self.serve(&order, answered)?),
            Fate::AnswerLost(loss) => {
                self.serve(&order, answered)?;
                match loss {
                    Loss::Broken => (latency, failed(NetworkFailure::Ended)),
                    Loss::Silence => return Ok(()),
                    Loss::Status(status) => (latency, answered(status, None, String::new())),
                }
            }
            Fate::Failed(failure) => (latency, failed(failure)),
            Fate::Swallowed => return Ok(()),
            Fate::Status(status, retry_after) => {
                (latency, answered(status, retry_after, String::new()))
            }
            Fate::Outdated => {
                let known = self.held.as_ref().map_or(0, |held| held.epoch);
                match self.server.granted_before(known) {
                    Some(body) => (latency, answered(200, None, body)),
                    None => (latency, self.serve(&order, answered)?),
                }
            }
            Fate::Garbled => {
                let honest = self.serve(&order, answered)?;
                let is_done = matches!(&honest, Input::HttpAnswered { response, .. } if response.status == 200);
                let garbled = answered(200, None, "<html>".to_owned());
                (latency, if is_done { garbled } else { honest })
            }
        };
        self.plan(delay, Happening::Answer(input));
        Ok(())
    }

    /// Lets the server do it.
    fn serve(
        &mut self,
        order: &Order,
        answered: impl Fn(u16, Option<Duration>, String) -> Input,
    ) -> Result<Input, String> {
        let served = self.server.serve(order, self.now)?;
        for payload in &served.heard {
            self.owed.heard(payload)?;
            self.heard.push(payload.text.clone());
        }
        for (event, delivery) in &served.news {
            self.owed.told(event, *delivery)?;
        }
        if order.kind == Kind::Bridge && served.status == 200 {
            self.counts.bridges += 1;
            // Whoever had the session before is sent away.
            self.end_stream(NetworkFailure::Ended);
        }
        if order.kind == Kind::Archive && served.status == 200 {
            self.end_stream(NetworkFailure::Ended);
        }
        Ok(answered(served.status, None, served.body))
    }

    pub(super) fn answer(&mut self, input: Input) -> Result<(), String> {
        match &input {
            Input::TokenFetched { id, token } => {
                if self.token_answered(*id) {
                    self.given = Some(token.expose().to_owned());
                    if self.refused.contains(token.expose()) {
                        self.token_refused = Some(TokenFate::Stale);
                    }
                }
            }
            Input::TokenRefused { id, .. } => {
                if self.token_answered(*id) {
                    self.failures += 1;
                }
            }
            Input::HttpAnswered { id, response } => {
                let Some(order) = self.calls.remove(id) else {
                    return Ok(());
                };
                self.learn(&order, response);
            }
            Input::HttpFailed { id, .. } => {
                let Some(order) = self.calls.remove(id) else {
                    return Ok(());
                };
                self.failures += 1;
                self.asked_pause = None;
                self.owed.lost(&order);
            }
            Input::StreamOpened { id } => {
                let Some(line) = self.stream.as_mut().filter(|line| line.id == *id) else {
                    return Ok(());
                };
                if line.life == LineLife::Asked {
                    line.life = LineLife::Open;
                }
                line.heard = Some(self.now);
                self.counts.streams += 1;
                let after = line.after;
                self.plan(COMMENT_EVERY, Happening::Comment(*id));
                self.act(&Act::Input(input))?;
                self.send_bytes(":ok\n\n");
                // What was missed comes in one piece.
                let missed = self.server.said_after(after).into_iter();
                let missed: String = missed.map(|(_, event)| event).collect();
                if !missed.is_empty() {
                    self.send_bytes(&missed);
                }
                return Ok(());
            }
            Input::StreamClosed { id, ending } => {
                if self.stream.take_if(|line| line.id == *id).is_none() {
                    return Ok(());
                }
                self.stream_ended(*ending);
            }
            Input::StreamBytes { .. }
            | Input::SocketOpened { .. }
            | Input::SocketRefused { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::SocketClosed { .. }
            | Input::Woke => {}
        }
        self.act(&Act::Input(input)).map(drop)
    }

    /// Keeps what the answer tells the worker.
    fn learn(&mut self, order: &Order, response: &HttpResponse) {
        let status = response.status;
        self.statuses.insert(status);
        self.asked_pause = response.retry_after;
        if status == 410 {
            self.lease = Lease::Lost;
        }
        let takes = matches!(order.kind, Kind::Upload | Kind::Heartbeat);
        if takes && (200..300).contains(&status) {
            self.lease = Lease::Kept;
        }
        match status {
            200..=299 => {
                let granted = self.server.last_granted();
                let is_new = granted.as_ref().is_some_and(|(token, _)| {
                    String::from_utf8_lossy(&response.body).contains(&format!("\"{token}\""))
                });
                if order.kind == Kind::Bridge && is_new {
                    let until = self.now.checked_add(self.server.lifetime);
                    self.held = granted.map(|(token, epoch)| Held {
                        token,
                        epoch,
                        until: until.unwrap_or(self.now),
                    });
                } else if order.kind == Kind::Bridge {
                    self.failures += 1;
                } else if matches!(order.kind, Kind::Read | Kind::Report)
                    && self.machine.worker.status() == WorkerStatus::Connecting
                    && self
                        .held
                        .as_ref()
                        .is_some_and(|held| held.until <= self.now)
                {
                    // It was done, but the next step of opening has no credentials any more.
                    self.failures += 1;
                }
            }
            401 | 403 => {
                self.failures += 1;
                self.refused.insert(order.bearer.clone());
            }
            409 => {
                if order.kind != Kind::Archive {
                    self.fenced = Some(status);
                }
            }
            429 | 404 | 410 => self.failures += 1,
            408 | 425 | 500.. => {
                self.failures += 1;
                self.owed.lost(order);
            }
            _ => {
                self.failures += 1;
                self.owed.refused(order);
            }
        }
    }
}
