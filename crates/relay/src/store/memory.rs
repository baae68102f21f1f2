//! A store that lasts as long as the process.

use core::future::ready;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use attache_protocol::{ByteString, SessionId};

use super::{
    After, Appended, LogPage, NewFrame, Origin, Page, Retention, SessionChange, SessionRecord,
    Share, ShareId, SigningKey, Store, StoreError, StoreFuture, StoredFrame, TokenHash,
};

/// Keeps everything in memory, as much as [`prune`](Store::prune) leaves. Share it between relays to
/// simulate a restart.
#[derive(Debug, Default)]
pub struct MemoryStore {
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<SessionId, Session>,
    /// In the order of their creation.
    order: Vec<SessionId>,
    signing_key: Option<SigningKey>,
    shares: Vec<Share>,
}

#[derive(Debug)]
struct Session {
    record: SessionRecord,
    log: VecDeque<StoredFrame>,
    bytes: u64,
    last_sequence: u64,
    /// The sequence numbers of the viewers' frames, so that an agent need not read its own.
    from_viewers: VecDeque<u64>,
    by_uuid: HashMap<ByteString, u64>,
    /// The ids of frames that are not kept any more, the oldest first.
    forgotten: VecDeque<ByteString>,
    agent_cursor: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        // No method leaves the map half changed, so it is sound even after a panic elsewhere.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        id: &SessionId,
        act: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> StoreFuture<'static, T>
    where
        T: Send + 'static,
    {
        let found = match self.lock().by_id.get_mut(id) {
            Some(session) => act(session),
            None => Err(StoreError::UnknownSession),
        };
        Box::pin(ready(found))
    }
}

impl Store for MemoryStore {
    fn create<'a>(&'a self, record: &'a SessionRecord) -> StoreFuture<'a, ()> {
        let mut sessions = self.lock();
        if sessions.by_id.contains_key(&record.id) {
            return Box::pin(ready(Err(StoreError::SessionExists)));
        }
        let session = Session {
            record: record.clone(),
            log: VecDeque::new(),
            bytes: 0,
            last_sequence: 0,
            from_viewers: VecDeque::new(),
            by_uuid: HashMap::new(),
            forgotten: VecDeque::new(),
            agent_cursor: 0,
        };
        sessions.order.push(record.id.clone());
        sessions.by_id.insert(record.id.clone(), session);
        Box::pin(ready(Ok(())))
    }

    fn session<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<SessionRecord>> {
        let found = self
            .lock()
            .by_id
            .get(id)
            .map(|session| session.record.clone());
        Box::pin(ready(Ok(found)))
    }

    fn sessions<'a>(
        &'a self,
        after: Option<&'a SessionId>,
        limit: usize,
    ) -> StoreFuture<'a, Page<SessionRecord>> {
        let sessions = self.lock();
        let mut newest_first = sessions.order.iter().rev();
        if let Some(after) = after
            && !newest_first.any(|id| id == after)
        {
            return Box::pin(ready(Err(StoreError::UnknownCursor)));
        }
        let found = newest_first.filter_map(|id| sessions.by_id.get(id));
        let page = page(found.map(|session| session.record.clone()), limit);
        Box::pin(ready(Ok(page)))
    }

    fn update<'a>(
        &'a self,
        id: &'a SessionId,
        change: SessionChange,
        at: SystemTime,
    ) -> StoreFuture<'a, SessionRecord> {
        self.with(id, |session| {
            match change {
                SessionChange::Title(title) => session.record.title = title,
                SessionChange::Status(status) => session.record.status = status,
                SessionChange::Worker(report) => session.record.worker.report = report,
            }
            session.record.updated_at = at;
            Ok(session.record.clone())
        })
    }

    fn append<'a>(
        &'a self,
        id: &'a SessionId,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> StoreFuture<'a, Vec<Appended>> {
        self.with(id, |session| {
            let outcome: Vec<_> = frames
                .into_iter()
                .map(|frame| session.add(frame, at))
                .collect();
            if outcome.iter().any(|one| *one != Appended::Duplicate) {
                session.record.updated_at = at;
            }
            Ok(outcome)
        })
    }

    fn frames<'a>(
        &'a self,
        id: &'a SessionId,
        after: After<'a>,
        only: Option<Origin>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        self.with(id, |session| {
            let sequence = session.position(after)?;
            let frames = match only {
                Some(Origin::Viewer) => {
                    let seen = session.from_viewers.partition_point(|at| *at <= sequence);
                    let later = session.from_viewers.range(seen..);
                    page(later.filter_map(|at| session.at(*at)).cloned(), limit)
                }
                Some(only) => {
                    let later = session.after(sequence);
                    page(later.filter(|frame| frame.origin == only).cloned(), limit)
                }
                None => page(session.after(sequence).cloned(), limit),
            };
            Ok(session.log_page(frames))
        })
    }

    fn newest<'a>(
        &'a self,
        id: &'a SessionId,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        self.with(id, |session| {
            let earlier = session.before(before.unwrap_or(u64::MAX)).rev();
            Ok(session.log_page(page(earlier.cloned(), limit)))
        })
    }

    fn prune<'a>(
        &'a self,
        id: &'a SessionId,
        keep: &'a Retention,
        floor: u64,
        now: SystemTime,
    ) -> StoreFuture<'a, u64> {
        self.with(id, |session| {
            session.prune(keep, floor, now);
            Ok(session.first_kept())
        })
    }

    fn agent_cursor<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, u64> {
        self.with(id, |session| Ok(session.agent_cursor))
    }

    fn advance_agent_cursor<'a>(
        &'a self,
        id: &'a SessionId,
        from: u64,
        to: u64,
    ) -> StoreFuture<'a, bool> {
        self.with(id, |session| {
            let moved = session.agent_cursor == from;
            if moved {
                session.agent_cursor = to;
            }
            Ok(moved)
        })
    }

    fn next_epoch<'a>(
        &'a self,
        id: &'a SessionId,
        instance: Option<&'a str>,
    ) -> StoreFuture<'a, u64> {
        self.with(id, |session| {
            session.record.worker.epoch += 1;
            session.record.worker.instance = instance.map(ByteString::from);
            Ok(session.record.worker.epoch)
        })
    }

    fn signing_key(&self, fresh: SigningKey) -> StoreFuture<'_, SigningKey> {
        let key = self.lock().signing_key.get_or_insert(fresh).clone();
        Box::pin(ready(Ok(key)))
    }

    fn add_share<'a>(&'a self, share: &'a Share) -> StoreFuture<'a, ()> {
        let mut sessions = self.lock();
        if !sessions.by_id.contains_key(&share.session) {
            return Box::pin(ready(Err(StoreError::UnknownSession)));
        }
        sessions.shares.push(share.clone());
        Box::pin(ready(Ok(())))
    }

    fn shares<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Vec<Share>> {
        let sessions = self.lock();
        if !sessions.by_id.contains_key(id) {
            return Box::pin(ready(Err(StoreError::UnknownSession)));
        }
        let of_session = sessions.shares.iter().filter(|share| share.session == *id);
        Box::pin(ready(Ok(of_session.cloned().collect())))
    }

    fn revoke_share<'a>(&'a self, id: &'a SessionId, share: &'a ShareId) -> StoreFuture<'a, bool> {
        let mut sessions = self.lock();
        if !sessions.by_id.contains_key(id) {
            return Box::pin(ready(Err(StoreError::UnknownSession)));
        }
        let before = sessions.shares.len();
        sessions
            .shares
            .retain(|one| one.session != *id || one.id != *share);
        Box::pin(ready(Ok(sessions.shares.len() < before)))
    }

    fn share_with<'a>(&'a self, token: &'a TokenHash) -> StoreFuture<'a, Option<Share>> {
        let sessions = self.lock();
        let found = sessions.shares.iter().find(|share| share.token == *token);
        Box::pin(ready(Ok(found.cloned())))
    }
}

