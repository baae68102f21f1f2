//! A worker's calls as a server reads them.

use std::borrow::Cow;

use attache_protocol::{
    ByteString,
    io::{HttpRequest, Method, Server},
    worker::Delivery,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Where workers find the server once they have credentials.
pub(super) const BASE: &str = "https://work.example";

/// What a call is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Register,
    Bridge,
    Read,
    Report,
    Upload,
    Delivery,
    Heartbeat,
    Archive,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Register,
        Self::Bridge,
        Self::Read,
        Self::Report,
        Self::Upload,
        Self::Delivery,
        Self::Heartbeat,
        Self::Archive,
    ];

    /// Whether it is made with a worker's credentials, and not with a person's token.
    pub(super) fn is_workers(self) -> bool {
        match self {
            Self::Register | Self::Bridge | Self::Archive => false,
            Self::Read | Self::Report | Self::Upload | Self::Delivery | Self::Heartbeat => true,
        }
    }
}

/// A call, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) kind: Kind,
    pub(super) bearer: String,
    /// The session it is about, in either spelling.
    pub(super) session: String,
    pub(super) epoch: Option<u64>,
    pub(super) body: Body,
}

/// What a call brings along.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Nothing,
    /// The status, and its details as they came.
    State(String, Option<String>),
    Frames(Vec<Payload>),
    News(Vec<(String, Delivery)>),
}

/// A frame of an upload.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) text: ByteString,
    pub(super) uuid: Option<String>,
    /// The number that the agent gave it.
    pub(super) number: Option<usize>,
    /// The request it answers.
    pub(super) answers: Option<String>,
    pub(super) is_ephemeral: bool,
}

impl Order {
    /// Takes a call apart; a call that no server would understand is a broken promise.
    pub(super) fn read(request: &HttpRequest) -> Result<Self, String> {
        let path = request.path.as_str();
        let unknown = || format!("no server has {:?} {path}", request.method);
        let (kind, session) = match (request.method, path.split('/').skip(1).collect::<Vec<_>>()) {
            (Method::Post, parts) => match parts.as_slice() {
                ["v1", "code", "sessions"] => (Kind::Register, ""),
                ["v1", "code", "sessions", session, "bridge"] => (Kind::Bridge, *session),
                ["v1", "sessions", session, "archive"] => (Kind::Archive, *session),
                ["v1", "code", "sessions", session, "worker", rest @ ..] => match rest {
                    ["events"] => (Kind::Upload, *session),
                    ["events", "delivery"] => (Kind::Delivery, *session),
                    ["heartbeat"] => (Kind::Heartbeat, *session),
                    _ => return Err(unknown()),
                },
                _ => return Err(unknown()),
            },
            (method @ (Method::Get | Method::Put), parts) => match parts.as_slice() {
                ["v1", "code", "sessions", session, "worker"] if method == Method::Get => {
                    (Kind::Read, *session)
                }
                ["v1", "code", "sessions", session, "worker"] => (Kind::Report, *session),
                _ => return Err(unknown()),
            },
            (Method::Patch | Method::Delete, _) => return Err(unknown()),
        };
        let server = if kind.is_workers() {
            Server::At(BASE.into())
        } else {
            Server::Configured
        };
        if request.server != server {
            return Err(format!("{kind:?} goes to {:?}", request.server));
        }
        let (epoch, body) = read_body(kind, request.body.as_deref().unwrap_or_default())?;
        Ok(Self {
            kind,
            bearer: request.bearer.expose().to_owned(),
            session: session.to_owned(),
            epoch,
            body,
        })
    }
}

fn read_body(kind: Kind, body: &[u8]) -> Result<(Option<u64>, Body), String> {
    #[derive(Deserialize)]
    struct Epoch {
        worker_epoch: u64,
    }
    #[derive(Deserialize)]
    struct State {
        worker_epoch: u64,
        worker_status: String,
        requires_action_details: Option<Box<RawValue>>,
    }
    #[derive(Deserialize)]
    struct Upload {
        worker_epoch: u64,
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        payload: Box<RawValue>,
        #[serde(default)]
        ephemeral: bool,
    }
    #[derive(Deserialize)]
    struct News {
        worker_epoch: u64,
        updates: Vec<Update>,
    }
    #[derive(Deserialize)]
    struct Update {
        event_id: String,
        status: String,
    }
    Ok(match kind {
        Kind::Register | Kind::Bridge | Kind::Archive | Kind::Read => (None, Body::Nothing),
        Kind::Heartbeat => (
            Some(parsed::<Epoch>(kind, body)?.worker_epoch),
            Body::Nothing,
        ),
        Kind::Report => {
            let state: State = parsed(kind, body)?;
            let details = state
                .requires_action_details
                .map(|raw| raw.get().to_owned());
            (
                Some(state.worker_epoch),
                Body::State(state.worker_status, details),
            )
        }
        Kind::Upload => {
            let upload: Upload = parsed(kind, body)?;
            let frames: Result<Vec<_>, String> = upload
                .events
                .iter()
                .map(|event| read_payload(event.payload.get(), event.ephemeral))
                .collect();
            (Some(upload.worker_epoch), Body::Frames(frames?))
        }
        Kind::Delivery => {
            let news: News = parsed(kind, body)?;
            let updates: Result<Vec<_>, String> = news
                .updates
                .into_iter()
                .map(|update| Ok((update.event_id, read_delivery(&update.status)?)))
                .collect();
            (Some(news.worker_epoch), Body::News(updates?))
        }
    })
}

fn read_payload(text: &str, is_ephemeral: bool) -> Result<Payload, String> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        uuid: Option<Cow<'a, str>>,
        n: Option<usize>,
        #[serde(borrow)]
        response: Option<Response<'a>>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        request_id: Cow<'a, str>,
    }
    let fields: Fields<'_> = serde_json::from_str(text)
        .map_err(|error| format!("an uploaded frame can't be read: {error}"))?;
    Ok(Payload {
        text: text.into(),
        uuid: fields.uuid.map(Cow::into_owned),
        number: fields.n,
        answers: fields
            .response
            .map(|response| response.request_id.into_owned()),
        is_ephemeral,
    })
}

fn read_delivery(status: &str) -> Result<Delivery, String> {
    match status {
        "received" => Ok(Delivery::Received),
        "processing" => Ok(Delivery::Processing),
        "processed" => Ok(Delivery::Processed),
        other => Err(format!("no server knows the delivery status {other}")),
    }
}

fn parsed<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body of {kind:?}: {error}"))
}
