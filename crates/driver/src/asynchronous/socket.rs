//! One WebSocket, from the attempt to open it to its end.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use attache_protocol::{
    ByteString,
    io::{Input, NetworkFailure, Refusal, SocketEnding, SocketId, SocketRequest},
};
use futures_util::{SinkExt as _, StreamExt as _, future::BoxFuture};
use tracing::Instrument as _;
use tungstenite::{Error, Message};

use super::network::{Network, WebSocket};
use crate::{close_message, failure, heard, parting_message, ping_message, text_message};

/// While this many messages wait to be written, nothing is read: a peer that asks and never listens
/// can't fill the memory.
const OUTGOING_LIMIT: usize = 256;

/// An attempt to open a socket, or the socket that came of it.
pub(crate) enum Link<W> {
    Opening(BoxFuture<'static, Result<W, Refusal>>),
    Open(Box<Socket<W>>),
}

/// An open socket.
pub(crate) struct Socket<W> {
    stream: W,
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

impl<W: WebSocket> Link<W> {
    /// Starts to open a socket.
    pub(crate) fn open(network: impl Network<Socket = W>, request: SocketRequest) -> Self {
        let open = async move { network.open_socket(request).await };
        Self::Opening(Box::pin(open.in_current_span()))
    }

    /// Goes on opening. Ready once, when it is decided.
    pub(crate) fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        match self {
            Self::Opening(opening) => match opening.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => {
                    *self = Self::Open(Box::new(Socket::new(stream)));
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(refusal)) => Poll::Ready(Err(refusal)),
                Poll::Pending => Poll::Pending,
            },
            Self::Open(_) => Poll::Pending,
        }
    }
}

