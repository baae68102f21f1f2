//! The stored frames of the session.

use std::collections::BTreeSet;

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind},
    io::HttpResponse,
};
use serde_json::Value;

use crate::http::answer;

/// Stored frames in order, each under its id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    ids: BTreeSet<String>,
    minted: u64,
    /// How many entries are no longer there.
    forgotten: u64,
    chronicle: Vec<Chronicled>,
    /// Everything that was ever stored.
    known: BTreeSet<String>,
}

/// What was stored once, whether it is still there or not.
#[derive(Clone, Debug)]
pub(crate) struct Chronicled {
    pub(crate) uuid: String,
    /// Whether it is for the application, and no control frame.
    pub(crate) is_message: bool,
}

/// A stored frame.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) uuid: String,
    pub(crate) text: ByteString,
    pub(crate) source: Source,
}

/// Who said something.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Viewer,
    Worker,
}

impl Log {
    /// Keeps a frame if it is of the stored kind, under an id of its own if it has none. Returns its text,
    /// and its number once it is stored.
    pub(crate) fn store(&mut self, frame: &str, source: Source) -> (ByteString, Option<u64>) {
        let Ok(parsed) = Frame::classify(frame.into()) else {
            return (frame.into(), None);
        };
        if !parsed.is_stored() {
            return (frame.into(), None);
        }
        let (uuid, text) = if let Some(uuid) = parsed.uuid() {
            (uuid.to_string(), parsed.text().clone())
        } else {
            self.minted += 1;
            let uuid = format!("minted-{}", self.minted);
            let rest = frame.trim_start().get(1..).unwrap_or_default();
            (uuid.clone(), format!(r#"{{"uuid":"{uuid}",{rest}"#).into())
        };
        self.ids.insert(uuid.clone());
        self.known.insert(uuid.clone());
        self.chronicle.push(Chronicled {
            uuid: uuid.clone(),
            is_message: matches!(parsed.kind(), FrameKind::Message { .. }),
        });
        self.entries.push(Entry {
            uuid,
            text: text.clone(),
            source,
        });
        (text, Some(self.last_number()))
    }

    pub(crate) fn holds(&self, uuid: &str) -> bool {
        self.ids.contains(uuid)
    }

    /// Whether it was ever stored.
    pub(crate) fn knows(&self, uuid: &str) -> bool {
        self.known.contains(uuid)
    }

    pub(crate) fn chronicle(&self) -> &[Chronicled] {
        &self.chronicle
    }

    /// How many of the oldest entries are no longer there.
    pub(crate) fn forgotten(&self) -> usize {
        self.chronicle.len() - self.entries.len()
    }

    /// The number and the text of the entry `uuid`.
    pub(crate) fn find(&self, uuid: &str) -> Option<(u64, ByteString)> {
        let mut entries = (self.first_number()..).zip(&self.entries);
        let (number, entry) = entries.find(|(_, entry)| entry.uuid == uuid)?;
        Some((number, entry.text.clone()))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.uuid.as_str())
    }

    pub(crate) fn clear(&mut self) {
        self.forget(usize::MAX);
    }

    /// The oldest entries are no longer there.
    pub(crate) fn forget(&mut self, count: usize) {
        let count = count.min(self.entries.len());
        for entry in self.entries.drain(..count) {
            self.ids.remove(&entry.uuid);
        }
        self.forgotten += count as u64;
    }

    /// The log is another one: it begins to count anew, with the entries there are.
    pub(crate) fn recount(&mut self) {
        self.forgotten = 0;
    }

    /// The number of the last entry; 0 in a new log.
    pub(crate) fn last_number(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }

    /// The number of the first entry that is kept, or will be.
    pub(crate) fn first_number(&self) -> u64 {
        self.forgotten + 1
    }

    /// The entries after number `after`, with their numbers.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let skipped = usize::try_from(after.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let rest = self.entries.get(skipped..).unwrap_or_default();
        (self.first_number().max(after + 1)..).zip(rest)
    }

    /// One page of the list; nothing after an id that is not there.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Option<HttpResponse> {
        let from = match after {
            None => 0,
            Some(after) => self.entries.iter().position(|entry| entry.uuid == after)? + 1,
        };
        let rest = self.entries.get(from..).unwrap_or_default();
        let page = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let frames: Vec<&str> = page.iter().map(|entry| &*entry.text).collect();
        let id =
            |entry: Option<&Entry>| entry.map_or(Value::Null, |entry| entry.uuid.clone().into());
        Some(answer(
            200,
            None,
            format!(
                r#"{{"data":[{}],"has_more":{},"first_id":{},"last_id":{}}}"#,
                frames.join(","),
                rest.len() > page.len(),
                id(page.first()),
                id(page.last()),
            ),
        ))
    }
}
