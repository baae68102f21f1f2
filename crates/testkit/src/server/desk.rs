//! What the server does with what the viewer sends.

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind, split},
    io::{
        HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, SocketEnding, SocketId,
        SocketRequest, Token,
    },
};
use serde_json::{Value, json};

use super::{HttpPlan, Line, LineId, Outgoing, Received, Server, Upgrade};
use crate::http::{Route, answer};

impl Server {
    pub(crate) fn upgrade(&mut self, id: SocketId, request: &SocketRequest) {
        let plan = self.upgrades.take();
        let bearer_is_bad = request
            .bearer
            .as_ref()
            .is_some_and(|bearer| self.refuses(bearer));
        let plan = match plan {
            Upgrade::Accept if bearer_is_bad => Upgrade::AcceptThenClose(4003),
            other @ (Upgrade::Accept
            | Upgrade::AcceptThenClose(_)
            | Upgrade::AcceptThenEnd
            | Upgrade::AcceptThenReset
            | Upgrade::Refuse(_)
            | Upgrade::Never) => other,
        };
        match plan {
            Upgrade::Accept => {
                self.accept(id);
                if self.repeats_prompts {
                    for text in self.open_prompts.values().cloned().collect::<Vec<_>>() {
                        let input = Input::SocketText { id, text };
                        self.hand_over(Outgoing::OverLine(LineId::Socket(id), input));
                    }
                }
            }
            Upgrade::AcceptThenClose(code) => {
                self.accept(id);
                self.close(code, "");
            }
            Upgrade::AcceptThenEnd => {
                self.accept(id);
                self.close(1000, "session ended");
            }
            Upgrade::AcceptThenReset => {
                self.accept(id);
                let line = LineId::Socket(id);
                self.lines.remove(&line);
                let ending = SocketEnding::Lost(NetworkFailure::Reset);
                self.hand_over(Outgoing::OverLine(line, Input::SocketClosed { id, ending }));
            }
            Upgrade::Refuse(refusal) => {
                self.hand_over(Outgoing::Answer(Input::SocketRefused { id, refusal }));
            }
            Upgrade::Never => {}
        }
    }

    pub(crate) fn abort(&mut self, line: LineId) {
        self.lines.remove(&line);
    }

    pub(crate) fn take_text(&mut self, id: SocketId, text: &ByteString) {
        if self.lines.get(&LineId::Socket(id)) != Some(&Line::Up) {
            return;
        }
        for frame in split(text) {
            self.received.push(Received {
                frame: frame.clone(),
            });
            let Ok(frame) = Frame::classify(frame) else {
                continue;
            };
            match frame.kind() {
                FrameKind::ControlResponse { request_id } => {
                    self.open_prompts.remove(request_id.as_str());
                    // It is passed on again, but stands in the log once.
                    let is_stored = frame.uuid().is_some_and(|uuid| self.log.knows(uuid));
                    let text = if is_stored {
                        frame.text().clone()
                    } else {
                        self.store(frame.as_str())
                    };
                    if self.echoes_answers {
                        self.broadcast(&text);
                    }
                }
                FrameKind::ControlRequest { request_id, .. } if self.answers_requests => {
                    let request_id = request_id.as_str().to_owned();
                    self.respond(&request_id, &json!({}));
                }
                FrameKind::ControlRequest { .. }
                | FrameKind::ControlCancelRequest { .. }
                | FrameKind::KeepAlive
                | FrameKind::Auth
                | FrameKind::UnknownControl { .. }
                | FrameKind::Message { .. } => {}
            }
        }
    }

    pub(crate) fn take_ping(&mut self, id: SocketId, payload: u64) {
        if self.answers_pings && self.lines.get(&LineId::Socket(id)) == Some(&Line::Up) {
            let payload = Some(payload);
            let input = Input::SocketPong { id, payload };
            self.hand_over(Outgoing::OverLine(LineId::Socket(id), input));
        }
    }

    pub(crate) fn take_close(&mut self, id: SocketId, code: u16) {
        if self.answers_close && self.lines.get(&LineId::Socket(id)) == Some(&Line::Up) {
            let line = LineId::Socket(id);
            self.lines.remove(&line);
            let ending = SocketEnding::CloseFrame {
                code,
                reason: "".into(),
            };
            self.hand_over(Outgoing::OverLine(line, Input::SocketClosed { id, ending }));
        }
    }

    pub(crate) fn take_http(&mut self, id: HttpRequestId, request: &HttpRequest) {
        let route = Route::of(request, &self.session);
        let plan = match route {
            Route::Post | Route::PostPayloads => self.posts.take(),
            Route::List { .. } | Route::LastEvent => self.lists.take(),
            Route::Unknown => HttpPlan::Status(404, None),
        };
        let respond = |response| Input::HttpAnswered { id, response };
        let input = match plan {
            HttpPlan::Serve if self.refuses(&request.bearer) => {
                respond(answer(401, None, String::new()))
            }
            HttpPlan::Serve => respond(self.serve(&route, request)),
            HttpPlan::LoseAnswer => {
                self.serve(&route, request);
                Input::HttpFailed {
                    id,
                    failure: NetworkFailure::Ended,
                }
            }
            HttpPlan::Fail(failure) => Input::HttpFailed { id, failure },
            HttpPlan::Status(status, retry_after) => {
                respond(answer(status, retry_after, String::new()))
            }
            HttpPlan::Garbage(body) => respond(answer(200, None, body.to_owned())),
            HttpPlan::Never => return,
        };
        self.outgoing
            .push((Outgoing::Answer(input), self.http_delay));
    }

    pub(super) fn refuses(&self, bearer: &Token) -> bool {
        self.accepted_token
            .as_ref()
            .is_some_and(|accepted| accepted != bearer)
    }

    fn accept(&mut self, id: SocketId) {
        self.lines.insert(LineId::Socket(id), Line::Up);
        self.hand_over(Outgoing::Answer(Input::SocketOpened { id }));
    }

    fn serve(&mut self, route: &Route, request: &HttpRequest) -> HttpResponse {
        match route {
            Route::Post => self.serve_post(request),
            Route::PostPayloads => self.serve_payloads(request),
            Route::LastEvent => self.last_event(),
            Route::List { after, limit } => self
                .log
                .page(after.as_deref(), *limit)
                .unwrap_or_else(|| answer(self.unknown_position, None, String::new())),
            Route::Unknown => answer(404, None, String::new()),
        }
    }

    fn serve_post(&mut self, request: &HttpRequest) -> HttpResponse {
        let body = request.body.clone().unwrap_or_default();
        let Ok(Value::Object(body)) = serde_json::from_slice(&body) else {
            return answer(400, None, String::new());
        };
        for event in body
            .get("events")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let uuid = event["uuid"].as_str().unwrap_or_default().to_owned();
            self.posted.push(uuid.clone());
            if self.log.knows(&uuid) {
                continue;
            }
            let text = self.store(&event.to_string());
            for _ in 0..self.echoes {
                self.broadcast(&text);
            }
        }
        answer(200, None, "{}".to_owned())
    }
}
