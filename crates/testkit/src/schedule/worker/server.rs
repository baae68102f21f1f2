//! The worker's side of a server: sessions, who owns them, what was said in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use attache_protocol::{ByteString, time::Timestamp, worker::Delivery};
use serde_json::Value;

use super::order::{BASE, Body, Kind, Order, Payload};

/// A server that does everything right.
#[derive(Clone, Debug)]
pub(in crate::schedule) struct Server {
    sessions: Vec<Session>,
    grants: BTreeMap<String, Grant>,
    minted: u64,
    revoked: BTreeSet<String>,
    /// How long credentials live.
    pub(super) lifetime: Duration,
    entries: Vec<Entry>,
    uuids: BTreeSet<String>,
    /// What the agent is at, as reported last, with its details.
    pub(super) state: Option<(String, Option<String>)>,
    /// How far the agent is with each event.
    pub(super) news: BTreeMap<String, Delivery>,
}

#[derive(Clone, Debug)]
struct Session {
    id: String,
    epoch: u64,
    is_archived: bool,
}

#[derive(Clone, Debug)]
struct Grant {
    session: String,
    epoch: u64,
    until: Timestamp,
}

/// A stored frame.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    OfViewer(ByteString),
    OfAgent,
}

/// What the server did with a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    pub(super) status: u16,
    pub(super) body: String,
    /// The frames it had not heard before.
    pub(super) heard: Vec<Payload>,
    pub(super) news: Vec<(String, Delivery)>,
}

impl Served {
    fn with(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }
}

impl Server {
    pub(in crate::schedule) fn new(lifetime: Duration) -> Self {
        Self {
            sessions: Vec::new(),
            grants: BTreeMap::new(),
            minted: 0,
            revoked: BTreeSet::new(),
            lifetime,
            entries: Vec::new(),
            uuids: BTreeSet::new(),
            state: None,
            news: BTreeMap::new(),
        }
    }

    /// Makes a session, and says its id.
    pub(in crate::schedule) fn create(&mut self) -> String {
        let id = format!("s{}", self.sessions.len() + 1);
        self.sessions.push(Session {
            id: id.clone(),
            epoch: 0,
            is_archived: false,
        });
        format!("cse_{id}")
    }

