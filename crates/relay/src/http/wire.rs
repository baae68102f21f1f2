//! What lies between the WebSocket library and a connection.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many pieces are handed to the system at once.
const PIECES: usize = 64;

/// A connection that is written to beside the WebSocket library, and reads much at once while much comes.
///
/// The library keeps its read buffer for as long as the connection lasts, so that one is small. The one
/// here is large, and there only while something is in it.
pub(super) struct Wire<S> {
    stream: S,
    /// Goes out before anything else.
    messages: VecDeque<Bytes>,
    /// What was read and not asked for yet.
    ahead: Vec<u8>,
    taken: usize,
    at_once: usize,
    /// Whether there was more than was asked for.
    has_more: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Reads up to `at_once` bytes when there is much.
    pub(super) fn new(stream: S, at_once: usize) -> Self {
        Self {
            stream,
            messages: VecDeque::new(),
            ahead: Vec::new(),
            taken: 0,
            at_once,
            has_more: false,
        }
    }

    /// Has whole messages written before anything else. The library must have nothing half written.
    pub(super) fn write_first(&mut self, messages: Vec<Bytes>) {
        self.messages.extend(messages);
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.messages.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            for (slice, piece) in slices.iter_mut().zip(&self.messages) {
                *slice = IoSlice::new(piece);
            }
            let stream = Pin::new(&mut self.stream);
            let mut written = ready!(stream.poll_write_vectored(cx, &slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(piece) = self.messages.front_mut()
                && written > 0
            {
                let whole = piece.len().min(written);
                written -= whole;
                if whole < piece.len() {
                    drop(piece.split_to(whole));
                } else {
                    self.messages.pop_front();
                }
            }
        }
        if self.messages.capacity() > 0 {
            self.messages = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.resize(self.at_once, 0);
        self.taken = 0;
        let mut room = ReadBuf::new(&mut self.ahead);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.ahead.truncate(count);
        self.has_more = count == self.at_once;
        if count == 0 {
            self.ahead = Vec::new();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken == self.ahead.len() {
            if !self.has_more || self.at_once <= buffer.remaining() {
                self.ahead = Vec::new();
                self.taken = 0;
                let before = buffer.filled().len();
                let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
                self.has_more = buffer.remaining() == 0 && buffer.filled().len() > before;
                return read;
            }
            ready!(self.poll_ahead(cx))?;
        }
        let left = self.ahead.get(self.taken..).unwrap_or_default();
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..count).unwrap_or_default());
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_messages(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_messages(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_messages(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_goes_first_is_written_whole_before_anything_else() {
        let (mut peer, ours) = duplex(7);
        let mut wire = Wire::new(ours, 100);
        let pieces: Vec<_> = (0..100_u8)
            .map(|one| vec![one; usize::from(one)].into())
            .collect();
        let mut expected: Vec<u8> = pieces.concat();
        expected.extend(b"behind");
        wire.write_first(pieces);
        let writing = async {
            wire.write_all(b"behind").await.unwrap();
            wire.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(writing, peer.read_to_end(&mut got));
        read.unwrap();
        assert_eq!(got, expected);
        assert_eq!(wire.messages.capacity(), 0);
    }

    #[tokio::test]
    async fn much_is_read_at_once_in_order_and_no_memory_is_kept() {
        let (mut peer, ours) = duplex(1000);
        let mut wire = Wire::new(ours, 100);
        let sent: Vec<u8> = (0..=255).cycle().take(930).collect();
        peer.write_all(&sent).await.unwrap();
        let mut got = Vec::new();
        let mut most = 0;
        while got.len() < sent.len() {
            let mut some = [0; 30];
            let count = wire.read(&mut some).await.unwrap();
            got.extend_from_slice(&some[..count]);
            most = most.max(wire.ahead.len());
        }
        assert_eq!((got, most), (sent, 100));

        let waits = |wire: &mut Wire<_>| wire.read(&mut [0; 30]).now_or_never().is_none();
        assert!(waits(&mut wire));
        assert_eq!(wire.ahead.capacity(), 0);

        // A little needs no memory at all.
        peer.write_all(b"pong").await.unwrap();
        assert_eq!(wire.read(&mut [0; 30]).await.unwrap(), 4);
        assert_eq!(wire.ahead.capacity(), 0);
        drop(peer);
        assert_eq!(wire.read(&mut [0; 30]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_waited_for() {
        let (mut peer, ours) = duplex(4);
        let mut wire = Wire::new(ours, 100);
        wire.write_first(vec![Bytes::from_static(b"123456")]);
        let flush =
            |wire: &mut Wire<_>| poll_fn(|cx| Pin::new(&mut *wire).poll_flush(cx)).now_or_never();
        assert!(flush(&mut wire).is_none());
        peer.read_exact(&mut [0; 4]).await.unwrap();
        assert!(flush(&mut wire).is_some());
        let mut rest = [0; 2];
        peer.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"56");
    }
}
