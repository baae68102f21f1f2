//! A relay with a token file, and all sorts of people who come to it.

use core::time::Duration;
use std::time::SystemTime;

use attache_protocol::SessionId;
use attache_relay::{
    Credentials, RateLimit, Relay, RelayOptions, Role, Store as _, TokenFile, TokenRegistry,
    store::{Share, ShareId, TokenHash},
};
use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    workers::{read, send},
    world::{World, soon, text},
};

/// A relay and the tokens of its file.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) file: TokenFile,
    people: Vec<(Role, String)>,
    expired: String,
    revoked: String,
    _folder: tempfile::TempDir,
}

/// Somebody with, or without, a token.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Nobody,
    Garbled,
    Expired,
    Revoked,
    Person(Role),
    Guest(Role),
    ExpiredGuest,
    RevokedGuest,
    GuestElsewhere(Role),
    Worker,
    WorkerElsewhere,
    ExpiredWorker,
}

impl Who {
    /// Everybody there is.
    pub(crate) fn all() -> Vec<Self> {
        let guests = [Role::View, Role::Approve, Role::Drive];
        let mut all = vec![
            Self::Nobody,
            Self::Garbled,
            Self::Expired,
            Self::Revoked,
            Self::ExpiredGuest,
            Self::RevokedGuest,
            Self::Worker,
            Self::WorkerElsewhere,
            Self::ExpiredWorker,
        ];
        all.extend(Role::ALL.map(Self::Person));
        all.extend(guests.map(Self::Guest));
        all.extend(guests.map(Self::GuestElsewhere));
        all
    }
}

/// A token, and for a worker its epoch.
pub(crate) struct Held {
    pub(crate) token: Option<String>,
    pub(crate) epoch: u64,
}

impl Place {
    pub(crate) async fn open() -> Self {
        Self::with(RelayOptions::default()).await
    }

    pub(crate) async fn with(mut options: RelayOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::at(folder.path().join("tokens"));
        let add = |name: &str, role, lifetime| {
            let token = file.add(name, role, lifetime).unwrap();
            token.expose().to_owned()
        };
        let people = Role::ALL.map(|role| (role, add(role.as_str(), role, None)));
        let expired = add("expired", Role::Own, Some(Duration::ZERO));
        let revoked = add("revoked", Role::Own, None);
        file.revoke("revoked").unwrap();
        let registry = TokenRegistry::open(file.path()).unwrap();
        options.credentials = Credentials::Registry(registry);
        options.auth_timeout = Duration::from_millis(100);
        options.bad_credentials = RateLimit {
            per_second: 0,
            burst: 0,
        };
        Self {
            world: World::with(options).await,
            file,
            people: people.to_vec(),
            expired,
            revoked,
            _folder: folder,
        }
    }

    /// The token of the person with this role.
    pub(crate) fn person(&self, role: Role) -> &str {
        let found = self.people.iter().find(|(one, _)| *one == role);
        &found.unwrap().1
    }

    /// A request with a token; the answer's status and body.
    pub(crate) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let url = format!("http://{}{path}", self.world.address);
        let (status, body) = read(send(method, &url, token, body, &[]).await).await;
        (status.as_u16(), body)
    }

    /// A share of a session, as its owner makes it.
    pub(crate) async fn share(&self, session: &SessionId, role: Role, seconds: u64) -> Value {
        let path = format!("/v1/sessions/{}/shares", session.v1());
        let body = format!(r#"{{"role":"{role}","ttl_seconds":{seconds},"name":"eve"}}"#);
        let (status, share) = self.ask(self.person(Role::Own), "POST", &path, &body).await;
        assert_eq!(status, 200, "{share}");
        share
    }

    pub(crate) async fn revoke_share(&self, session: &SessionId, share: &Value) {
        let id = share["id"].as_str().unwrap();
        let path = format!("/v1/sessions/{}/shares/{id}", session.v1());
        let (status, body) = self.ask(self.person(Role::Own), "DELETE", &path, "").await;
        assert_eq!(status, 200, "{body}");
    }

    /// The token that `who` comes to `session` with.
    pub(crate) async fn token(&self, who: Who, session: &SessionId) -> Held {
        let other = self.world.relay.create_session("another").await.unwrap();
        let token = match who {
            Who::Nobody => None,
            Who::Garbled => Some(self.person(Role::Own).replace("attache_", "attache_x")),
            Who::Expired => Some(self.expired.clone()),
            Who::Revoked => Some(self.revoked.clone()),
            Who::Person(role) => Some(self.person(role).to_owned()),
            Who::Guest(role) => Some(guest(&self.share(session, role, 60).await)),
            Who::GuestElsewhere(role) => Some(guest(&self.share(&other, role, 60).await)),
            Who::ExpiredGuest => Some(self.expired_guest(session).await),
            Who::RevokedGuest => {
                let share = self.share(session, Role::Drive, 60).await;
                self.revoke_share(session, &share).await;
                Some(guest(&share))
            }
            Who::Worker => return self.worker(&self.world.relay, session).await,
            Who::WorkerElsewhere => return self.worker(&self.world.relay, &other).await,
            Who::ExpiredWorker => {
                let mut options = RelayOptions::default();
                options.worker_token_ttl = Duration::ZERO;
                let relay = Relay::new(self.world.store.clone(), options);
                return self.worker(&relay, session).await;
            }
        };
        Held { token, epoch: 0 }
    }

    async fn worker(&self, relay: &Relay, session: &SessionId) -> Held {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/code/sessions/{}/bridge", session.v2()))
            .header("host", "localhost")
            .header(
                "authorization",
                format!("Bearer {}", self.person(Role::Own)),
            )
            .body(Body::from("{}"));
        let answer = soon(relay.router().oneshot(request.unwrap()))
            .await
            .unwrap();
        let (status, body) = text(answer).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        Held {
            token: Some(body["worker_jwt"].as_str().unwrap().to_owned()),
            epoch: body["worker_epoch"].as_u64().unwrap(),
        }
    }

    async fn expired_guest(&self, session: &SessionId) -> String {
        let token = format!("attache_share_{}", "x".repeat(43));
        let before = SystemTime::now() - Duration::from_secs(60);
        let share = Share {
            id: ShareId(format!("share_of_{session}")),
            session: session.clone(),
            role: Role::Drive,
            name: "late".to_owned(),
            token: TokenHash::of(&token),
            created_at: before,
            expires_at: before + Duration::from_secs(1),
        };
        self.world.store.add_share(&share).await.unwrap();
        token
    }
}

/// The token of a share that was just made.
pub(crate) fn guest(share: &Value) -> String {
    share["token"].as_str().unwrap().to_owned()
}
