//! What can be asked, and what a store answers.

use std::time::{Duration, SystemTime};

use attache_relay::{
    Role, SessionStatus, Store, StoreError,
    store::{
        After, Appended, LogPage, NewFrame, Origin, Page, Retention, SessionChange, SessionDetails,
        SessionRecord, Share, ShareId, SigningKey, TokenHash, WorkerRecord, WorkerReport,
    },
};
use proptest::{
    collection::vec, option, prelude::Just, prelude::any, prop_oneof, strategy::Strategy,
};

use super::session_id;

/// Sessions, ids and positions are few, so that they meet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    Create(u8),
    Session(u8),
    Sessions(Option<u8>, usize),
    Update(u8, SessionChange),
    Append(u8, Vec<(u8, Origin, usize)>),
    Frames(u8, Position, Option<Origin>, usize),
    Newest(u8, Option<u64>, usize),
    Prune(u8, Keep, u64),
    Cursor(u8),
    Advance(u8, u64, u64),
    Epoch(u8, Option<u8>),
    Key(u8),
    AddShare(u8, u8),
    Shares(u8),
    Revoke(u8, u8),
    ShareWith(u8),
    /// Nothing is asked: the store on disk is closed and opened.
    Reopen,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Position {
    Sequence(u64),
    Uuid(u8),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keep {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) seconds: Option<u64>,
    pub(super) remembered: u64,
}

/// What is answered; an error as its text.
pub(super) type Answer = Result<Value, String>;

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Nothing,
    Found(Option<SessionRecord>),
    Sessions(Page<SessionRecord>),
    Changed(SessionRecord),
    Appended(Vec<Appended>),
    Log(LogPage),
    Number(u64),
    Moved(bool),
    Key([u8; 32]),
    Shares(Vec<Share>),
    Share(Option<Share>),
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    let session = || prop_oneof![8 => 0..2_u8, 1 => 2..4_u8];
    let limit = || prop_oneof![4 => 0..6_usize, 1 => Just(usize::MAX)];
    let sequence = || prop_oneof![8 => 0..20_u64, 1 => Just(u64::MAX)];
    let position = prop_oneof![
        sequence().prop_map(Position::Sequence),
        (0..24_u8).prop_map(Position::Uuid)
    ];
    let frames = vec((0..24_u8, origin(), 0..40_usize), 0..6);
    prop_oneof![
        4 => (0..3_u8).prop_map(O::Create),
        1 => session().prop_map(O::Session),
        1 => (option::of(0..4_u8), limit()).prop_map(|(after, limit)| O::Sessions(after, limit)),
        2 => (session(), change()).prop_map(|(session, change)| O::Update(session, change)),
        12 => (session(), frames).prop_map(|(session, frames)| O::Append(session, frames)),
        8 => (session(), position, option::of(origin()), limit())
            .prop_map(|(session, after, only, limit)| O::Frames(session, after, only, limit)),
        4 => (session(), option::of(sequence()), limit())
            .prop_map(|(session, before, limit)| O::Newest(session, before, limit)),
        4 => (session(), keep(), sequence())
            .prop_map(|(session, keep, floor)| O::Prune(session, keep, floor)),
        1 => session().prop_map(O::Cursor),
        2 => (session(), 0..4_u64, sequence())
            .prop_map(|(session, from, to)| O::Advance(session, from, to)),
        1 => (session(), option::of(0..3_u8))
            .prop_map(|(session, instance)| O::Epoch(session, instance)),
        1 => any::<u8>().prop_map(O::Key),
        2 => (session(), 0..4_u8).prop_map(|(session, share)| O::AddShare(session, share)),
        1 => session().prop_map(O::Shares),
        1 => (session(), 0..4_u8).prop_map(|(session, share)| O::Revoke(session, share)),
        1 => (0..4_u8).prop_map(O::ShareWith),
        1 => Just(O::Reopen),
    ]
}

fn origin() -> impl Strategy<Value = Origin> + Clone {
    prop_oneof![
        3 => Just(Origin::Agent),
        2 => Just(Origin::Viewer),
        1 => Just(Origin::Relay),
    ]
}

fn change() -> impl Strategy<Value = SessionChange> {
    let report = WorkerReport {
        external_metadata: "{}".into(),
        ..WorkerReport::default()
    };
    prop_oneof![
        "[a-c'\"]{0,3}".prop_map(SessionChange::Title),
        Just(SessionChange::Status(SessionStatus::Running)),
        Just(SessionChange::Status(SessionStatus::Archived)),
        Just(SessionChange::Worker(report)),
    ]
}

fn keep() -> impl Strategy<Value = Keep> {
    let most = |few: core::ops::Range<u64>| prop_oneof![1 => few, 1 => Just(u64::MAX)];
    (most(0..8), most(0..150), option::of(0..40_u64), most(0..6)).prop_map(
        |(frames, bytes, seconds, remembered)| Keep {
            frames,
            bytes,
            seconds,
            remembered,
        },
    )
}

