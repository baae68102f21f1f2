//! One WebSocket, from the attempt to open it to its end.

use std::{collections::VecDeque, io, time::SystemTime};

use attache_driver::{
    close_message, failure, heard, parting_message, ping_message, request, text_message,
};
use attache_protocol::{
    ByteString,
    io::{Input, NetworkFailure, Refusal, SocketEnding, SocketId, SocketRequest},
};
use mio::net::TcpStream;
use tungstenite::{Error, HandshakeError, Message, WebSocket, client::client_with_config};

use crate::{
    abort::{Abort, AbortOnDrop},
    buffered::Buffered,
    dial,
    http::Http,
};

/// While this many messages wait to be written, nothing is read: a peer that asks and never listens
/// can't fill the memory.
const OUTGOING_LIMIT: usize = 256;

/// An attempt to open a socket, or the socket that came of it.
pub(crate) enum Link {
    /// Dropping it breaks the attempt off.
    Opening(#[expect(dead_code, reason = "held for its end")] AbortOnDrop),
    Open(Box<Socket>),
}

/// An open socket. Nothing here waits.
pub(crate) struct Socket {
    stream: WebSocket<Buffered>,
    /// What the stream has not taken yet.
    outgoing: VecDeque<Message>,
    flush: Flush,
    /// Bytes received when the last sign of life was reported.
    reported: u64,
    /// Writing failed; what the peer said before that is still worth reading.
    unwritable: Option<SocketEnding>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Flush {
    Done,
    Needed,
}

impl Socket {
    /// Opens a socket. The thread waits, unless `abort` sets it free.
    pub(crate) fn open(
        http: &Http,
        request: &SocketRequest,
        abort: &Abort,
    ) -> Result<Self, Refusal> {
        let way = http.configured();
        let upgrade = request::websocket(&way.base, request).map_err(|error| {
            tracing::warn!(%error, "upgrade not possible");
            Refusal::Network(NetworkFailure::Other)
        })?;
        let line = dial::open(way, abort).map_err(Refusal::Network)?;
        let options = http.websocket();
        let line = Buffered::new(line, options.read_buffer_size);
        let config = options.config();
        let (stream, _) =
            client_with_config(upgrade, line, Some(config)).map_err(|error| match error {
                HandshakeError::Failure(error) => failure::refusal(&error, SystemTime::now()),
                HandshakeError::Interrupted(_) => Refusal::Network(NetworkFailure::TimedOut),
            })?;
        abort
            .release()
            .map_err(|error| Refusal::Network(failure::io(&error)))?;
        Ok(Self::new(stream))
    }

    fn new(stream: WebSocket<Buffered>) -> Self {
        Self {
            reported: stream.get_ref().line().received(),
            stream,
            outgoing: VecDeque::new(),
            flush: Flush::Done,
            unwritable: None,
        }
    }

    /// What a poll can watch.
    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.get_mut().line_mut().source()
    }

    /// Queues a text message.
    pub(crate) fn send_text(&mut self, text: &ByteString) {
        if let Some(message) = text_message(text) {
            self.queue(message);
        }
    }

    /// Queues a ping.
    pub(crate) fn send_ping(&mut self, payload: u64) {
        self.queue(ping_message(payload));
    }

    /// Queues a close frame.
    pub(crate) fn send_close(&mut self, code: u16) {
        self.queue(close_message(code));
    }

    fn queue(&mut self, message: Message) {
        if self.unwritable.is_none() {
            self.outgoing.push_back(message);
        }
    }

    /// The next thing that the peer did, if it did anything. After [`Input::SocketClosed`] the socket is
    /// to be dropped.
    pub(crate) fn read(&mut self, id: SocketId) -> Option<Input> {
        if self.outgoing.len() >= OUTGOING_LIMIT {
            return None;
        }
        let message = match self.stream.read() {
            Ok(message) => message,
            Err(error) if would_block(&error) => return self.nothing_read(id),
            Err(error) => {
                self.part_from_offender(&error);
                let ending = failure::ending(failure::lost(&error), self.unwritable.take());
                return Some(Input::SocketClosed { id, ending });
            }
        };
        self.reported = self.stream.get_ref().line().received();
        match &message {
            // The library has queued the pong and waits for somebody to flush it.
            Message::Ping(_) => self.flush = Flush::Needed,
            Message::Close(_) => self.hang_up(),
            Message::Text(_) | Message::Binary(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        Some(heard(id, message))
    }

    /// Hands the stream as much as it takes, then flushes once. Whether anything was taken, or writing
    /// failed.
    pub(crate) fn write(&mut self) -> bool {
        if self.unwritable.is_some() {
            return false;
        }
        let waiting = self.outgoing.len();
        match self.try_write() {
            Ok(()) => {}
            Err(error) if would_block(&error) => {}
            Err(error) => {
                self.unwritable = Some(failure::lost(&error));
                self.outgoing.clear();
                return true;
            }
        }
        self.outgoing.len() != waiting
    }

    fn try_write(&mut self) -> Result<(), Error> {
        while let Some(message) = self.outgoing.pop_front() {
            match self.stream.write(message) {
                Ok(()) => self.flush = Flush::Needed,
                Err(Error::WriteBufferFull(message)) if self.flush == Flush::Needed => {
                    // The frame is kept, and goes out when the buffer is empty.
                    self.outgoing.push_front(*message);
                    self.try_flush()?;
                }
                Err(error) => {
                    // The library has kept the message if it would block.
                    self.flush = Flush::Needed;
                    return Err(error);
                }
            }
        }
        self.try_flush()
    }

    fn try_flush(&mut self) -> Result<(), Error> {
        if self.flush == Flush::Needed {
            self.stream.flush()?;
            self.flush = Flush::Done;
        }
        Ok(())
    }

    /// There is no whole message. Part of one is a sign of life; a broken line is the end.
    fn nothing_read(&mut self, id: SocketId) -> Option<Input> {
        let received = self.stream.get_ref().line().received();
        if received != self.reported {
            self.reported = received;
            return Some(Input::SocketBytes { id });
        }
        let ending = self.unwritable.clone()?;
        Some(Input::SocketClosed { id, ending })
    }

    /// Tells a peer that broke the rules which one, if it still listens.
    fn part_from_offender(&mut self, error: &Error) {
        if let Some(message) = parting_message(error) {
            let _ = self.stream.write(message);
            self.hang_up();
        }
    }

    /// Flushes the reply to a close frame and ends the stream, once: a peer that does not even take
    /// these few bytes is not waited for.
    fn hang_up(&mut self) {
        match self.stream.flush() {
            Ok(()) | Err(Error::ConnectionClosed) => self.stream.get_mut().line_mut().finish(),
            Err(_) => {}
        }
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}