impl<W: WebSocket> Socket<W> {
    fn new(stream: W) -> Self {
        Self {
            reported: stream.received(),
            stream,
            outgoing: VecDeque::new(),
            flush: Flush::Done,
            unwritable: None,
        }
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

    /// The next thing that the peer did. After [`Input::SocketClosed`] the socket is to be dropped.
    pub(crate) fn poll_read(&mut self, id: SocketId, cx: &mut Context<'_>) -> Poll<Input> {
        if self.outgoing.len() >= OUTGOING_LIMIT {
            return Poll::Pending;
        }
        let message = match self.stream.messages().poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => message,
            Poll::Ready(Some(Err(error))) => {
                self.part_from_offender(&error, cx);
                let ending = failure::ending(failure::lost(&error), self.unwritable.take());
                return Poll::Ready(Input::SocketClosed { id, ending });
            }
            Poll::Ready(None) => {
                let ended = SocketEnding::Lost(NetworkFailure::Ended);
                let ending = failure::ending(ended, self.unwritable.take());
                return Poll::Ready(Input::SocketClosed { id, ending });
            }
            Poll::Pending => return self.poll_nothing_read(id),
        };
        self.reported = self.stream.received();
        match &message {
            // The library has queued the pong and waits for somebody to flush it.
            Message::Ping(_) => self.flush = Flush::Needed,
            Message::Close(_) => self.hang_up(cx),
            Message::Text(_) | Message::Binary(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        Poll::Ready(heard(id, message))
    }

    /// Hands the stream as much as it takes, then flushes once.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        if self.unwritable.is_some() {
            return;
        }
        if let Err(error) = self.try_write(cx) {
            self.unwritable = Some(failure::lost(&error));
            self.outgoing.clear();
            // So that the reader is asked once more, and reports it.
            cx.waker().wake_by_ref();
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            match self.stream.messages().poll_ready_unpin(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
            let Some(message) = self.outgoing.pop_front() else {
                break;
            };
            match self.stream.messages().start_send_unpin(message) {
                Ok(()) => self.flush = Flush::Needed,
                Err(Error::WriteBufferFull(message)) if self.flush == Flush::Needed => {
                    // The frame is kept, and goes out when the buffer is empty.
                    self.outgoing.push_front(*message);
                    match self.poll_flush(cx) {
                        Poll::Ready(flushed) => flushed?,
                        Poll::Pending => return Ok(()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match self.poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.flush == Flush::Done {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.stream.messages().poll_flush_unpin(cx);
        if flushed.is_ready() {
            self.flush = Flush::Done;
        }
        flushed
    }

    /// There is no whole message. Part of one is a sign of life; a broken line is the end.
    fn poll_nothing_read(&mut self, id: SocketId) -> Poll<Input> {
        let received = self.stream.received();
        if received != self.reported {
            self.reported = received;
            return Poll::Ready(Input::SocketBytes { id });
        }
        match self.unwritable.clone() {
            Some(ending) => Poll::Ready(Input::SocketClosed { id, ending }),
            None => Poll::Pending,
        }
    }

    /// Tells a peer that broke the rules which one, if it still listens.
    fn part_from_offender(&mut self, error: &Error, cx: &mut Context<'_>) {
        if let Some(message) = parting_message(error) {
            let _ = self.stream.messages().start_send_unpin(message);
            self.hang_up(cx);
        }
    }

    /// Flushes the reply to a close frame and ends the stream, once: a peer that does not even take
    /// these few bytes is not waited for.
    fn hang_up(&mut self, cx: &mut Context<'_>) {
        if self.stream.messages().poll_flush_unpin(cx).is_ready() {
            self.stream.hang_up(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, pin::Pin};

    use async_tungstenite::WebSocketStream;
    use attache_protocol::{
        SessionId,
        io::{Effect, Token},
        time::Timestamp,
        viewer::{Viewer, ViewerConfig},
    };
    use futures_util::FutureExt as _;
    use tokio::io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
    };
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
    use tungstenite::protocol::Role;

    use super::*;

    /// A WebSocket in memory.
    struct Local(WebSocketStream<Compat<Counted>>);

    struct Counted(DuplexStream, u64);

    impl WebSocket for Local {
        type Messages = WebSocketStream<Compat<Counted>>;

        fn messages(&mut self) -> &mut Self::Messages {
            &mut self.0
        }

        fn received(&self) -> u64 {
            self.0.get_ref().get_ref().1
        }

        fn hang_up(&mut self, cx: &mut Context<'_>) {
            let _ = Pin::new(&mut self.0.get_mut().get_mut().0).poll_shutdown(cx);
        }
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.0).poll_read(cx, buffer);
            self.1 += (buffer.filled().len() - before) as u64;
            read
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// A socket, its id, and the bare stream of its peer.
    fn pair(buffer: usize) -> (Socket<Local>, SocketId, DuplexStream) {
        let (ours, theirs) = duplex(buffer);
        let stream = Counted(ours, 0).compat();
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None);
        let socket = Socket::new(Local(stream.now_or_never().unwrap()));
        (socket, some_id(), theirs)
    }

    /// Only a machine mints ids.
    fn some_id() -> SocketId {
        let config = ViewerConfig::new(SessionId::parse("x").unwrap());
        let mut viewer = Viewer::new(config, [0; 32], Timestamp::ORIGIN);
        viewer.connect(Timestamp::ORIGIN).unwrap();
        let Some(Effect::FetchToken { id, .. }) = viewer.poll_effect() else {
            panic!("no token is wanted");
        };
        let token = Token::new("t");
        let fetched = Input::TokenFetched { id, token };
        viewer.handle_input(Timestamp::ORIGIN, fetched);
        let Some(Effect::OpenSocket { id, .. }) = viewer.poll_effect() else {
            panic!("no socket is wanted");
        };
        id
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("nothing to wait for")
    }

    fn context() -> Context<'static> {
        Context::from_waker(std::task::Waker::noop())
    }

    #[test]
    fn a_close_frame_is_read_even_when_nothing_can_be_written_any_more() {
        let (mut socket, id, mut peer) = pair(1024);
        // A text "a", then a close frame with code 4003; then the peer is gone.
        let sent = [0x81, 1, b'a', 0x88, 2, 0x0f, 0xa3];
        now(peer.write_all(&sent)).unwrap();
        drop(peer);
        socket.send_ping(1);
        socket.write(&mut context());
        assert!(socket.unwritable.is_some());

        let first = socket.poll_read(id, &mut context());
        let second = socket.poll_read(id, &mut context());

        let text = "a".into();
        assert_eq!(first, Poll::Ready(Input::SocketText { id, text }));
        let ending = SocketEnding::CloseFrame {
            code: 4003,
            reason: ByteString::new(),
        };
        assert_eq!(second, Poll::Ready(Input::SocketClosed { id, ending }));
    }

    #[test]
    fn a_pong_goes_out_although_nothing_more_is_read() {
        let (mut socket, id, mut peer) = pair(1024);
        now(peer.write_all(&[0x89, 2, b'h', b'i'])).unwrap();

        let read = socket.poll_read(id, &mut context());
        assert_eq!(read, Poll::Ready(Input::SocketPing { id }));
        socket.write(&mut context());

        let mut pong = [0; 8];
        now(peer.read_exact(&mut pong)).unwrap();
        assert_eq!(pong[..2], [0x8a, 0x80 | 2], "a masked pong of two bytes");
    }

    #[test]
    fn part_of_a_message_is_reported_once() {
        let (mut socket, id, mut peer) = pair(1024);
        now(peer.write_all(&[0x81, 5, b'a'])).unwrap();

        let first = socket.poll_read(id, &mut context());
        let second = socket.poll_read(id, &mut context());

        assert_eq!(first, Poll::Ready(Input::SocketBytes { id }));
        assert_eq!(second, Poll::Pending);
    }

    #[test]
    fn a_peer_that_does_not_listen_is_not_heard_either() {
        let (mut socket, id, mut peer) = pair(16);
        now(peer.write_all(&[0x81, 1, b'a'])).unwrap();
        let text = ByteString::from("x".repeat(256 * 1024));
        for _ in 0..2 * OUTGOING_LIMIT {
            socket.send_text(&text);
        }
        socket.write(&mut context());

        assert!(socket.outgoing.len() > OUTGOING_LIMIT);
        assert_eq!(socket.poll_read(id, &mut context()), Poll::Pending);
    }
}
