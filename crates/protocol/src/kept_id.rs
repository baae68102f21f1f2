//! Ids that are kept on their own.

use alloc::sync::Arc;
use core::fmt;

use bytestring::ByteString;

/// The id of an event, on its own: without the frame it came in, which a slice of it would keep in memory.
///
/// A UUID in its usual spelling (lower case, with hyphens) is kept as a number and costs no allocation, any
/// other text costs one. Cloning costs none. `Display` writes the id as it came.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeptId(Kept);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kept {
    Uuid([u64; 2]),
    Text(Arc<str>),
}

impl KeptId {
    /// The id as it came.
    pub fn text(&self) -> ByteString {
        match &self.0 {
            Kept::Uuid(_) => alloc::format!("{self}").into(),
            Kept::Text(text) => ByteString::from(&**text),
        }
    }

    /// A number for tables, the same for the same id. Who does not know `key` can't choose ids that share it.
    pub(crate) fn hash(&self, key: u64) -> u64 {
        match &self.0 {
            Kept::Uuid([high, low]) => fold(high ^ key, low ^ FACTOR),
            Kept::Text(text) => {
                let (words, rest) = text.as_bytes().as_chunks::<8>();
                let mut hash = key ^ as_word(text.len());
                for word in words {
                    hash = fold(hash ^ u64::from_le_bytes(*word), FACTOR ^ key);
                }
                for byte in rest {
                    hash = fold(hash ^ u64::from(*byte), FACTOR ^ key);
                }
                hash
            }
        }
    }
}

impl From<&str> for KeptId {
    fn from(id: &str) -> Self {
        Self(parse(id.as_bytes()).map_or_else(|| Kept::Text(id.into()), Kept::Uuid))
    }
}

impl From<&ByteString> for KeptId {
    fn from(id: &ByteString) -> Self {
        Self::from(&**id)
    }
}

impl From<&KeptId> for KeptId {
    fn from(id: &KeptId) -> Self {
        id.clone()
    }
}

impl fmt::Display for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Uuid([high, low]) => write!(
                f,
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                high >> 32,
                (high >> 16) & 0xffff,
                high & 0xffff,
                low >> 48,
                low & 0xffff_ffff_ffff
            ),
            Kept::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptId({self})")
    }
}

/// An odd number without a pattern.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of a product: every bit of the factors reaches every bit of it.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    as_low(product) ^ as_low(product >> 64)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is meant"
)]
fn as_low(wide: u128) -> u64 {
    wide as u64
}

fn as_word(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Reads a UUID; `None` for any text that it would not be written as.
fn parse(text: &[u8]) -> Option<[u64; 2]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let four = |at: usize| {
        Some(u64::from(u32::from_be_bytes(
            *text.get(at..)?.first_chunk()?,
        )))
    };
    let eight = |at: usize| Some(u64::from_be_bytes(*text.get(at..)?.first_chunk()?));
    let digits = [
        eight(0)?,
        four(9)? << 32 | four(14)?,
        four(19)? << 32 | four(24)?,
        eight(28)?,
    ];
    let has_hyphens = [text[8], text[13], text[18], text[23]] == [b'-'; 4];
    let [a, b, c, d] = digits.map(hex);
    // All are read before any is judged: nearly every text is a UUID.
    let wrong = a.wrong | b.wrong | c.wrong | d.wrong;
    (has_hyphens && wrong == 0).then_some([a.value << 32 | b.value, c.value << 32 | d.value])
}

/// What eight hexadecimal digits stand for.
struct Hex {
    value: u64,
    /// Zero if they are digits in lower case.
    wrong: u64,
}

