//! A store as plain lists: nothing is ever taken from a log, its front is only marked as gone.

use std::time::{Duration, SystemTime};

use attache_relay::{
    StoreError,
    store::{Appended, LogPage, Origin, Page, SessionChange, SessionRecord, Share, StoredFrame},
};

use super::{
    operation::{
        Answer, Keep, Operation, Position, Value, frame, record, share, share_id, token, uuid_of,
    },
    session_id,
};

#[derive(Default)]
pub(super) struct Model {
    /// In the order of their creation.
    sessions: Vec<Session>,
    shares: Vec<Share>,
    key: Option<[u8; 32]>,
}

struct Session {
    record: SessionRecord,
    /// Every frame there ever was; the one with sequence number 1 is the first.
    log: Vec<StoredFrame>,
    /// How many at the front are no longer kept.
    gone: usize,
    /// Of how many of those even the ids are forgotten.
    forgotten: usize,
    cursor: u64,
}

impl Model {
    pub(super) fn answer(&mut self, operation: &Operation, now: SystemTime) -> Answer {
        let answer = match operation {
            Operation::Create(session) => self.create(record(*session, now)),
            Operation::Session(session) => {
                let found = self.find(*session).ok();
                Ok(Value::Found(found.map(|session| session.record.clone())))
            }
            Operation::Sessions(after, limit) => self.list(*after, *limit),
            Operation::Update(session, change) => self
                .find(*session)
                .map(|session| Value::Changed(session.update(change, now))),
            Operation::Append(session, frames) => self
                .find(*session)
                .map(|session| Value::Appended(session.append(frames, now))),
            Operation::Frames(session, after, only, limit) => self
                .find(*session)
                .and_then(|session| session.frames(after, *only, *limit)),
            Operation::Newest(session, before, limit) => self
                .find(*session)
                .map(|session| session.newest(before.unwrap_or(u64::MAX), *limit)),
            Operation::Prune(session, keep, floor) => self
                .find(*session)
                .map(|session| Value::Number(session.prune(keep, *floor, now))),
            Operation::Cursor(session) => self
                .find(*session)
                .map(|session| Value::Number(session.cursor)),
            Operation::Advance(session, from, to) => self.find(*session).map(|session| {
                let moved = session.cursor == *from;
                session.cursor = if moved { *to } else { session.cursor };
                Value::Moved(moved)
            }),
            Operation::Epoch(session, instance) => self.find(*session).map(|session| {
                let worker = &mut session.record.worker;
                worker.epoch += 1;
                worker.instance = instance.map(|instance| uuid_of(instance).into());
                Value::Number(worker.epoch)
            }),
            Operation::Key(byte) => Ok(Value::Key(*self.key.get_or_insert([*byte; 32]))),
            Operation::AddShare(session, number) => {
                let known = self.find(*session).map(drop);
                known.map(|()| {
                    self.shares.push(share(*session, *number, now));
                    Value::Nothing
                })
            }
            Operation::Shares(session) => {
                let known = self.find(*session).map(drop);
                let id = session_id(*session);
                let shares = self.shares.iter().filter(|share| share.session == id);
                known.map(|()| Value::Shares(shares.cloned().collect()))
            }
            Operation::Revoke(session, number) => {
                let known = self.find(*session).map(drop);
                known.map(|()| {
                    let (id, named) = (session_id(*session), share_id(*number));
                    let before = self.shares.len();
                    self.shares
                        .retain(|share| (&share.session, &share.id) != (&id, &named));
                    Value::Moved(self.shares.len() < before)
                })
            }
            Operation::ShareWith(number) => {
                let token = token(*number);
                let mut shares = self.shares.iter();
                let found = shares.find(|share| share.token == token);
                Ok(Value::Share(found.cloned()))
            }
            Operation::Reopen => Ok(Value::Nothing),
        };
        answer.map_err(|error| error.to_string())
    }

    fn find(&mut self, session: u8) -> Result<&mut Session, StoreError> {
        let id = session_id(session);
        let mut sessions = self.sessions.iter_mut();
        sessions
            .find(|session| session.record.id == id)
            .ok_or(StoreError::UnknownSession)
    }