/// Asks a store. `now` is when it is asked.
pub(super) async fn ask(store: &dyn Store, operation: &Operation, now: SystemTime) -> Answer {
    let told = |error: StoreError| error.to_string();
    match operation {
        Operation::Create(session) => {
            let created = store.create(&record(*session, now)).await;
            created.map(|()| Value::Nothing)
        }
        Operation::Session(session) => store.session(&session_id(*session)).await.map(Value::Found),
        Operation::Sessions(after, limit) => {
            let after = after.map(session_id);
            let page = store.sessions(after.as_ref(), *limit).await;
            page.map(Value::Sessions)
        }
        Operation::Update(session, change) => {
            let id = session_id(*session);
            let changed = store.update(&id, change.clone(), now).await;
            changed.map(Value::Changed)
        }
        Operation::Append(session, frames) => {
            let frames = frames
                .iter()
                .map(|(uuid, origin, size)| frame(*uuid, *origin, *size));
            let id = session_id(*session);
            let appended = store.append(&id, frames.collect(), now).await;
            appended.map(Value::Appended)
        }
        Operation::Frames(session, after, only, limit) => {
            let uuid = match after {
                Position::Sequence(_) => String::new(),
                Position::Uuid(uuid) => uuid_of(*uuid),
            };
            let after = match after {
                Position::Sequence(sequence) => After::Sequence(*sequence),
                Position::Uuid(_) => After::Uuid(&uuid),
            };
            let id = session_id(*session);
            let page = store.frames(&id, after, *only, *limit).await;
            page.map(Value::Log)
        }
        Operation::Newest(session, before, limit) => {
            let id = session_id(*session);
            let page = store.newest(&id, *before, *limit).await;
            page.map(Value::Log)
        }
        Operation::Prune(session, keep, floor) => {
            let mut retention = Retention::default();
            (retention.frames, retention.bytes) = (keep.frames, keep.bytes);
            retention.remembered = keep.remembered;
            retention.age = keep.seconds.map(Duration::from_secs);
            let id = session_id(*session);
            let first = store.prune(&id, &retention, *floor, now).await;
            first.map(Value::Number)
        }
        Operation::Cursor(session) => {
            let cursor = store.agent_cursor(&session_id(*session)).await;
            cursor.map(Value::Number)
        }
        Operation::Advance(session, from, to) => {
            let id = session_id(*session);
            let moved = store.advance_agent_cursor(&id, *from, *to).await;
            moved.map(Value::Moved)
        }
        Operation::Epoch(session, instance) => {
            let instance = instance.map(uuid_of);
            let id = session_id(*session);
            let epoch = store.next_epoch(&id, instance.as_deref()).await;
            epoch.map(Value::Number)
        }
        Operation::Key(byte) => {
            let key = store.signing_key(SigningKey::new([*byte; 32])).await;
            key.map(|key| Value::Key(*key.expose()))
        }
        Operation::AddShare(session, number) => {
            let added = store.add_share(&share(*session, *number, now)).await;
            added.map(|()| Value::Nothing)
        }
        Operation::Shares(session) => {
            let shares = store.shares(&session_id(*session)).await;
            shares.map(Value::Shares)
        }
        Operation::Revoke(session, number) => {
            let id = session_id(*session);
            let revoked = store.revoke_share(&id, &share_id(*number)).await;
            revoked.map(Value::Moved)
        }
        Operation::ShareWith(number) => {
            let found = store.share_with(&token(*number)).await;
            found.map(Value::Share)
        }
        Operation::Reopen => Ok(Value::Nothing),
    }
    .map_err(told)
}

pub(super) fn record(session: u8, now: SystemTime) -> SessionRecord {
    SessionRecord {
        id: session_id(session),
        title: format!("session {session}"),
        status: SessionStatus::Idle,
        details: SessionDetails::default(),
        worker: WorkerRecord::default(),
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn frame(uuid: u8, origin: Origin, size: usize) -> NewFrame {
    NewFrame {
        uuid: uuid_of(uuid).into(),
        text: "ä".repeat(size).into(),
        origin,
    }
}

pub(super) fn uuid_of(uuid: u8) -> String {
    format!("uuid {uuid}")
}

pub(super) fn share(session: u8, number: u8, now: SystemTime) -> Share {
    Share {
        id: share_id(number),
        session: session_id(session),
        role: Role::ALL[usize::from(number) % Role::ALL.len()],
        name: format!("friend {number}"),
        token: token(number),
        created_at: now,
        expires_at: now + Duration::from_secs(60),
    }
}

pub(super) fn share_id(number: u8) -> ShareId {
    ShareId(format!("share {number}"))
}

pub(super) fn token(number: u8) -> TokenHash {
    TokenHash([number; 32])
}
