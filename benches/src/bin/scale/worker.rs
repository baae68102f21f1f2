//! Whoever speaks for an agent, over HTTP.

use attache_protocol::{
    Bytes,
    io::{HttpRequest, Method, Server, Token},
};
use attache_tokio::{Http, Options};
use serde::Deserialize;

use crate::{Outcome, crowd::TOKEN};

const ANSWER_LIMIT: usize = 1 << 20;

pub(crate) struct Worker {
    http: Http,
    path: String,
    token: Token,
    epoch: u64,
    pub(crate) session: String,
}

impl Worker {
    /// Starts a session and speaks in it.
    pub(crate) async fn start(options: &Options) -> Outcome<Self> {
        #[derive(Deserialize)]
        struct Created {
            session: Session,
        }
        #[derive(Deserialize)]
        struct Session {
            id: String,
        }
        #[derive(Deserialize)]
        struct Registered {
            worker_jwt: String,
            worker_epoch: u64,
        }
        let http = Http::new(options)?;
        let person = Token::new(TOKEN);
        let created = post(&http, "/v1/code/sessions".into(), &person, "{}".into()).await?;
        let session = serde_json::from_slice::<Created>(&created)?.session.id;
        let bridge = format!("/v1/code/sessions/{session}/bridge");
        let registered = post(&http, bridge, &person, "{}".into()).await?;
        let registered: Registered = serde_json::from_slice(&registered)?;
        Ok(Self {
            http,
            path: format!("/v1/code/sessions/{session}/worker/events"),
            token: Token::new(registered.worker_jwt),
            epoch: registered.worker_epoch,
            session,
        })
    }

    /// Says `frames` in one request, and waits until they are stored.
    pub(crate) async fn say(&self, frames: &[String]) -> Outcome<()> {
        let mut body = format!(r#"{{"worker_epoch":{},"events":["#, self.epoch);
        for (place, frame) in frames.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            body.extend([comma, r#"{"payload":"#, frame, "}"]);
        }
        body.push_str("]}");
        post(&self.http, self.path.clone(), &self.token, body)
            .await
            .map(drop)
    }
}

/// What the relay counts, under its names.
pub(crate) async fn counters(options: &Options) -> Outcome<Vec<(String, f64)>> {
    let http = Http::new(options)?;
    let text = call(
        &http,
        Method::Get,
        "/metrics".into(),
        &Token::new(TOKEN),
        None,
    )
    .await?;
    let lines = core::str::from_utf8(&text)?.lines();
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    Ok(pairs
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect())
}

async fn post(http: &Http, path: String, bearer: &Token, body: String) -> Outcome<Bytes> {
    call(http, Method::Post, path, bearer, Some(body.into())).await
}

async fn call(
    http: &Http,
    method: Method,
    path: String,
    bearer: &Token,
    body: Option<Bytes>,
) -> Outcome<Bytes> {
    let answer = http
        .call(HttpRequest {
            method,
            server: Server::Configured,
            path: path.clone(),
            bearer: bearer.clone(),
            headers: Vec::new(),
            body,
            response_limit: ANSWER_LIMIT,
        })
        .await?;
    if answer.status != 200 {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(format!("{path} was answered with {}: {text}", answer.status).into());
    }
    Ok(answer.body)
}
