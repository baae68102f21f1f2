//! Where the short strings end.
//!
//! In a frame one short string follows the other, and where one begins is only known when the end of the one before
//! is. To look through its bytes only then would make the processor do one after the other. So the special bytes
//! of a whole stretch are marked before anybody asks for them, and to answer is a shift and a count.

use super::special::{BLOCK, padded, specials};

/// Blocks of a stretch: a delta or a control frame is one stretch.
const BLOCKS: usize = 8;

/// The special bytes of a stretch of a text. Behind the end of the text all are special.
pub(super) struct Window {
    start: usize,
    specials: [u64; BLOCKS],
}

impl Window {
    /// The stretch of `text` that begins at `start`.
    #[inline(never)]
    pub(super) fn new(text: &[u8], start: usize) -> Self {
        let (blocks, end) = text.get(start..).unwrap_or_default().as_chunks();
        let mut all = [u64::MAX; BLOCKS];
        for (place, block) in all.iter_mut().zip(blocks) {
            *place = specials(block);
        }
        if let Some(place) = all.get_mut(blocks.len()) {
            *place = specials(&padded(end));
        }
        Self {
            start,
            specials: all,
        }
    }

    /// How many bytes of `text` from `at` on are not special, at most a block. Each `at` is behind the one before.
    #[inline]
    pub(super) fn plain_length(&mut self, text: &[u8], at: usize) -> usize {
        const LAST: usize = BLOCKS - 1;
        if at - self.start >= LAST * BLOCK {
            *self = Self::new(text, at);
        }
        let (block, bit) = ((at - self.start) / BLOCK, (at - self.start) % BLOCK);
        let Some([this, next]) = self.specials.get(block..block + 2) else {
            return 0;
        };
        let ahead = this >> bit | next << 1 << (BLOCK - 1 - bit);
        ahead.trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{prelude::*, sample::select};

    use super::*;

    proptest! {
        #[test]
        fn it_says_how_far_it_is_to_the_next_special_byte_wherever_it_is_asked(
            text in prop::collection::vec(
                prop_oneof![9 => Just(b'x'), 1 => select(&b"\"\\\n\xff"[..])],
                0..1000,
            ),
            steps in prop::collection::vec(0_usize..200, 0..40),
        ) {
            let special: Vec<usize> = (0..text.len())
                .filter(|at| b"\"\\\n".contains(&text[*at]))
                .chain([text.len()])
                .collect();
            let mut window = Window::new(&text, 0);
            let mut at = 0;
            for step in steps {
                at += step;
                let next = special.iter().find(|next| **next >= at);
                let far = next.map_or(0, |next| next - at).min(BLOCK);
                prop_assert_eq!(window.plain_length(&text, at), far);
            }
        }
    }
}
