//! A frame's routing fields, found in one pass over its text.
//!
//! The scan checks the whole text against JSON's grammar as it goes, wherever the fields stand in it, and
//! allocates nothing. It has no errors, only doubts, and leaves to `serde_json`
//!
//! - what is malformed, so that one place says why and where;
//! - an escape in a key or in a routing field, a routing field that is neither a string nor `null`, and one
//!   that stands there twice;
//! - a value nested more than 63 levels deep.
//!
//! So the two together accept exactly what `serde_json` accepts, as long as the scan never takes what
//! `serde_json` refuses, nor finds other fields in it. That is all it can get wrong, and what the tests of the
//! envelope and the fuzzer look for.
//!
//! How it is fast: most of a frame is strings, and in a string only a quote, a backslash and a control
//! character mean anything but themselves. These are looked for in eight bytes at once, and in a long string
//! in [`BLOCK`] bytes at once, by plain code of which the compiler makes vector instructions. Of the bytes that
//! are not ASCII nothing has to be checked: the text is a `str`. The rest is one byte after the other, without
//! recursion: the kinds of the open brackets are the bits of one word.

use super::envelope::{Envelope, Inner};

/// Words without anything special after which a string counts as long.
const SHORT: usize = 5;

/// Bytes of a long string that are looked at together.
const BLOCK: usize = 32;

/// The routing fields of `text`; `None` if there is any doubt.
pub(super) fn envelope(text: &str) -> Option<Envelope<&str>> {
    let mut envelope = Envelope::default();
    let mut seen = Seen::default();
    let scan = Scan(text);
    let end = scan.members(scan.pass(b'{', 0)?, |key, at| match key {
        "type" => scan.routing(seen.once(0, &mut envelope.type_name)?, at),
        "uuid" => scan.routing(seen.once(1, &mut envelope.uuid)?, at),
        "request_id" => scan.routing(seen.once(2, &mut envelope.request_id)?, at),
        "request" => scan.inner(seen.once(3, &mut envelope.request)?, at),
        "response" => scan.inner(seen.once(4, &mut envelope.response)?, at),
        _ => scan.value(at),
    })?;
    (scan.blank(end) == text.len()).then_some(envelope)
}

/// Which fields have been met.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    /// `place`, the first time.
    fn once<T>(&mut self, field: u8, place: T) -> Option<T> {
        let bit = 1 << field;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then_some(place)
    }
}

