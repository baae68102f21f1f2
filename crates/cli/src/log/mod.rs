//! `log`: what a session's server has stored, frame by frame.

mod follow;
mod printer;

use std::io;

use attache_protocol::SessionId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    api::Api,
    arguments::Log,
    exit::{Exit, Failure},
    token::Tokens,
};

use follow::Follower;
use printer::Printer;

/// Frames asked for at once.
const PAGE: usize = 500;

pub(crate) async fn run(options: Log) -> Result<(), Failure> {
    let Log {
        session,
        since,
        follow,
        patience,
        connection,
    } = options;
    let tokens = Tokens::choose(&connection.server)?;
    let api = Api::new(&connection, tokens, patience)?;
    let session = session.id()?;
    let mut printer = Printer::new(io::stdout().lock(), anstream::stderr(), since.unwrap_or(0));
    if follow {
        let profile = connection.profile();
        return Follower::new(api, profile, session, printer).run().await;
    }
    match since {
        Some(_) => rest(&api, session, &mut printer).await?,
        None => all(&api, session, &mut printer).await?,
    }
    Ok(printer.flush()?)
}

/// The whole log, from any server.
async fn all(
    api: &Api,
    session: &SessionId,
    printer: &mut Printer<impl io::Write, impl io::Write>,
) -> Result<(), Failure> {
    let path = format!("/v1/sessions/{}/events", session.v1());
    let what = name(session);
    let mut frames = api.list(&path, &what);
    let mut asked = false;
    loop {
        let frame = frames.next().await?;
        if let (false, Some(first)) = (asked, frames.first_kept()) {
            printer.starts_with(first)?;
        }
        asked = true;
        let Some(frame) = frame else { return Ok(()) };
        printer.next(frame.get())?;
    }
}

/// Everything behind what is printed already.
async fn rest(
    api: &Api,
    session: &SessionId,
    printer: &mut Printer<impl io::Write, impl io::Write>,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        data: Vec<Stored<'a>>,
        has_more: bool,
    }
    let what = name(session);
    loop {
        let before = printer.last();
        let path = format!(
            "/v1/code/sessions/{}/events?limit={PAGE}&sort_order=asc&cursor={before}",
            session.v2()
        );
        let body = match api.get(path, &what).await {
            Ok(body) => body,
            Err(failure) => return Err(not_there(api, session, failure).await),
        };
        let page: Page<'_> = serde_json::from_slice(&body).map_err(|_| {
            Failure::new(
                Exit::Failure,
                format!("{what}: the server's answer is no list; check --base-url"),
            )
        })?;
        for frame in &page.data {
            printer.stored(frame.sequence_num, frame.payload.get())?;
        }
        if !page.has_more || printer.last() == before {
            return Ok(());
        }
    }
}

/// A frame, and its place in the log.
#[derive(Deserialize)]
struct Stored<'a> {
    sequence_num: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn name(session: &SessionId) -> String {
    format!("the log of session {session}")
}

/// What `failure` means when a numbered log was asked for: a server that has the session may still not
/// number its log.
async fn not_there(api: &Api, session: &SessionId, failure: Failure) -> Failure {
    let missing = matches!(
        failure,
        Failure::Told {
            exit: Exit::SessionNotFound,
            ..
        }
    );
    let path = format!("/v1/sessions/{}", session.v1());
    if missing && api.get(path, "").await.is_ok() {
        return Failure::new(
            Exit::Failure,
            format!(
                "{}: this server does not number its log; leave out --since and --follow",
                name(session)
            ),
        );
    }
    failure
}
