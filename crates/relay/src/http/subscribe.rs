//! Letting a viewer in.

use core::time::Duration;
use std::sync::Arc;

use attache_protocol::{
    ByteString, SessionId,
    frame::{Frame, FrameKind, split},
};
use axum::{extract::State, http::request::Parts, response::Response};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Connection,
    access::{Named, Refused, identified, request_within},
    error::ApiError,
    socket,
    subscription::Subscription,
    websocket::{Upgrade, WebSocket},
};
use crate::{Identity, Relay, RelayError, outgoing::Ending};

pub(super) async fn subscribe(
    session: Result<Named, ApiError>,
    State(relay): State<Relay>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let upgrade = Upgrade::asked_for(&parts)?;
    let admission = match identified(&parts, &relay).await {
        Ok(who) => Admission::Allowed(who),
        Err(Refused::NoToken) => Admission::Unknown,
        Err(
            Refused::Token
            | Refused::Expired
            | Refused::Worker
            | Refused::Role { .. }
            | Refused::ForOneSession(_),
        ) => Admission::Refused,
        Err(refused @ (Refused::TooOften(_) | Refused::Failed(_))) => return Err(refused.into()),
    };
    if let Admission::Allowed(who) = &admission {
        request_within(who, &relay)?;
    }
    let connection = parts.extensions.get::<Connection>();
    let scope = connection.map_or_else(CancellationToken::new, |one| one.scope.clone());
    let place = connection.map(|one| one.place.clone());
    let id = session.ok().map(|Named(id)| id);
    // Whoever is let in by a header is subscribed before the answer: what is stored from then on reaches
    // them, whatever they ask for in the meantime.
    let entry = match admission {
        Admission::Allowed(who) => Entry::Decided(join(&relay, id.as_ref(), who).await),
        Admission::Refused => Entry::Decided(Err(Ending::Unauthorized)),
        Admission::Unknown => Entry::AwaitsAuth,
    };
    let options = relay.options().clone();
    Ok(upgrade.accept(&options, async move |socket| {
        let (tracker, killed) = (relay.tasks().clone(), relay.killed().clone());
        let span =
            tracing::debug_span!("viewer", session = id.as_ref().map(tracing::field::display));
        let served = serve(socket, relay, id, entry).instrument(span);
        // Dropping a socket is what a crash looks like from outside.
        tracker
            .track_future(killed.run_until_cancelled(scope.run_until_cancelled(served)))
            .await;
        drop(place);
    }))
}

/// What the upgrade's header says about the one who asks.
enum Admission {
    Allowed(Arc<Identity>),
    Refused,
    /// There was no header; the first frame has to tell.
    Unknown,
}

/// Whether a viewer is in.
enum Entry {
    Decided(Result<Subscription, Ending>),
    AwaitsAuth,
}

async fn serve(mut socket: Box<WebSocket>, relay: Relay, id: Option<SessionId>, entry: Entry) {
    let options = relay.options().clone();
    let entered = match entry {
        Entry::Decided(decided) => decided.map(|subscription| (subscription, Vec::new())),
        Entry::AwaitsAuth => {
            let authenticated = authenticate(&mut socket, &relay, options.auth_timeout);
            // Boxed, like the socket: a viewer that is let in should not carry this memory along.
            let authenticated = Box::pin(authenticated);
            match relay.closing().run_until_cancelled(authenticated).await {
                Some(Some((who, early))) => join(&relay, id.as_ref(), who)
                    .await
                    .map(|subscription| (subscription, early)),
                Some(None) => Err(Ending::Unauthorized),
                None => Err(Ending::Restarting),
            }
        }
    };
    match entered {
        Ok((subscription, early)) => {
            socket::run(socket, subscription, early, &relay).await;
        }
        Err(ending) => {
            tracing::debug!(code = ending.code(), "a viewer is turned away");
            relay.metrics().refused(ending.label());
            socket::close(socket, ending, options.close_timeout).await;
        }
    }
}

async fn join(
    relay: &Relay,
    id: Option<&SessionId>,
    who: Arc<Identity>,
) -> Result<Subscription, Ending> {
    // Whether another session exists is no business of a guest of one.
    if who.session.is_some() && !id.is_some_and(|id| who.covers(id)) {
        return Err(Ending::Unauthorized);
    }
    let Some(id) = id else {
        return Err(Ending::SessionNotFound);
    };
    let joined = async {
        let session = relay.session(id).await?;
        Subscription::of_socket(session, who, relay).await
    };
    joined.await.map_err(|error| match error {
        RelayError::SessionNotFound(_) => Ending::SessionNotFound,
        RelayError::Stopped => Ending::Restarting,
        error @ (RelayError::Archived
        | RelayError::Superseded
        | RelayError::LeaseLost
        | RelayError::Forbidden { .. }
        | RelayError::Refused(_)
        | RelayError::WorkerStateTooLarge(_)
        | RelayError::TooManyOpenRequests(_)
        | RelayError::AgentBehind(_)
        | RelayError::Store(_)
        | RelayError::NoRandomness) => {
            tracing::error!(session = %id, %error, "a viewer can't be let in");
            Ending::Failed
        }
    })
}

/// Waits for the `auth` frame. `None` when it does not come, or is not good enough; else whose it is,
/// and the frames that came in the same message behind it.
async fn authenticate(
    socket: &mut WebSocket,
    relay: &Relay,
    patience: Duration,
) -> Option<(Arc<Identity>, Vec<ByteString>)> {
    let first_message = async {
        loop {
            let message = match socket.next().await?.ok()? {
                Message::Text(text) => ByteString::try_from(axum::body::Bytes::from(text)).ok()?,
                Message::Binary(_) | Message::Close(_) | Message::Frame(_) => return None,
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            let mut frames = split(&message);
            while let Some(text) = frames.next() {
                let frame = Frame::classify(text).ok()?;
                match frame.kind() {
                    FrameKind::KeepAlive => {}
                    FrameKind::Auth => {
                        let token = token_of(frame.as_str())?;
                        let who = relay.identify(&token).await.ok()?;
                        return Some((who, frames.collect()));
                    }
                    FrameKind::ControlRequest { .. }
                    | FrameKind::ControlResponse { .. }
                    | FrameKind::ControlCancelRequest { .. }
                    | FrameKind::UnknownControl { .. }
                    | FrameKind::Message { .. } => return None,
                }
            }
        }
    };
    tokio::time::timeout(patience, first_message).await.ok()?
}

/// The token of an `auth` frame.
fn token_of(frame: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Auth {
        credential: Credential,
    }
    #[derive(Deserialize)]
    struct Credential {
        token: String,
    }
    let auth: Auth = serde_json::from_str(frame).ok()?;
    Some(auth.credential.token.trim().to_owned())
}
