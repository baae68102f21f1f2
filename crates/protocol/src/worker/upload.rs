//! The agent's frames on their way up: in order, in batches, one batch in flight, each frame once.

use alloc::{collections::VecDeque, format, string::String};

use bytes::Bytes;
use bytestring::ByteString;

use super::config::WorkerLimits;
use crate::{frame::push_line, memory::Memory};

/// The waiting frames; the first ones may be in flight.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Uploads {
    waiting: VecDeque<Upload>,
    bytes: usize,
    /// How many of the waiting frames are answers of our own.
    own: usize,
    in_flight: usize,
    batch: usize,
    known: Memory,
    /// The number of the last frame that was queued; the first one has 1.
    last: u64,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
struct Upload {
    number: u64,
    uuid: Option<ByteString>,
    text: ByteString,
    life: Life,
    author: Author,
}

/// Who says a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Author {
    Agent,
    Worker,
}

/// Whether a frame is kept by the server.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Stored,
    Ephemeral,
}

/// What came of a batch that the server refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// A smaller batch may pass.
    Split,
    /// It was a single frame; it is gone.
    Dropped(ByteString),
}

impl Uploads {
    pub(super) fn new(limits: &WorkerLimits, key: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            own: 0,
            in_flight: 0,
            batch: limits.batch.max(1),
            known: Memory::new(limits.remembered, key),
            last: 0,
        }
    }

    /// The number of the frame that was queued last; 0 when there was none.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The number of the first frame that is not with the server; behind the last one when all are.
    pub(super) fn open(&self) -> u64 {
        let first = self.waiting.front();
        first.map_or(self.last.saturating_add(1), |upload| upload.number)
    }

    /// Whether no more should be pushed. One frame of any size fits into an empty queue.
    pub(super) fn is_full(&self, limits: &WorkerLimits) -> bool {
        self.waiting.len() >= limits.uploads.max(1) || self.bytes >= limits.upload_bytes.max(1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many answers of the worker's own are waiting.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// Queues a frame of the agent's, unless one with its `uuid` was queued before.
    pub(super) fn push(&mut self, uuid: Option<ByteString>, text: ByteString, life: Life) {
        self.push_by(Author::Agent, uuid, text, life);
    }

    /// Queues an answer of the worker's own.
    pub(super) fn push_own(&mut self, uuid: ByteString, text: ByteString) {
        self.push_by(Author::Worker, Some(uuid), text, Life::Stored);
    }

    fn push_by(&mut self, author: Author, uuid: Option<ByteString>, text: ByteString, life: Life) {
        if let Some(uuid) = &uuid
            && !self.known.insert(uuid)
        {
            return;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        self.last = self.last.saturating_add(1);
        self.own += usize::from(author == Author::Worker);
        self.waiting.push_back(Upload {
            number: self.last,
            uuid,
            text,
            life,
            author,
        });
    }

    /// The body of the next batch, if there is something to send and nothing in flight.
    pub(super) fn next(&mut self, epoch: u64, limits: &WorkerLimits) -> Option<Bytes> {
        if self.in_flight > 0 || self.waiting.is_empty() {
            return None;
        }
        let mut body = format!("{{\"worker_epoch\":{epoch},\"events\":[");
        let mut bytes = 0_usize;
        for upload in self.waiting.iter().take(self.batch) {
            bytes = bytes.saturating_add(upload.text.len());
            if self.in_flight > 0 {
                if bytes > limits.batch_bytes {
                    break;
                }
                body.push(',');
            }
            push_event(&mut body, upload);
            self.in_flight += 1;
        }
        body.push_str("]}");
        Some(body.into())
    }

    /// The batch in flight has been taken.
    pub(super) fn accepted(&mut self, limits: &WorkerLimits) {
        for _ in 0..core::mem::take(&mut self.in_flight) {
            self.pop();
        }
        self.batch = limits.batch.max(1);
    }

    /// The batch in flight may have been taken: it is sent again, and the server knows stored frames by
    /// their id. What it does not know again is not repeated.
    pub(super) fn unknown(&mut self) {
        let in_flight = core::mem::take(&mut self.in_flight);
        let mut place = 0;
        self.waiting.retain(|upload| {
            place += 1;
            place > in_flight || upload.life == Life::Stored
        });
        self.bytes = self.waiting.iter().map(|upload| upload.text.len()).sum();
    }

    /// The batch in flight was surely not taken: it is sent again.
    pub(super) fn not_taken(&mut self) {
        self.in_flight = 0;
    }

    /// The server refuses the batch in flight for what is in it.
    pub(super) fn refused(&mut self) -> Option<Refused> {
        match core::mem::take(&mut self.in_flight) {
            0 => None,
            1 => {
                let upload = self.pop()?;
                Some(Refused::Dropped(upload.uuid.unwrap_or_default()))
            }
            several => {
                self.batch = (several / 2).max(1);
                Some(Refused::Split)
            }
        }
    }

    fn pop(&mut self) -> Option<Upload> {
        let upload = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(upload.text.len());
        self.own -= usize::from(upload.author == Author::Worker);
        Some(upload)
    }
}

fn push_event(body: &mut String, upload: &Upload) {
    body.push_str("{\"payload\":");
    push_line(body, &upload.text);
    body.push_str(match upload.life {
        Life::Stored => "}",
        Life::Ephemeral => ",\"ephemeral\":true}",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads(count: usize) -> Uploads {
        let mut uploads = Uploads::new(&WorkerLimits::default(), 1);
        for number in 0..count {
            push(&mut uploads, &format!("u{number}"), Life::Stored);
        }
        uploads
    }

    fn push(uploads: &mut Uploads, uuid: &str, life: Life) {
        let text = format!("{{\"uuid\":\"{uuid}\"}}");
        uploads.push(Some(uuid.into()), text.into(), life);
    }

    fn next(uploads: &mut Uploads) -> Option<String> {
        let body = uploads.next(3, &WorkerLimits::default())?;
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn one_batch_is_in_flight_and_order_is_kept() {
        let mut uploads = uploads(101);
        let first = next(&mut uploads).unwrap();
        assert!(first.starts_with(r#"{"worker_epoch":3,"events":[{"payload":{"uuid":"u0"}},"#));
        assert_eq!(first.matches("payload").count(), 100);
        assert_eq!(next(&mut uploads), None);
        uploads.accepted(&WorkerLimits::default());
        assert_eq!(
            next(&mut uploads).unwrap(),
            r#"{"worker_epoch":3,"events":[{"payload":{"uuid":"u100"}}]}"#
        );
    }

    #[test]
    fn what_may_have_arrived_is_sent_again_with_what_came_since_except_the_ephemeral() {
        let mut uploads = uploads(1);
        push(&mut uploads, "e", Life::Ephemeral);
        assert!(next(&mut uploads).unwrap().contains("\"ephemeral\":true"));
        push(&mut uploads, "u1", Life::Stored);
        uploads.unknown();
        let again = next(&mut uploads).unwrap();
        assert!(again.contains("u0") && again.contains("u1") && !again.contains("\"e\""));
    }

    #[test]
    fn it_is_known_which_frames_are_not_with_the_server() {
        let mut uploads = uploads(0);
        assert_eq!((uploads.last(), uploads.open()), (0, 1));
        push(&mut uploads, "e", Life::Ephemeral);
        push(&mut uploads, "u1", Life::Stored);
        assert!(next(&mut uploads).is_some());
        push(&mut uploads, "u2", Life::Stored);
        assert_eq!((uploads.last(), uploads.open()), (3, 1));
        uploads.unknown();
        assert_eq!(uploads.open(), 2);
        assert!(next(&mut uploads).is_some());
        uploads.accepted(&WorkerLimits::default());
        assert_eq!((uploads.last(), uploads.open()), (3, 4));
    }

    #[test]
    fn a_frame_on_several_lines_goes_up_on_one() {
        let mut uploads = uploads(0);
        let text = "{\n \"uuid\": \"u\"\r\n}";
        uploads.push(Some("u".into()), text.into(), Life::Stored);
        assert_eq!(
            next(&mut uploads).unwrap(),
            r#"{"worker_epoch":3,"events":[{"payload":{  "uuid": "u"  }}]}"#
        );
    }

    #[test]
    fn the_same_frame_twice_is_one_upload() {
        let mut uploads = uploads(1);
        push(&mut uploads, "u0", Life::Stored);
        assert_eq!(next(&mut uploads).unwrap().matches("payload").count(), 1);
    }

    #[test]
    fn one_bad_frame_is_found_and_the_others_pass() {
        let mut uploads = uploads(4);
        let mut passed = 0;
        let mut dropped = None;
        while let Some(body) = next(&mut uploads) {
            if body.contains("u2") {
                if let Some(Refused::Dropped(uuid)) = uploads.refused() {
                    assert!(dropped.replace(uuid).is_none());
                }
            } else {
                passed += body.matches("payload").count();
                uploads.accepted(&WorkerLimits::default());
            }
        }
        assert_eq!(passed, 3);
        assert_eq!(dropped.unwrap(), "u2");
    }

    #[test]
    fn a_large_frame_goes_alone() {
        let limits = WorkerLimits {
            batch_bytes: 10,
            ..WorkerLimits::default()
        };
        let mut uploads = uploads(2);
        let body = uploads.next(1, &limits).unwrap();
        assert_eq!(
            &*body,
            br#"{"worker_epoch":1,"events":[{"payload":{"uuid":"u0"}}]}"#
        );
    }

    #[test]
    fn one_bad_frame_among_many_is_found_by_halves() {
        let mut uploads = uploads(100);
        let mut batches = 0;
        while let Some(body) = next(&mut uploads) {
            batches += 1;
            if body.contains("u57\"") {
                uploads.refused();
            } else {
                uploads.accepted(&WorkerLimits::default());
            }
        }
        assert!(batches <= 50, "{batches} batches");
    }

    #[test]
    fn frames_that_just_fill_a_batch_go_together() {
        let limits = WorkerLimits {
            batch_bytes: 2 * r#"{"uuid":"u0"}"#.len(),
            ..WorkerLimits::default()
        };
        let body = uploads(3).next(1, &limits).unwrap();
        assert_eq!(body.windows(7).filter(|part| part == b"payload").count(), 2);
    }

    #[test]
    fn what_was_not_on_its_way_is_not_lost_with_what_was() {
        let mut uploads = uploads(1);
        assert!(next(&mut uploads).is_some());
        push(&mut uploads, "e", Life::Ephemeral);
        uploads.unknown();
        let again = next(&mut uploads).unwrap();
        assert!(again.contains("u0") && again.contains("\"e\""));
    }
}
