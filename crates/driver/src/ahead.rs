//! Bytes that are read much at once and asked for little by little.

use std::fmt;

/// What is read at once at first, in bytes: enough for most messages that come alone.
const FIRST: usize = 4 * 1024;

/// How much more is read at once when there was more than that.
const GROWTH: usize = 4;

/// What was read from a stream and not asked for yet.
///
/// The WebSocket library keeps its read buffer for as long as the connection lasts, and hands it out in pieces: each
/// message is one. So that buffer is small. This one is there only while something comes, and the larger the more
/// comes.
pub struct Ahead {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_once: usize,
    at_most: usize,
    received: u64,
}

impl Ahead {
    /// Reads up to `at_most` bytes at once, at least one.
    pub fn new(at_most: usize) -> Self {
        let at_most = at_most.max(1);
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at_once: FIRST.min(at_most),
            at_most,
            received: 0,
        }
    }

    /// Where to read to; `None` while something is left.
    pub fn room(&mut self) -> Option<&mut [u8]> {
        if self.start < self.end {
            return None;
        }
        if self.buffer.len() != self.at_once {
            self.buffer = vec![0; self.at_once];
        }
        Some(&mut self.buffer)
    }

    /// `count` bytes were read to the [`room`](Self::room). With none of them the memory is given back.
    pub fn came(&mut self, count: usize) {
        if count == 0 {
            self.buffer = Vec::new();
            self.at_once = FIRST.min(self.at_most);
        } else if count >= self.buffer.len() {
            self.at_once = self.at_once.saturating_mul(GROWTH).min(self.at_most);
        }
        self.start = 0;
        self.end = count.min(self.buffer.len());
        self.received = self.received.wrapping_add(self.end as u64);
    }

    /// How many bytes have come so far, whether or not they were asked for.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Hands out as much as there is and `into` takes. How much that was.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let left = self.buffer.get(self.start..self.end).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(from), Some(into)) = (left.get(..count), into.get_mut(..count)) {
            into.copy_from_slice(from);
        }
        self.start += count;
        count
    }

    /// How much memory it takes now, in bytes.
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("left", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills the room with `bytes`, and takes them out again in small pieces.
    fn pass(ahead: &mut Ahead, bytes: &[u8]) -> Vec<u8> {
        let room = ahead.room().unwrap();
        room[..bytes.len()].copy_from_slice(bytes);
        ahead.came(bytes.len());
        let mut got = Vec::new();
        loop {
            let mut some = [0; 300];
            let count = ahead.take(&mut some);
            if count == 0 {
                return got;
            }
            got.extend_from_slice(&some[..count]);
            assert_eq!(ahead.room().is_none(), got.len() < bytes.len());
        }
    }

    #[test]
    fn what_came_is_handed_out_in_order_and_the_memory_goes_when_nothing_comes() {
        let mut ahead = Ahead::new(1000);
        for length in [1000, 1, 301] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            assert_eq!(pass(&mut ahead, &bytes), bytes);
            assert_eq!(ahead.held(), 1000);
        }
        assert_eq!(ahead.received(), 1302);
        ahead.came(0);
        assert_eq!((ahead.held(), ahead.received()), (0, 1302));
        assert_eq!(pass(&mut ahead, b"ab"), b"ab");
    }

    #[test]
    fn much_is_read_at_once_only_when_there_is_much() {
        let mut ahead = Ahead::new(100_000);
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let size = ahead.room().unwrap().len();
            sizes.push(size);
            pass(&mut ahead, &vec![1; size]);
        }
        assert_eq!(sizes, [4096, 16_384, 65_536, 100_000, 100_000]);

        pass(&mut ahead, b"less");
        assert_eq!(ahead.room().unwrap().len(), 100_000);
        ahead.came(0);
        assert_eq!(ahead.room().unwrap().len(), 4096);
    }
}
