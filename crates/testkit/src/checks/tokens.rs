//! A token that was refused is not shown again to who refused it.

use std::collections::BTreeMap;

use attache_protocol::{
    Bytes,
    io::{Effect, HttpRequestId, Input, Refusal, SocketEnding, Token},
    time::Timestamp,
};

use crate::server::LineId;

/// The close code of a refused credential.
const UNAUTHORIZED: u16 = 4003;

/// Which tokens went where, and which of them were refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    lines: BTreeMap<LineId, Token>,
    calls: BTreeMap<HttpRequestId, (Option<Bytes>, Token)>,
    opened: Option<Timestamp>,
    refused: Option<Token>,
    /// What was refused with which token.
    refused_calls: Vec<(Bytes, Token)>,
}

impl Tokens {
    pub(super) fn input(&mut self, now: Timestamp, input: &Input, stable: std::time::Duration) {
        match input {
            Input::SocketOpened { .. } | Input::StreamOpened { .. } => self.opened = Some(now),
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
                if let Some((Some(body), token)) = self.calls.remove(id)
                    && matches!(response.status, 401 | 403)
                {
                    self.refused_calls.push((body, token));
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
        match effect {
            Effect::OpenSocket { id, request } => match &request.bearer {
                Some(token) => self.line(LineId::Socket(*id), token),
                None => Ok(()),
            },
            Effect::OpenStream { id, request } => self.line(LineId::Stream(*id), &request.bearer),
            Effect::SendHttp { id, request } => {
                let token = request.bearer.clone();
                if let Some(body) = &request.body {
                    let again =
                        |(refused, with): &(Bytes, Token)| refused == body && *with == token;
                    if self.refused_calls.iter().any(again) {
                        return Err(format!(
                            "{id:?} goes out with the very token that was refused for it"
                        ));
                    }
                }
                self.calls.insert(*id, (request.body.clone(), token));
                Ok(())
            }
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
            Effect::FetchToken { .. }
            | Effect::SendText { .. }
            | Effect::SendPing { .. }
            | Effect::CloseSocket { .. } => Ok(()),
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
        let token = self.lines.remove(&line);
        // After a stable link, what was refused before it may be tried again.
        let opened = self.opened.take();
        if opened.is_some_and(|opened| now.saturating_since(opened) >= stable) {
            self.refused = None;
        }
        if denied {
            self.refused = token.or_else(|| self.refused.take());
        }
    }
}

fn is_denial(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Http { status, .. } => matches!(status, 401 | 403),
        Refusal::Network(_) => false,
    }
}
