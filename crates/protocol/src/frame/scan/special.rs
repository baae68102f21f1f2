//! Bytes that do not mean themselves inside a JSON string, looked for in many bytes at once.

/// Bytes of a string that are looked at in one number.
pub(super) const WORD: usize = 8;

/// Bytes of a long string of which that is asked together.
pub(super) const BLOCK: usize = 32;

/// How many bytes at the start of `text` mean themselves inside a string.
#[inline]
pub(super) fn plain_length(text: &[u8]) -> usize {
    let mut passed = 0;
    let (words, rest) = text.as_chunks::<WORD>();
    for word in words {
        if let Some(before) = before_special(*word) {
            return passed + before;
        }
        passed += WORD;
    }
    let before = rest.iter().position(|byte| is_special(*byte));
    passed + before.unwrap_or(rest.len())
}

/// How many bytes at the start of `text` mean themselves inside a string, in whole blocks.
#[inline(never)]
pub(super) fn plain_blocks(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| {
        let special = |any, byte: &u8| any | u8::from(is_special(*byte));
        block.iter().fold(0, special) == 0
    };
    blocks.iter().take_while(is_plain).count() * BLOCK
}

/// Whether `byte` ends a run: a quote, a backslash, or a control character, which has no place in a string.
#[inline]
pub(super) fn is_special(byte: u8) -> bool {
    byte ^ FLIP < BELOW || byte == b'\\'
}

/// Exchanges the quote with the space, next to the control characters.
const FLIP: u8 = b'"' ^ b' ';

/// What is below this, is a control character or was the quote.
const BELOW: u8 = b' ' + 1;

/// The highest bit of each special byte.
#[inline]
pub(super) fn specials(word: [u8; WORD]) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let word = u64::from_le_bytes(word);
    // Sets the highest bit of a byte whose lower bits are at least `bound`, and of no other.
    let at_least =
        |bytes: u64, bound: u8| (bytes & !HIGHEST).wrapping_add(EACH * u64::from(0x80 - bound));
    let plain = at_least(word ^ (EACH * u64::from(FLIP)), BELOW)
        & at_least(word ^ (EACH * u64::from(b'\\')), 1);
    !(plain | word) & HIGHEST
}

/// How many bytes stand before the first special one.
#[inline]
pub(super) fn before_special(word: [u8; WORD]) -> Option<usize> {
    let specials = specials(word);
    (specials != 0).then(|| specials.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// At the edges of what is special, and the same with the highest bit set.
    const EDGES: &[u8] = b"\0\x1f !\"#[\\]\x7f\x80\x9f\xa0\xa2\xdc\xff";

    proptest! {
        #[test]
        fn each_special_byte_of_eight_is_marked_and_no_other(
            word in prop::array::uniform8(prop_oneof![any::<u8>(), select(EDGES)]),
        ) {
            let marks = word.map(|byte| if is_special(byte) { 0x80 } else { 0 });
            prop_assert_eq!(specials(word).to_le_bytes(), marks);
            prop_assert_eq!(before_special(word), marks.iter().position(|mark| *mark != 0));
        }
    }

    #[test]
    fn a_quote_a_backslash_and_control_characters_are_special() {
        let special = (0..=u8::MAX).filter(|byte| is_special(*byte));
        assert!(special.eq((0..0x20).chain([b'"', b'\\'])));
    }
}
