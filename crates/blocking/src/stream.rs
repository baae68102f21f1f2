//! One event stream, from the attempt to open it to its end.

use std::{
    io::Read as _,
    sync::mpsc::{Receiver, SyncSender},
    time::SystemTime,
};

use ::http::StatusCode;
use attache_driver::failure;
use attache_protocol::{
    Bytes,
    io::{HttpRequest, Input, NetworkFailure, Refusal, StreamId},
};
use ureq::Body;

use crate::{
    abort::{Abort, AbortOnDrop},
    alarm::Alarm,
    http::{CHUNK, Fate, Http},
};

/// Chunks that were read and that the machine has not taken. The thread that reads waits when there are
/// more, and TCP slows the server down.
pub(crate) const READ_AHEAD: usize = 2;

/// Some bytes, or why there are no more.
pub(crate) type Chunk = Result<Bytes, NetworkFailure>;

/// The driver's end of a stream. Dropping it sets the thread free.
pub(crate) struct EventStream {
    _abort: AbortOnDrop,
    chunks: Receiver<Chunk>,
    pub(crate) is_open: bool,
}

impl EventStream {
    pub(crate) fn new(abort: AbortOnDrop, chunks: Receiver<Chunk>) -> Self {
        Self {
            _abort: abort,
            chunks,
            is_open: false,
        }
    }

    /// The next thing that came over an open stream, if anything did. After [`Input::StreamClosed`] the
    /// stream is to be dropped.
    pub(crate) fn read(&mut self, id: StreamId) -> Option<Input> {
        if !self.is_open {
            return None;
        }
        Some(match self.chunks.try_recv().ok()? {
            Ok(bytes) => Input::StreamBytes { id, bytes },
            Err(failure) => Input::StreamClosed {
                id,
                ending: Refusal::Network(failure),
            },
        })
    }
}

/// Opens a stream. The thread waits, unless `abort` sets it free.
pub(crate) fn open(
    http: &Http,
    request: HttpRequest,
    abort: &Abort,
) -> Result<(Body, Fate), Refusal> {
    let (response, fate) = http.ask(request, abort).map_err(Refusal::Network)?;
    if response.status() != StatusCode::OK {
        return Err(Refusal::Http {
            status: response.status().as_u16(),
            retry_after: failure::announced_delay(response.headers(), SystemTime::now()),
        });
    }
    Ok((response.into_body(), fate))
}

/// Reads a stream to its end, or until nobody wants it any more.
pub(crate) fn read((body, fate): (Body, Fate), chunks: &SyncSender<Chunk>, alarm: &Alarm) {
    let mut reader = body.into_reader();
    let mut buffer = vec![0; CHUNK];
    loop {
        let chunk = match reader.read(&mut buffer) {
            Ok(0) => Err(NetworkFailure::Ended),
            Ok(count) => Ok(Bytes::copy_from_slice(
                buffer.get(..count).unwrap_or_default(),
            )),
            Err(error) => Err(fate.of(&error.into())),
        };
        let is_last = chunk.is_err();
        let is_wanted = chunks.send(chunk).is_ok();
        alarm.ring();
        if is_last || !is_wanted {
            return;
        }
    }
}
