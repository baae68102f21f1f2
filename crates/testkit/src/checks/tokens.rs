//! A token that was refused is not shown again to who refused it.

use std::collections::BTreeMap;

use attache_protocol::{
    Bytes,
    io::{Effect, HttpRequestId, Input, Refusal, SocketEnding, Token},
    time::Timestamp,
};
use serde_json::Value;

use crate::server::LineId;

/// The close code of a refused credential.
const UNAUTHORIZED: u16 = 4003;

/// Which tokens went where, and which of them were refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    lines: BTreeMap<LineId, Token>,
    calls: BTreeMap<HttpRequestId, Call>,
    opened: Option<Timestamp>,
    refused: Option<Token>,
    /// What was refused with which token.
    refused_calls: Vec<(Bytes, Token)>,
    /// The same of what only asks; a link that opens makes it good again.
    refused_questions: Vec<(String, Token)>,
}

/// A call under way.
#[derive(Clone, Debug)]
struct Call {
    path: String,
    body: Option<Bytes>,
    token: Token,
}

impl Tokens {
    pub(super) fn input(&mut self, now: Timestamp, input: &Input, stable: std::time::Duration) {
        match input {
            Input::SocketOpened { .. } | Input::StreamOpened { .. } => {
                self.opened = Some(now);
                self.refused_questions.clear();
            }
            Input::SocketRefused { id, refusal } => {
                self.line_over(now, LineId::Socket(*id), is_denial(refusal), stable);
            }
            Input::StreamClosed { id, ending } => {
                self.line_over(now, LineId::Stream(*id), is_denial(ending), stable);
            }
            Input::SocketClosed { id, ending } => {
                let denied = matches!(ending, SocketEnding::CloseFrame { code, .. } if *code == UNAUTHORIZED);
                self.line_over(now, LineId::Socket(*id), denied, stable);
            }
            Input::HttpAnswered { id, response } => {
                if let Some(call) = self.calls.remove(id)
                    && matches!(response.status, 401 | 403)
                {
                    match call.body {
                        Some(body) => self.refused_calls.push((body, call.token)),
                        None => self.refused_questions.push((call.path, call.token)),
                    }
                }
            }
            Input::HttpFailed { id, .. } => {
                self.calls.remove(id);
            }
            Input::TokenFetched { .. }
            | Input::TokenRefused { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::StreamBytes { .. }
            | Input::Woke => {}
        }
    }

    pub(super) fn effect(
        &mut self,
        now: Timestamp,
        effect: &Effect,
        stable: std::time::Duration,
    ) -> Result<(), String> {
        self.forgive(now, stable);
        match effect {
            Effect::OpenSocket { id, request } => match &request.bearer {
                Some(token) => self.line(LineId::Socket(*id), token),
                None => Ok(()),
            },
            Effect::OpenStream { id, request } => self.line(LineId::Stream(*id), &request.bearer),
            Effect::SendHttp { id, request } => {
                let token = &request.bearer;
                let is_refused = if let Some(body) = &request.body {
                    let again = |(refused, with): &(Bytes, Token)| refused == body && with == token;
                    self.refused_calls.iter().any(again)
                } else {
                    let again = |(refused, with): &(String, Token)| {
                        *refused == request.path && with == token
                    };
                    self.refused_questions.iter().any(again)
                };
                if is_refused {
                    return Err(format!(
                        "{id:?} goes out with the very token that was refused for it"
                    ));
                }
                if self.refused.as_ref() == Some(token) {
                    return Err(format!(
                        "{id:?} goes out with a token that was refused to a link"
                    ));
                }
                let call = Call {
                    path: request.path.clone(),
                    body: request.body.clone(),
                    token: token.clone(),
                };
                self.calls.insert(*id, call);
                Ok(())
            }
            Effect::SendText { id, text } => match token_in(text) {
                Some(token) => self.line(LineId::Socket(*id), &token),
                None => Ok(()),
            },
            Effect::AbortSocket { id } => {
                self.line_over(now, LineId::Socket(*id), false, stable);
                Ok(())
            }
            Effect::CloseStream { id } => {
                self.line_over(now, LineId::Stream(*id), false, stable);
                Ok(())
            }
            Effect::CancelHttp { id } => {
                self.calls.remove(id);
                Ok(())
            }
            Effect::FetchToken { .. } | Effect::SendPing { .. } | Effect::CloseSocket { .. } => {
                Ok(())
            }
        }
    }

    fn line(&mut self, line: LineId, token: &Token) -> Result<(), String> {
        if self.refused.as_ref() == Some(token) {
            return Err(format!(
                "{line:?} is asked for with a token that was refused"
            ));
        }
        self.lines.insert(line, token.clone());
        Ok(())
    }

    fn line_over(
        &mut self,
        now: Timestamp,
        line: LineId,
        denied: bool,
        stable: std::time::Duration,
    ) {
        self.forgive(now, stable);
        self.opened = None;
        let token = self.lines.remove(&line);
        if denied {
            self.refused = token.or_else(|| self.refused.take());
        }
    }

    /// Once a link has been up for so long, what was refused before it may be tried again.
    fn forgive(&mut self, now: Timestamp, stable: std::time::Duration) {
        let is_stable = |opened| now.saturating_since(opened) >= stable;
        if self.opened.is_some_and(is_stable) {
            self.refused = None;
        }
    }
}

fn is_denial(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Http { status, .. } => matches!(status, 401 | 403),
        Refusal::Network(_) => false,
    }
}

/// The token of an `auth` frame.
fn token_in(text: &str) -> Option<Token> {
    if !text.contains(r#""type":"auth""#) {
        return None;
    }
    let frame: Value = serde_json::from_str(text).ok()?;
    let token = frame.get("credential")?.get("token")?.as_str()?;
    Some(Token::new(token))
}
