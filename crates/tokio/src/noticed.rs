//! A stream that reads much at once, keeps no buffer while nothing comes, and counts what it receives.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use attache_driver::Ahead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::dial::Connection;

/// Counts the bytes that arrive, whether or not they make a message yet.
pub struct Noticed {
    stream: Connection,
    ahead: Ahead,
}

impl Noticed {
    pub(crate) fn new(stream: Connection, at_once: usize) -> Self {
        Self {
            stream,
            ahead: Ahead::new(at_once),
        }
    }

    /// How many bytes have arrived so far.
    pub(crate) fn received(&self) -> u64 {
        self.ahead.received()
    }
}

impl fmt::Debug for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noticed")
            .field("received", &self.received())
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Noticed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(room) = this.ahead.room() {
            let mut room = ReadBuf::new(room);
            let read = Pin::new(&mut this.stream).poll_read(cx, &mut room);
            let count = room.filled().len();
            this.ahead.came(count);
            ready!(read)?;
        }
        let count = this.ahead.take(buffer.initialize_unfilled());
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
    async fn what_is_read_ahead_comes_in_order_and_the_buffer_goes_when_nothing_comes() {
        let (mut peer, ours) = duplex(1024);
        let mut stream = Noticed::new(Box::new(ours), 100);
        let sent: Vec<u8> = (0..=255).collect();
        peer.write_all(&sent).await.unwrap();

        let mut got = Vec::new();
        while got.len() < sent.len() {
            let mut some = [0; 30];
            let count = stream.read(&mut some).await.unwrap();
            got.extend_from_slice(&some[..count]);
            assert_eq!(stream.ahead.held(), 100);
        }
        assert_eq!(got, sent);

        let nothing = std::future::poll_fn(|cx| {
            let mut some = [0; 30];
            let read = Pin::new(&mut stream).poll_read(cx, &mut ReadBuf::new(&mut some));
            Poll::Ready(read.is_pending())
        });
        assert!(nothing.await);
        assert_eq!(stream.ahead.held(), 0);
        assert_eq!(stream.received(), sent.len() as u64);

        drop(peer);
        assert_eq!(stream.read(&mut [0; 30]).await.unwrap(), 0);
    }
}
