//! What the bytes of a string mean, found out for 64 of them at once.
//!
//! A mark is a bit: bit `n` of a number says something about byte `n` of a block. Marks are made without a branch, by
//! plain code of which the compiler makes vector instructions: what stands where in a text is nothing a processor
//! could foresee.

/// Bytes that are looked at together: as many as a number has bits.
pub(super) const BLOCK: usize = 64;

/// Whether `byte` does not mean itself in a string: a quote, a backslash, or a control character, which has no place
/// there.
#[inline]
fn is_special(byte: u8) -> bool {
    /// Exchanges the quote with the space, next to the control characters.
    const FLIP: u8 = b'"' ^ b' ';
    byte ^ FLIP <= b' ' || byte == b'\\'
}

/// Marks the special bytes.
#[inline]
pub(super) fn specials(block: &[u8; BLOCK]) -> u64 {
    let mut columns = *block;
    for (at, byte) in columns.iter_mut().enumerate() {
        *byte = bit(is_special(*byte), at);
    }
    let [specials] = rows([columns]);
    specials
}

/// What a block of a string consists of.
pub(super) struct Kinds {
    /// Marks the quotes.
    pub(super) quotes: u64,
    /// Marks the backslashes.
    pub(super) backslashes: u64,
    /// Marks what may follow a backslash and is usual there. The rest of it is `/`, `b`, `f` and `u`.
    pub(super) usual: u64,
    /// Whether there is a control character.
    pub(super) has_control: bool,
}

impl Kinds {
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        // Three kinds are told apart by two marks: one of them has both.
        let [mut some, mut others] = [*block; 2];
        for (at, (one, other)) in some.iter_mut().zip(&mut others).enumerate() {
            let byte = *one;
            let is_letter = matches!(byte, b'n' | b'r' | b't');
            *one = bit(byte == b'"' || is_letter, at);
            *other = bit(byte == b'\\' || is_letter, at);
        }
        let [some, others] = rows([some, others]);
        Self {
            quotes: some & !others,
            backslashes: others & !some,
            usual: some | others,
            has_control: least(block) < b' ',
        }
    }
}

/// The bit that stands for byte `at` in its column.
#[inline]
fn bit(is_set: bool, at: usize) -> u8 {
    if is_set { 1 << (at / 8) } else { 0 }
}

/// The marks of which bit `n` stands in byte `8 * n` and the seven that follow it.
#[inline]
fn rows<const N: usize>(columns: [[u8; BLOCK]; N]) -> [u64; N] {
    let mut squares = columns.map(|columns| {
        let (words, _) = columns.as_chunks();
        let together = |all, word: &[u8; 8]| all | u64::from_le_bytes(*word);
        words.iter().fold(0, together)
    });
    // Rows and columns of eight bits change places: single bits, then squares of two by two, then of four by four.
    for (distance, which) in [
        (7, 0x00aa_00aa_00aa_00aa),
        (14, 0x0000_cccc_0000_cccc),
        (28, 0x0000_0000_f0f0_f0f0),
    ] {
        squares = squares.map(|square| {
            let different = (square ^ square >> distance) & which;
            square ^ different ^ different << distance
        });
    }
    squares
}

#[inline]
fn least(block: &[u8; BLOCK]) -> u8 {
    let (parts, _) = block.as_chunks::<16>();
    let mut least = [u8::MAX; 16];
    for part in parts {
        for (least, byte) in least.iter_mut().zip(part) {
            *least = (*byte).min(*least);
        }
    }
    least.into_iter().fold(u8::MAX, u8::min)
}

/// The first bytes of a text shorter than a block; what is missing is zeros, which are special.
#[inline]
pub(super) fn padded(text: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(start) = block.get_mut(..text.len()) {
        start.copy_from_slice(text);
    }
    block
}

/// How many bytes at the start of `text` are not special, in whole halves of a block.
#[inline(never)]
pub(super) fn plain_length(text: &[u8]) -> usize {
    const HALF: usize = BLOCK / 2;
    let (halves, _) = text.as_chunks::<HALF>();
    let is_plain = |half: &&[u8; HALF]| {
        let special = |any, byte: &u8| any | u8::from(is_special(*byte));
        half.iter().fold(0, special) == 0
    };
    halves.iter().take_while(is_plain).count() * HALF
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// At the edges of what is told apart, and the same with the highest bit set.
    const EDGES: &[u8] = b"\0\x1f !\"#/[\\]bfmnoqrstu\x7f\x80\x9f\xa0\xa2\xaf\xdc\xee\xf2\xf4\xff";

    fn block() -> impl Strategy<Value = [u8; BLOCK]> {
        let byte = prop_oneof![any::<u8>(), select(EDGES)];
        prop::collection::vec(byte, BLOCK).prop_map(|bytes| bytes.try_into().unwrap())
    }

    fn marks(block: &[u8; BLOCK], is_so: impl Fn(u8) -> bool) -> u64 {
        let places = block.iter().enumerate();
        places.fold(0, |all, (at, byte)| all | u64::from(is_so(*byte)) << at)
    }

    proptest! {
        #[test]
        fn each_byte_is_marked_as_what_it_is(block in block()) {
            prop_assert_eq!(specials(&block), marks(&block, is_special));
            let kinds = Kinds::of(&block);
            prop_assert_eq!(kinds.quotes, marks(&block, |byte| byte == b'"'));
            prop_assert_eq!(kinds.backslashes, marks(&block, |byte| byte == b'\\'));
            prop_assert_eq!(kinds.usual, marks(&block, |byte| br#""\nrt"#.contains(&byte)));
            prop_assert_eq!(kinds.has_control, marks(&block, |byte| byte < b' ') != 0);
        }
    }

    #[test]
    fn every_byte_is_told_from_its_neighbours_wherever_it_stands() {
        for at in 0..BLOCK {
            for byte in 0..=u8::MAX {
                let mut block = [b'x'; BLOCK];
                block[at] = byte;
                assert_eq!(specials(&block), marks(&block, is_special));
                let kinds = Kinds::of(&block);
                assert_eq!(kinds.quotes, marks(&block, |byte| byte == b'"'));
                assert_eq!(kinds.backslashes, marks(&block, |byte| byte == b'\\'));
                assert_eq!(kinds.has_control, byte < b' ');
            }
        }
    }

    #[test]
    fn a_quote_a_backslash_and_control_characters_are_special() {
        let special = (0..=u8::MAX).filter(|byte| is_special(*byte));
        assert!(special.eq((0..0x20).chain([b'"', b'\\'])));
    }
}
