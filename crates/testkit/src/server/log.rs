//! The stored frames of the session.

use attache_protocol::{ByteString, frame::Frame, io::HttpResponse};
use serde_json::Value;

use crate::http::answer;

/// Stored frames in order, each under its id.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    entries: Vec<(String, ByteString)>,
    minted: u64,
}

impl Log {
    /// Keeps a frame if it is of the stored kind, under an id of its own if it has none.
    pub(super) fn store(&mut self, frame: &str) -> ByteString {
        let Ok(parsed) = Frame::classify(frame.into()) else {
            return frame.into();
        };
        if !parsed.is_stored() {
            return frame.into();
        }
        let (uuid, text) = if let Some(uuid) = parsed.uuid() {
            (uuid.to_string(), parsed.text().clone())
        } else {
            self.minted += 1;
            let uuid = format!("minted-{}", self.minted);
            let rest = frame.trim_start().get(1..).unwrap_or_default();
            (uuid.clone(), format!(r#"{{"uuid":"{uuid}",{rest}"#).into())
        };
        self.entries.push((uuid, text.clone()));
        text
    }

    pub(super) fn holds(&self, uuid: &str) -> bool {
        self.entries.iter().any(|(stored, _)| stored == uuid)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(uuid, _)| uuid.as_str())
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// One page of the list; nothing after an id that is not there.
    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> Option<HttpResponse> {
        let from = match after {
            None => 0,
            Some(after) => self.entries.iter().position(|(uuid, _)| uuid == after)? + 1,
        };
        let rest = self.entries.get(from..).unwrap_or_default();
        let page = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let frames: Vec<&str> = page.iter().map(|(_, frame)| &**frame).collect();
        let id = |entry: Option<&(String, ByteString)>| {
            entry.map_or(Value::Null, |(uuid, _)| uuid.clone().into())
        };
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