/// Reads eight hexadecimal digits all at once.
#[inline]
fn hex(text: u64) -> Hex {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = (text >> 6) & ONES;
    let values = (text & (0x0f * ONES)) + 9 * letters;
    // Whatever was no such digit is not what its value is written as.
    let above_nine = ((values + 6 * ONES) >> 4) & ONES;
    let written = values + 0x30 * ONES + 0x27 * above_nine;
    let bytes = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Hex {
        value: (pairs | pairs >> 16) & 0xffff_ffff,
        wrong: values & (0xf0 * ONES) | (written ^ text),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

    #[test]
    fn a_uuid_in_its_usual_spelling_is_kept_as_a_number() {
        let kept = KeptId::from(UUID);
        assert_eq!(
            kept,
            KeptId(Kept::Uuid([0x0123_4567_89ab_4def, 0x8123_4567_89ab_cdef]))
        );
        assert_eq!(kept.text(), UUID);
        assert!(size_of::<KeptId>() <= 24);
    }

    #[test]
    fn everything_else_is_kept_as_it_is() {
        let upper = UUID.to_uppercase();
        let braced = ["{", UUID, "}"].concat();
        for text in ["", "u1", &upper, &braced, &UUID.replace('-', ""), "é"] {
            let kept = KeptId::from(text);
            assert!(matches!(kept.0, Kept::Text(_)), "{text}");
            assert_eq!(kept.to_string(), text);
        }
    }

    #[test]
    fn one_wrong_byte_makes_it_a_text() {
        for place in 0..UUID.len() {
            for byte in 0..=u8::MAX {
                let mut text = UUID.as_bytes().to_vec();
                text[place] = byte;
                let Ok(text) = core::str::from_utf8(&text) else {
                    continue;
                };
                let is_hyphen = matches!(place, 8 | 13 | 18 | 23);
                let is_right = match byte {
                    b'-' => is_hyphen,
                    b'0'..=b'9' | b'a'..=b'f' => !is_hyphen,
                    _ => false,
                };
                let kept = KeptId::from(text);
                assert_eq!(matches!(kept.0, Kept::Uuid(_)), is_right, "{text:?}");
                assert_eq!(kept.text(), text);
            }
        }
    }

    #[test]
    fn every_bit_of_an_id_and_of_the_key_makes_another_number() {
        const KEY: u64 = 0x5a5a_0ff0_3cc3_6996;
        for text in [
            "",
            "a",
            "aaaaaaaa",
            "\0qrstuvwxyz",
            "ABCDEFGHijklmnopQ",
            UUID,
        ] {
            let number = KeptId::from(text).hash(KEY);
            assert_eq!(number, KeptId::from(text).hash(KEY));
            for bit in 0..64 {
                let other = KeptId::from(text).hash(KEY ^ 1 << bit);
                assert_ne!(number, other, "{text:?}, bit {bit} of the key");
            }
            for (place, bit) in
                (0..text.len()).flat_map(|place| (0..7).map(move |bit| (place, bit)))
            {
                let mut near = text.as_bytes().to_vec();
                near[place] ^= 1 << bit;
                let near = core::str::from_utf8(&near).unwrap();
                assert_ne!(number, KeptId::from(near).hash(KEY), "{text:?}, {near:?}");
            }
            let longer = [text, "\0"].concat();
            assert_ne!(
                number,
                KeptId::from(&*longer).hash(KEY),
                "{text:?} and a zero"
            );
        }
        let zeros = ["\0", "\0\0\0\0\0\0\0\0"].map(|text| KeptId::from(text).hash(KEY));
        assert_ne!(zeros[0], zeros[1]);
    }

    #[test]
    fn uuids_that_differ_in_one_place_only_are_spread() {
        let [high, low] = [0x0123_4567_89ab_4def, 0x8123_4567_89ab_cdef];
        for shift in (0..64).step_by(8) {
            let ids = (0..256_u64).flat_map(|digit| {
                let digit = digit << shift;
                [[high ^ digit, low], [high, low ^ digit]]
            });
            let mut starts = [0_u8; 1024];
            for id in ids {
                let number = KeptId(Kept::Uuid(id)).hash(7);
                starts[usize::try_from(number >> 32).unwrap() % 1024] += 1;
            }
            let most = starts.iter().max();
            assert!(most.is_some_and(|most| *most <= 8), "{most:?} at {shift}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_came(text in "[0-9a-fA-F-]{36}|\\PC{0,40}") {
            prop_assert_eq!(KeptId::from(&*text).text(), text);
        }

        #[test]
        fn every_uuid_is_kept(high: u64, low: u64) {
            let kept = KeptId(Kept::Uuid([high, low]));
            prop_assert_eq!(KeptId::from(&*kept.to_string()), kept);
        }
    }
}