impl Session {
    fn add(&mut self, frame: NewFrame, stored_at: SystemTime) -> Appended {
        let NewFrame { uuid, text, origin } = frame;
        if self.by_uuid.contains_key(&uuid) {
            return Appended::Duplicate;
        }
        // Copies, because what came may share the memory of other frames.
        let (uuid, text) = (ByteString::from(&*uuid), ByteString::from(&*text));
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        if origin == Origin::Viewer {
            self.from_viewers.push_back(sequence);
        }
        self.by_uuid.insert(uuid.clone(), sequence);
        self.bytes += text.len() as u64;
        self.log.push_back(StoredFrame {
            sequence,
            uuid,
            text,
            origin,
            stored_at,
        });
        Appended::Stored(sequence)
    }

    fn prune(&mut self, keep: &Retention, floor: u64, now: SystemTime) {
        while let Some(first) = self.log.front() {
            let too_old = keep.age.is_some_and(|age| {
                let old = now.duration_since(first.stored_at);
                old.is_ok_and(|old| old > age)
            });
            let too_much = self.log.len() as u64 > keep.frames || self.bytes > keep.bytes;
            if first.sequence >= floor || self.log.len() == 1 || !(too_old || too_much) {
                break;
            }
            if let Some(gone) = self.log.pop_front() {
                self.bytes -= gone.text.len() as u64;
                self.forgotten.push_back(gone.uuid);
            }
        }
        let first_kept = self.first_kept();
        let gone = self.from_viewers.partition_point(|at| *at < first_kept);
        self.from_viewers.drain(..gone);
        while self.forgotten.len() as u64 > keep.remembered {
            if let Some(uuid) = self.forgotten.pop_front() {
                self.by_uuid.remove(&uuid);
            }
        }
    }

    fn first_kept(&self) -> u64 {
        self.log
            .front()
            .map_or(self.last_sequence + 1, |first| first.sequence)
    }

    /// The sequence number that `after` stands for.
    fn position(&self, after: After<'_>) -> Result<u64, StoreError> {
        match after {
            After::Sequence(sequence) => Ok(sequence),
            After::Uuid(uuid) => {
                let sequence = *self.by_uuid.get(uuid).ok_or(StoreError::UnknownCursor)?;
                let first_kept = self.first_kept();
                if sequence + 1 < first_kept {
                    return Err(StoreError::NotKept { first_kept });
                }
                Ok(sequence)
            }
        }
    }

    fn at(&self, sequence: u64) -> Option<&StoredFrame> {
        let place = sequence.checked_sub(self.first_kept())?;
        self.log.get(usize::try_from(place).ok()?)
    }

    fn after(&self, sequence: u64) -> impl Iterator<Item = &StoredFrame> {
        self.log.range(self.place(sequence.saturating_add(1))..)
    }

    fn before(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &StoredFrame> {
        self.log.range(..self.place(sequence))
    }

    /// Where the frame with this sequence number is, or would be.
    fn place(&self, sequence: u64) -> usize {
        let place = sequence.saturating_sub(self.first_kept());
        usize::try_from(place).map_or(self.log.len(), |place| place.min(self.log.len()))
    }

    fn log_page(&self, page: Page<StoredFrame>) -> LogPage {
        LogPage {
            frames: page.items,
            has_more: page.has_more,
            first_kept: self.first_kept(),
        }
    }
}

fn page<T>(mut items: impl Iterator<Item = T>, limit: usize) -> Page<T> {
    let taken = items.by_ref().take(limit).collect();
    Page {
        items: taken,
        has_more: items.next().is_some(),
    }
}