    fn create(&mut self, record: SessionRecord) -> Result<Value, StoreError> {
        if self.sessions.iter().any(|one| one.record.id == record.id) {
            return Err(StoreError::SessionExists);
        }
        self.sessions.push(Session {
            record,
            log: Vec::new(),
            gone: 0,
            forgotten: 0,
            cursor: 0,
        });
        Ok(Value::Nothing)
    }

    fn list(&self, after: Option<u8>, limit: usize) -> Result<Value, StoreError> {
        let mut records: Vec<_> = self.sessions.iter().map(|one| &one.record).collect();
        if let Some(after) = after {
            let id = session_id(after);
            let place = records.iter().position(|record| record.id == id);
            records.truncate(place.ok_or(StoreError::UnknownCursor)?);
        }
        let items = records.iter().rev().take(limit);
        Ok(Value::Sessions(Page {
            items: items.map(|record| (*record).clone()).collect(),
            has_more: records.len() > limit,
        }))
    }
}

impl Session {
    fn update(&mut self, change: &SessionChange, now: SystemTime) -> SessionRecord {
        match change.clone() {
            SessionChange::Title(title) => self.record.title = title,
            SessionChange::Status(status) => self.record.status = status,
            SessionChange::Worker(report) => self.record.worker.report = report,
        }
        self.record.updated_at = now;
        self.record.clone()
    }

    fn append(&mut self, frames: &[(u8, Origin, usize)], now: SystemTime) -> Vec<Appended> {
        let add = |(uuid, origin, size): &(u8, Origin, usize)| {
            let new = frame(*uuid, *origin, *size);
            if self.log[self.forgotten..]
                .iter()
                .any(|frame| frame.uuid == new.uuid)
            {
                return Appended::Duplicate;
            }
            let sequence = self.log.len() as u64 + 1;
            self.log.push(StoredFrame {
                sequence,
                uuid: new.uuid,
                text: new.text,
                origin: new.origin,
                stored_at: now,
            });
            self.record.updated_at = now;
            Appended::Stored(sequence)
        };
        frames.iter().map(add).collect()
    }

    fn frames(
        &self,
        after: &Position,
        only: Option<Origin>,
        limit: usize,
    ) -> Result<Value, StoreError> {
        let after = match after {
            Position::Sequence(sequence) => *sequence,
            Position::Uuid(uuid) => {
                let uuid = uuid_of(*uuid);
                let mut known = self.log[self.forgotten..].iter();
                let found = known.find(|frame| frame.uuid == *uuid);
                let found = found.ok_or(StoreError::UnknownCursor)?.sequence;
                if found < self.gone as u64 {
                    let first_kept = self.first_kept();
                    return Err(StoreError::NotKept { first_kept });
                }
                found
            }
        };
        let later = self.log[self.gone..]
            .iter()
            .filter(|frame| frame.sequence > after && only.is_none_or(|only| frame.origin == only));
        Ok(self.page(&later.collect::<Vec<_>>(), limit))
    }

    fn newest(&self, before: u64, limit: usize) -> Value {
        let kept = self.log[self.gone..].iter().rev();
        let earlier: Vec<_> = kept.filter(|frame| frame.sequence < before).collect();
        self.page(&earlier, limit)
    }

    fn prune(&mut self, keep: &Keep, floor: u64, now: SystemTime) -> u64 {
        let within = |kept: &[StoredFrame]| {
            let bytes: usize = kept.iter().map(|frame| frame.text.len()).sum();
            let young = kept.first().is_none_or(|first| {
                let age = now.duration_since(first.stored_at).unwrap();
                keep.seconds
                    .is_none_or(|most| age <= Duration::from_secs(most))
            });
            kept.len() as u64 <= keep.frames && bytes as u64 <= keep.bytes && young
        };
        while self.gone + 1 < self.log.len()
            && self.first_kept() < floor
            && !within(&self.log[self.gone..])
        {
            self.gone += 1;
        }
        let remembered = usize::try_from(keep.remembered).unwrap_or(usize::MAX);
        self.forgotten = self.forgotten.max(self.gone.saturating_sub(remembered));
        self.first_kept()
    }

    fn first_kept(&self) -> u64 {
        self.gone as u64 + 1
    }

    fn page(&self, found: &[&StoredFrame], limit: usize) -> Value {
        Value::Log(LogPage {
            frames: found
                .iter()
                .take(limit)
                .map(|frame| (*frame).clone())
                .collect(),
            has_more: found.len() > limit,
            first_kept: self.first_kept(),
        })
    }
}
