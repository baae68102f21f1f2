//! `share`: letting somebody else into a session.

use std::{
    io::{self, Write},
    time::Duration,
};

use attache_protocol::io::{HttpRequest, Method, Token};
use attache_relay::Role;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api::Api,
    arguments::{Share, ShareCommand, Shared},
    exit::{Exit, Failure},
    link::Link,
    render::one_line,
    token::Tokens,
};

/// The longest piece of an answer that is shown.
const BRIEF: usize = 120;

pub(crate) async fn run(options: Share) -> Result<(), Failure> {
    match options {
        Share {
            command: Some(ShareCommand::List(shared)),
            ..
        } => list(shared).await,
        Share {
            command: Some(ShareCommand::Revoke { shared, share_id }),
            ..
        } => revoke(shared, &share_id).await,
        Share {
            command: None,
            session: Some(session),
            role: Some(role),
            ttl: Some(ttl),
            name,
            patience,
            connection,
        } => {
            let shared = Shared {
                session,
                patience,
                connection,
            };
            make(shared, role, ttl, name.as_deref()).await
        }
        Share { command: None, .. } => Err(Failure::usage(
            "name the session, --role and --ttl; see `attache share --help`",
        )),
    }
}

async fn make(
    shared: Shared,
    role: Role,
    ttl: Duration,
    name: Option<&str>,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct New<'a> {
        role: &'a str,
        ttl_seconds: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
    }
    #[derive(Deserialize)]
    struct Made {
        id: String,
        role: String,
        expires_at: String,
        token: String,
    }
    let (api, path, what) = prepared(&shared)?;
    let new = New {
        role: role.as_str(),
        ttl_seconds: ttl.as_secs(),
        name,
    };
    let body = serde_json::to_vec(&new).unwrap_or_default();
    let request = HttpRequest {
        method: Method::Post,
        body: Some(body.into()),
        ..api.request(path)?
    };
    let made = api.call(request, &what).await?;
    let made: Made = read(&made, &what)?;
    let server = shared.connection.server;
    let link = Link {
        base_url: server.base_url.unwrap_or_default(),
        session: shared.session,
        token: Token::new(made.token),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{link}")?;
    out.flush()?;
    let shown = |text: &str| one_line(text, BRIEF);
    let _ = writeln!(
        anstream::stderr(),
        "{} lets whoever has this link {} until {}; `attache attach LINK` follows it",
        shown(&made.id),
        shown(&made.role),
        shown(&made.expires_at),
    );
    Ok(())
}

async fn list(options: Shared) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: String,
        role: String,
        name: String,
        expires_at: String,
    }
    let (api, path, what) = prepared(&options)?;
    let list: List = read(&api.get(path, &what).await?, &what)?;
    let mut out = io::stdout().lock();
    for row in list.data {
        writeln!(
            out,
            "{}  {:<7}  {}  {}",
            one_line(&row.id, BRIEF),
            one_line(&row.role, BRIEF),
            one_line(&row.expires_at, BRIEF),
            one_line(&row.name, BRIEF),
        )?;
    }
    Ok(out.flush()?)
}

async fn revoke(options: Shared, share_id: &str) -> Result<(), Failure> {
    let (api, mut path, what) = prepared(&options)?;
    path.push('/');
    path.extend(url::form_urlencoded::byte_serialize(share_id.as_bytes()));
    let request = HttpRequest {
        method: Method::Delete,
        ..api.request(path)?
    };
    api.call(request, &what).await.map(drop)
}

/// What every call needs: a way to the server, the path of the shares, and a name for them.
fn prepared(options: &Shared) -> Result<(Api, String, String), Failure> {
    let tokens = Tokens::choose(&options.connection.server)?;
    let api = Api::new(&options.connection, tokens, options.patience)?;
    let path = format!("/v1/sessions/{}/shares", options.session.v1());
    Ok((
        api,
        path,
        format!("the shares of session {}", options.session),
    ))
}

fn read<T: DeserializeOwned>(answer: &[u8], what: &str) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|_| {
        Failure::new(
            Exit::Failure,
            format!("{what}: the server's answer can't be read; check --base-url"),
        )
    })
}
