//! A stream that reads much at once, keeps no buffer while nothing comes, and counts what it receives.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::dial::Connection;

/// Counts the bytes that arrive, whether or not they make a message yet.
///
/// The WebSocket library keeps its read buffer for as long as the connection lasts, so that one is small.
/// This one is large, and there only while something is in it.
pub struct Noticed {
    stream: Connection,
    /// What was read and not asked for yet.
    ahead: BytesMut,
    /// How much is read at once.
    at_once: usize,
    received: u64,
}

impl Noticed {
    pub(crate) fn new(stream: Connection, at_once: usize) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
            at_once: at_once.max(1),
            received: 0,
        }
    }

    /// How many bytes have arrived so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Reads as much as there is. Ready with nothing at the end of the stream.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.reserve(self.at_once);
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.ahead);
        if let Poll::Ready(Ok(count @ 1..)) = read {
            self.received = self.received.wrapping_add(count as u64);
        } else {
            self.ahead = BytesMut::new();
        }
        read.map_ok(drop)
    }
}

impl fmt::Debug for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noticed")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Noticed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            ready!(self.poll_ahead(cx))?;
        }
        let count = self.ahead.len().min(buffer.remaining());
        self.ahead
            .copy_to_slice(buffer.initialize_unfilled_to(count));
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noticed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_read_ahead_comes_in_order_and_the_buffer_goes_with_its_last_byte() {
        let (mut peer, ours) = duplex(1024);
        let mut stream = Noticed::new(Box::new(ours), 100);
        let sent: Vec<u8> = (0..=255).collect();
        peer.write_all(&sent).await.unwrap();

        let mut got = Vec::new();
        while got.len() < sent.len() {
            let mut some = [0; 30];
            let count = stream.read(&mut some).await.unwrap();
            got.extend_from_slice(&some[..count]);
            let ahead = stream.received() - got.len() as u64;
            assert_eq!(stream.ahead.len() as u64, ahead);
        }
        assert_eq!(got, sent);

        let nothing = std::future::poll_fn(|cx| {
            let mut some = [0; 30];
            let read = Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut some));
            Poll::Ready(read.is_pending())
        });
        assert!(nothing.await);
        assert_eq!(stream.ahead.capacity(), 0);

        drop(peer);
        assert_eq!(stream.read(&mut [0; 30]).await.unwrap(), 0);
    }
}