/// The text. A method is told where something begins and says where it ends, `None` if it is not there.
#[derive(Copy, Clone)]
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        self.0.as_bytes().get(at).copied()
    }

    #[inline]
    fn rest(self, at: usize) -> &'a [u8] {
        self.0.as_bytes().get(at..).unwrap_or_default()
    }

    /// White space, if any.
    #[inline]
    fn blank(self, mut at: usize) -> usize {
        loop {
            match self.byte(at) {
                Some(byte) if byte > b' ' => return at,
                Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
                _ => return at,
            }
        }
    }

    /// `wanted`, perhaps after white space.
    #[inline]
    fn pass(self, wanted: u8, at: usize) -> Option<usize> {
        let at = self.blank(at);
        (self.byte(at)? == wanted).then_some(at + 1)
    }

    /// The members of an object, after its opening brace; `member` is told a key and where its value begins.
    #[inline]
    fn members(
        self,
        at: usize,
        mut member: impl FnMut(&'a str, usize) -> Option<usize>,
    ) -> Option<usize> {
        if let Some(end) = self.pass(b'}', at) {
            return Some(end);
        }
        let mut at = at;
        loop {
            let (key, colon) = self.plain(self.pass(b'"', at)?)?;
            let end = member(key, self.pass(b':', colon)?)?;
            match self.pass(b',', end) {
                Some(next) => at = next,
                None => return self.pass(b'}', end),
            }
        }
    }

    /// A routing field's value: a string without escapes, or `null`, which counts as none.
    #[inline]
    fn routing(self, field: &mut Option<&'a str>, at: usize) -> Option<usize> {
        let at = self.blank(at);
        if self.byte(at)? == b'n' {
            return self.word("null", at);
        }
        let (found, end) = self.plain(self.pass(b'"', at)?)?;
        *field = Some(found);
        Some(end)
    }

    /// The value of `request` or `response`. Only an object has fields.
    fn inner(self, inner: &mut Inner<&'a str>, at: usize) -> Option<usize> {
        let Some(first) = self.pass(b'{', at) else {
            return self.value(at);
        };
        let mut seen = Seen::default();
        self.members(first, |key, at| match key {
            "subtype" => self.routing(seen.once(0, &mut inner.subtype)?, at),
            "request_id" => self.routing(seen.once(1, &mut inner.request_id)?, at),
            _ => self.value(at),
        })
    }

    /// Any value.
    fn value(self, mut at: usize) -> Option<usize> {
        let mut open = Open::default();
        loop {
            at = self.blank(at);
            at = match self.byte(at)? {
                b'"' => self.string(at + 1)?,
                b'{' => {
                    if let Some(end) = self.pass(b'}', at + 1) {
                        end
                    } else {
                        open.enter(true)?;
                        at = self.key(at + 1)?;
                        continue;
                    }
                }
                b'[' => {
                    if let Some(end) = self.pass(b']', at + 1) {
                        end
                    } else {
                        open.enter(false)?;
                        at += 1;
                        continue;
                    }
                }
                b't' => self.word("true", at)?,
                b'f' => self.word("false", at)?,
                b'n' => self.word("null", at)?,
                _ => self.number(at)?,
            };
            // A value ends here, and perhaps what it is in.
            loop {
                let Some(is_object) = open.innermost() else {
                    return Some(at);
                };
                at = self.blank(at);
                match (self.byte(at)?, is_object) {
                    (b',', false) => {
                        at += 1;
                        break;
                    }
                    (b',', true) => {
                        at = self.key(at + 1)?;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        at += 1;
                        open.leave();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// A key and its colon.
    #[inline]
    fn key(self, at: usize) -> Option<usize> {
        let colon = self.string(self.pass(b'"', at)?)?;
        self.pass(b':', colon)
    }

    #[inline]
    fn word(self, word: &str, at: usize) -> Option<usize> {
        self.rest(at)
            .starts_with(word.as_bytes())
            .then_some(at + word.len())
    }

    fn number(self, mut at: usize) -> Option<usize> {
        if self.byte(at)? == b'-' {
            at += 1;
        }
        at = match self.byte(at)? {
            b'0' => at + 1,
            _ => self.digits(at)?,
        };
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.byte(at) {
            at += 1;
            if let Some(b'+' | b'-') = self.byte(at) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        Some(at)
    }

    /// One digit or more.
    #[inline]
    fn digits(self, start: usize) -> Option<usize> {
        let mut at = start;
        while let Some(b'0'..=b'9') = self.byte(at) {
            at += 1;
        }
        (at > start).then_some(at)
    }

    /// A string without escapes, after its opening quote: what it says, and where it ends.
    #[inline]
    fn plain(self, at: usize) -> Option<(&'a str, usize)> {
        let end = at + plain_length(self.rest(at));
        let found = self.0.get(at..end)?;
        (self.byte(end)? == b'"').then_some((found, end + 1))
    }

    /// A string, after its opening quote.
    fn string(self, mut at: usize) -> Option<usize> {
        loop {
            at += plain_length(self.rest(at));
            at = match self.byte(at)? {
                b'"' => return Some(at + 1),
                b'\\' => self.escape(at + 1)?,
                _ => return None,
            };
        }
    }

    /// An escape, after its backslash. Which character it stands for does not matter here.
    #[inline]
    fn escape(self, at: usize) -> Option<usize> {
        match self.byte(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => {
                let digits: &[u8; 4] = self.rest(at + 1).first_chunk()?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
            }
            _ => None,
        }
    }
}

/// The objects and arrays that are open: below a bit that marks the outside a bit for each, set for an object.
struct Open(u64);

impl Default for Open {
    fn default() -> Self {
        Self(1)
    }
}

impl Open {
    /// `None` if there are as many as there is room for.
    #[inline]
    fn enter(&mut self, is_object: bool) -> Option<()> {
        let has_room = self.0.leading_zeros() > 0;
        self.0 = self.0 << 1 | u64::from(is_object);
        has_room.then_some(())
    }

    #[inline]
    fn leave(&mut self) {
        self.0 >>= 1;
    }

    /// Whether the innermost one is an object; `None` if none is open.
    #[inline]
    fn innermost(&self) -> Option<bool> {
        (self.0 != 1).then_some(self.0 & 1 == 1)
    }
}

/// How many bytes at the start of `text` mean themselves inside a string.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let mut passed = 0;
    while let Some((words, _)) = text.get(passed..).map(<[u8]>::as_chunks) {
        for word in words.iter().take(SHORT) {
            if let Some(before) = before_special(*word) {
                return passed + before;
            }
            passed += word.len();
        }
        if words.len() < SHORT {
            break;
        }
        passed += plain_blocks(text.get(passed..).unwrap_or_default());
    }
    let rest = text.get(passed..).unwrap_or_default();
    let before = rest.iter().position(|byte| is_special(*byte));
    before.map_or(text.len(), |before| passed + before)
}

/// The same, in whole blocks.
#[inline(never)]
fn plain_blocks(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| {
        let special = |any, byte: &u8| any | u8::from(is_special(*byte));
        block.iter().fold(0, special) == 0
    };
    blocks.iter().take_while(is_plain).count() * BLOCK
}

/// Whether `byte` ends a run: a quote, a backslash, or a control character, which has no place in a string.
#[inline]
fn is_special(byte: u8) -> bool {
    byte ^ FLIP < BELOW || byte == b'\\'
}

/// Exchanges the quote with the space, next to the control characters.
const FLIP: u8 = b'"' ^ b' ';

/// What is below this, is a control character or was the quote.
const BELOW: u8 = b' ' + 1;

/// How many bytes stand before the first special one, looked for in all bytes at once.
///
/// A byte of the lower half that is less than what is subtracted from it borrows, and that sets its highest
/// bit. A borrow can mark the next byte wrongly, but the lowest mark is always right, and only that counts.
#[inline]
fn before_special(word: [u8; 8]) -> Option<usize> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let word = u64::from_le_bytes(word);
    let below = |flip: u8, bound: u8| {
        (word ^ (EACH * u64::from(flip))).wrapping_sub(EACH * u64::from(bound))
    };
    let found = (below(FLIP, BELOW) | below(b'\\', 1)) & !word & HIGHEST;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// At the edges of what is special, and the same with the highest bit set.
    const EDGES: &[u8] = b"\0\x1f !\"#[\\]\x7f\x80\x9f\xa0\xa2\xdc\xff";

    proptest! {
        #[test]
        fn eight_bytes_at_once_are_as_eight_bytes(
            word in prop::array::uniform8(prop_oneof![any::<u8>(), select(EDGES)]),
        ) {
            let one_by_one = word.iter().position(|byte| is_special(*byte));
            prop_assert_eq!(before_special(word), one_by_one);
        }
    }

    #[test]
    fn a_quote_a_backslash_and_control_characters_are_special() {
        let special = (0..=u8::MAX).filter(|byte| is_special(*byte));
        assert!(special.eq((0..0x20).chain([b'"', b'\\'])));
    }
}