    /// Carries a call out.
    pub(super) fn serve(&mut self, order: &Order, now: Timestamp) -> Result<Served, String> {
        if order.kind.is_workers() {
            return self.serve_worker(order, now);
        }
        let is_grant = self.is_good_grant(&order.bearer, now);
        if self.revoked.contains(&order.bearer)
            || (!is_grant && !order.bearer.starts_with("person-"))
        {
            return Ok(Served::with(401, ""));
        }
        if order.kind == Kind::Register {
            let id = self.create();
            return Ok(Served::with(
                200,
                format!(r#"{{"session":{{"id":"{id}"}}}}"#),
            ));
        }
        let until = now.checked_add(self.lifetime).unwrap_or(now);
        let Some(session) = find(&mut self.sessions, &order.session) else {
            return Ok(Served::with(404, ""));
        };
        if order.kind == Kind::Archive {
            session.is_archived = true;
            return Ok(Served::with(200, "{}"));
        }
        if session.is_archived {
            return Ok(Served::with(409, ""));
        }
        session.epoch += 1;
        self.minted += 1;
        let (epoch, token) = (session.epoch, format!("jwt-{}", self.minted));
        let body = granted(&token, epoch, self.lifetime);
        let session = format!("cse_{}", session.id);
        let grant = Grant {
            session,
            epoch,
            until,
        };
        self.grants.insert(token, grant);
        Ok(Served::with(200, body))
    }

    /// The credentials that were given out last, with their epoch.
    pub(super) fn last_granted(&self) -> Option<(String, u64)> {
        let token = format!("jwt-{}", self.minted);
        let grant = self.grants.get(&token)?;
        Some((token, grant.epoch))
    }

    /// An answer to an older question for credentials, with an epoch before this one.
    pub(super) fn granted_before(&self, epoch: u64) -> Option<String> {
        let older = self.grants.iter().filter(|(_, grant)| grant.epoch < epoch);
        let (token, grant) = older.max_by_key(|(_, grant)| grant.epoch)?;
        Some(granted(token, grant.epoch, self.lifetime))
    }

    /// The status for whoever asks for a stream.
    pub(super) fn admits(&self, bearer: &str, now: Timestamp) -> u16 {
        let Some(grant) = self.grant(bearer, now) else {
            return 401;
        };
        let mut sessions = self.sessions.iter();
        match sessions.find(|session| names(session, &grant.session)) {
            Some(session) if !session.is_archived && session.epoch == grant.epoch => 200,
            Some(_) => 409,
            None => 404,
        }
    }

    fn serve_worker(&mut self, order: &Order, now: Timestamp) -> Result<Served, String> {
        let Some(grant) = self.grant(&order.bearer, now) else {
            return Ok(Served::with(401, ""));
        };
        if order.epoch.is_some_and(|epoch| epoch != grant.epoch) {
            return Err(format!(
                "{:?} names epoch {:?}, and its credentials are of {}",
                order.kind, order.epoch, grant.epoch
            ));
        }
        let Some(session) = find(&mut self.sessions, &order.session) else {
            return Ok(Served::with(404, ""));
        };
        if session.is_archived || session.epoch != grant.epoch {
            return Ok(Served::with(409, ""));
        }
        let mut served = Served::with(200, "{}");
        match &order.body {
            Body::Nothing => {}
            Body::State(status, details) => self.state = Some((status.clone(), details.clone())),
            Body::Frames(frames) => {
                for frame in frames {
                    if self.hears(frame)? {
                        served.heard.push(frame.clone());
                    }
                }
            }
            Body::News(news) => {
                for (event, delivery) in news {
                    let known = self.news.entry(event.clone()).or_insert(*delivery);
                    *known = (*known).max(*delivery);
                }
                served.news.clone_from(news);
            }
        }
        Ok(served)
    }

    /// Whether this frame is new here.
    fn hears(&mut self, frame: &Payload) -> Result<bool, String> {
        if frame.is_ephemeral {
            return Ok(true);
        }
        let Some(uuid) = &frame.uuid else {
            return Err("a stored frame has no uuid".to_owned());
        };
        let is_new = self.uuids.insert(uuid.clone());
        if is_new {
            self.entries.push(Entry::OfAgent);
        }
        Ok(is_new)
    }

    // What others do.

    /// A viewer says something; its number.
    pub(super) fn say(&mut self, frame: impl Into<ByteString>) -> u64 {
        self.entries.push(Entry::OfViewer(frame.into()));
        self.entries.len() as u64
    }

    /// What viewers said after number `after`, as a stream tells it.
    pub(super) fn said_after(&self, after: u64) -> Vec<(u64, String)> {
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        (1..)
            .zip(&self.entries)
            .skip(skipped)
            .filter_map(|(number, entry)| match entry {
                Entry::OfViewer(frame) => Some((number, client_event(number, frame))),
                Entry::OfAgent => None,
            })
            .collect()
    }

    /// Another worker takes the session over.
    pub(super) fn take_over(&mut self, session: &str) {
        if let Some(session) = find(&mut self.sessions, session) {
            session.epoch += 1;
        }
    }

    pub(super) fn archive(&mut self, session: &str) {
        if let Some(session) = find(&mut self.sessions, session) {
            session.is_archived = true;
        }
    }

    pub(super) fn is_archived(&self, session: &str) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|known| known.is_archived && names(known, session))
    }

    /// From now on this token is refused.
    pub(super) fn revoke(&mut self, token: &str) {
        self.revoked.insert(token.to_owned());
    }

    pub(super) fn is_revoked(&self, token: &str) -> bool {
        self.revoked.contains(token)
    }

    /// Credentials that were given out are no good any more.
    pub(super) fn forget_grants(&mut self) {
        for grant in self.grants.values_mut() {
            grant.until = Timestamp::ORIGIN;
        }
    }

    fn grant(&self, bearer: &str, now: Timestamp) -> Option<Grant> {
        let grant = self.grants.get(bearer)?;
        (now < grant.until).then(|| grant.clone())
    }

    fn is_good_grant(&self, bearer: &str, now: Timestamp) -> bool {
        self.grant(bearer, now).is_some()
    }
}

fn granted(token: &str, epoch: u64, lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    // Both spellings are in use.
    let epoch = if epoch.is_multiple_of(2) {
        format!("\"{epoch}\"")
    } else {
        epoch.to_string()
    };
    format!(
        r#"{{"worker_jwt":"{token}","api_base_url":"{BASE}","expires_in":{seconds},"worker_epoch":{epoch}}}"#
    )
}

/// The id under which an event is known.
pub(super) fn event_id(number: u64) -> String {
    format!("e{number}")
}

/// The number of an event.
pub(super) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix('e')?.parse().ok()
}

fn client_event(number: u64, frame: &str) -> String {
    let event_id = Value::from(event_id(number));
    format!(
        "event: client_event\nid: {number}\ndata: {{\"event_id\":{event_id},\"sequence_num\":{number},\
         \"event_type\":\"x\",\"source\":\"client\",\"payload\":{frame}}}\n\n"
    )
}

fn names(session: &Session, spelling: &str) -> bool {
    let bare = spelling
        .strip_prefix("cse_")
        .or_else(|| spelling.strip_prefix("session_"));
    bare == Some(&session.id)
}

fn find<'a>(sessions: &'a mut [Session], spelling: &str) -> Option<&'a mut Session> {
    sessions.iter_mut().find(|session| names(session, spelling))
}
