//! One event stream, from the attempt to open it to its end.

use std::{
    fmt,
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
use ureq::BodyReader;

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

/// The body of an answer that is read as it comes, made by [`Http::open`]. Dropping it closes the
/// connection.
pub struct OpenStream {
    reader: BodyReader<'static>,
    fate: Fate,
    buffer: Vec<u8>,
}

impl OpenStream {
    /// The next bytes, at least one and at most 64 KiB. Waits for as long as it takes.
    ///
    /// # Errors
    /// [`NetworkFailure::Ended`] at the end of the body, another [`NetworkFailure`] when the connection
    /// broke. Nothing comes after that.
    #[expect(
        clippy::should_implement_trait,
        reason = "the end is told with its cause, as by the other adapters"
    )]
    pub fn next(&mut self) -> Result<Bytes, NetworkFailure> {
        match self.reader.read(&mut self.buffer) {
            Ok(0) => Err(NetworkFailure::Ended),
            Ok(count) => Ok(Bytes::copy_from_slice(
                self.buffer.get(..count).unwrap_or_default(),
            )),
            Err(error) => Err(self.fate.of(&error.into())),
        }
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream").finish_non_exhaustive()
    }
}

impl Http {
    /// Makes one call whose answer is read as it comes. There is no time limit.
    ///
    /// # Errors
    /// [`Refusal`] when there was no answer, or one other than 200.
    pub fn open(&self, request: HttpRequest) -> Result<OpenStream, Refusal> {
        self.open_until(request, &Abort::default())
    }

    /// [`open`](Self::open), until `abort` breaks it off, now or later.
    pub(crate) fn open_until(
        &self,
        request: HttpRequest,
        abort: &Abort,
    ) -> Result<OpenStream, Refusal> {
        let (response, fate) = self.ask(request, abort).map_err(Refusal::Network)?;
        if response.status() != StatusCode::OK {
            return Err(Refusal::Http {
                status: response.status().as_u16(),
                retry_after: failure::announced_delay(response.headers(), SystemTime::now()),
            });
        }
        Ok(OpenStream {
            reader: response.into_body().into_reader(),
            fate,
            buffer: vec![0; CHUNK],
        })
    }
}

/// Reads a stream to its end, or until nobody wants it any more.
pub(crate) fn read(mut stream: OpenStream, chunks: &SyncSender<Chunk>, alarm: &Alarm) {
    loop {
        let chunk = stream.next();
        let is_last = chunk.is_err();
        let is_wanted = chunks.send(chunk).is_ok();
        alarm.ring();
        if is_last || !is_wanted {
            return;
        }
    }
}
