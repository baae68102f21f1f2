//! HTTP calls that are about sessions, not in one.

use std::{collections::VecDeque, time::Duration};

use attache_protocol::io::{Header, HttpRequest, Method, Server};
use attache_tokio::Http;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::{
    arguments::{Connection, Patience},
    exit::{Exit, Failure},
    render::one_line,
    token::Tokens,
};

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 << 20;
/// Items asked for at once.
const PAGE: usize = 100;

/// Makes calls until the command's time is up.
pub(crate) struct Api {
    http: Http,
    tokens: Tokens,
    organization: Option<String>,
    patience: Duration,
    deadline: Instant,
}

/// The answer of every list.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
    #[serde(default)]
    first_kept: Option<u64>,
}

impl Api {
    pub(crate) fn new(
        connection: &Connection,
        tokens: Tokens,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let patience = patience.timeout.min(Duration::from_secs(1 << 30));
        Ok(Self {
            http: Http::new(&connection.server.options()?)?,
            tokens,
            organization: connection.org.as_ref().map(|org| org.as_str().to_owned()),
            patience,
            deadline: Instant::now() + patience,
        })
    }

    /// Gives what follows as much time as there was at first.
    pub(crate) fn start_over(&mut self) {
        self.deadline = Instant::now() + self.patience;
    }

    /// When the command's time is up.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// Goes through the list at `path`, page by page. `what` names it for people.
    pub(crate) fn list<'a>(&'a self, path: &'a str, what: &'a str) -> Pages<'a> {
        Pages {
            api: self,
            path,
            what,
            items: VecDeque::new(),
            first_kept: None,
            next: Next::First,
        }
    }

    /// Whether `what`, which stands at `path`, is there for us.
    ///
    /// # Errors
    /// When the server says that it is not, or that we may not. Any other trouble is left to whoever
    /// connects next.
    pub(crate) async fn check(&self, path: String, what: &str) -> Result<(), Failure> {
        match self.get(path, what).await {
            Err(
                failure @ Failure::Told {
                    exit: Exit::Unauthorized | Exit::SessionNotFound | Exit::TimedOut,
                    ..
                },
            ) => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Fetches `path`.
    ///
    /// # Errors
    /// Whatever is no 200, as exit code and one line about `what`.
    pub(crate) async fn get(&self, path: String, what: &str) -> Result<Vec<u8>, Failure> {
        self.call(self.request(path)?, what).await
    }

    /// Makes a call.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn call(&self, request: HttpRequest, what: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.http.call(request);
        let answer = timeout_at(self.deadline, answer)
            .await
            .map_err(|_| Failure::timed_out(what))?;
        let answer = answer.map_err(|failure| {
            Failure::new(
                Exit::ConnectionLost,
                format!("{what}: {failure}; check the network and --base-url"),
            )
        })?;
        match answer.status {
            200..=299 => Ok(answer.body.to_vec()),
            status => Err(refused(status, &answer.body, what)),
        }
    }

    /// The call that fetches `path`, with the token as it is now.
    ///
    /// # Errors
    /// When there is no token.
    pub(crate) fn request(&self, path: String) -> Result<HttpRequest, Failure> {
        let bearer = self.tokens.read().map_err(|error| {
            Failure::new(
                Exit::Unauthorized,
                format!("the token can't be read: {error}; check --token-file"),
            )
        })?;
        let header = |name, value: &str| Header {
            name,
            value: value.to_owned(),
        };
        let mut headers = vec![
            header("anthropic-version", "2023-06-01"),
            header("anthropic-beta", "ccr-byoc-2025-07-29"),
        ];
        if let Some(organization) = &self.organization {
            headers.push(header("x-organization-uuid", organization));
        }
        Ok(HttpRequest {
            method: Method::Get,
            server: Server::Configured,
            path,
            bearer,
            headers,
            body: None,
            response_limit: ANSWER_LIMIT,
        })
    }
}

/// One list, fetched as it is read.
pub(crate) struct Pages<'a> {
    api: &'a Api,
    path: &'a str,
    what: &'a str,
    items: VecDeque<Box<RawValue>>,
    first_kept: Option<u64>,
    next: Next,
}

enum Next {
    First,
    After(String),
    Nothing,
}

impl Pages<'_> {
    /// The number of the first item that the server still has, as far as it has said that earlier ones
    /// are gone.
    pub(crate) fn first_kept(&self) -> Option<u64> {
        self.first_kept
    }

    /// The next item.
    pub(crate) async fn next(&mut self) -> Result<Option<Box<RawValue>>, Failure> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            let after = match &self.next {
                Next::First => None,
                Next::After(id) => Some(id.clone()),
                Next::Nothing => return Ok(None),
            };
            let mut path = format!("{}?limit={PAGE}", self.path);
            if let Some(id) = &after {
                path.push_str("&after_id=");
                path.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
            }
            let body = self.api.get(path, self.what).await?;
            let page: Page = serde_json::from_slice(&body).map_err(|_| {
                let what = self.what;
                Failure::new(
                    Exit::Failure,
                    format!("{what}: the server's answer is no list; check --base-url"),
                )
            })?;
            // A server that hands out the same position again would never end.
            self.next = match page.last_id {
                Some(id) if page.has_more && after.as_deref() != Some(&*id) => Next::After(id),
                _ => Next::Nothing,
            };
            self.first_kept = self.first_kept.or(page.first_kept);
            self.items.extend(page.data);
        }
    }
}

fn refused(status: u16, body: &[u8], what: &str) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let said = serde_json::from_slice::<Body>(body)
        .map(|body| format!(" ({})", one_line(&body.error.message, 200)))
        .unwrap_or_default();
    let (exit, next) = match status {
        401 | 403 => (Exit::Unauthorized, "check ATTACHE_TOKEN or --token-file"),
        404 => (
            Exit::SessionNotFound,
            "see the sessions there are with `attache ls`",
        ),
        429 | 500..=599 => (Exit::Failure, "try again later"),
        _ => (Exit::Failure, "check --base-url and --org"),
    };
    Failure::new(
        exit,
        format!("{what}: the server answered {status}{said}; {next}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_server_said_without_escapes() {
        let body = br#"{"type":"error","error":{"type":"not_found_error","message":"no \u001b[31msession"}}"#;
        let failure = refused(404, body, "session x");
        assert_eq!(
            failure,
            Failure::new(
                Exit::SessionNotFound,
                "session x: the server answered 404 (no session); see the sessions there are with `attache ls`"
            )
        );
        let Failure::Told { exit, .. } = refused(401, b"nonsense", "x") else {
            panic!("told");
        };
        assert_eq!(exit, Exit::Unauthorized);
    }
}
