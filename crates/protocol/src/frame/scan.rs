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
//! in more, by plain code of which the compiler makes vector instructions. Of the bytes that are not ASCII nothing
//! has to be checked: the text is a `str`. The rest is one byte after the other, without recursion: the kinds of
//! the open brackets are the bits of one word.

mod special;

use super::envelope::{Envelope, Inner};
use special::{WORD, before_special, plain_blocks, plain_length, specials};

/// Bytes of a string of which it is asked together whether anything is special.
const STEP: usize = 2 * WORD;

/// Steps without anything special after which a string counts as long.
const SHORT: usize = 4;

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
    #[inline]
    fn string(self, at: usize) -> Option<usize> {
        // Most names end in their first word.
        if let Some(word) = self.rest(at).first_chunk()
            && let Some(before) = before_special(*word)
            && self.byte(at + before)? == b'"'
        {
            return Some(at + before + 1);
        }
        self.long_string(at)
    }

    /// The same, for one that is longer or has escapes.
    ///
    /// It is looked at in steps of one length, whatever is in it: so the processor goes on to the next one while
    /// it still finds out where an escape is.
    fn long_string(self, mut at: usize) -> Option<usize> {
        // What stands before this belongs to an escape.
        let mut read = at;
        let mut plain = 0;
        while let Some(step) = self.rest(at).first_chunk::<STEP>() {
            let (words, _) = step.as_chunks();
            let &[first, second] = words else { return None };
            let found = [specials(first), specials(second)];
            if found == [0, 0] {
                at += STEP;
                plain += 1;
                if plain == SHORT {
                    at += plain_blocks(self.rest(at));
                    plain = 0;
                }
                continue;
            }
            plain = 0;
            for mut specials in found {
                while specials != 0 {
                    let special = at + specials.trailing_zeros() as usize / 8;
                    specials &= specials - 1;
                    if special < read {
                        continue;
                    }
                    match self.byte(special)? {
                        b'"' => return Some(special + 1),
                        b'\\' => read = self.escape(special + 1)?,
                        _ => return None,
                    }
                }
                at += WORD;
            }
        }
        at = at.max(read);
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

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use proptest::{prelude::*, sample::select};

    use super::*;

    proptest! {
        #[test]
        fn a_string_ends_where_it_ends_when_it_is_read_byte_by_byte(
            parts in prop::collection::vec(
                prop_oneof![
                    8 => "[a-z\u{e9}]{0,40}",
                    8 => select(ESCAPES).prop_map(String::from),
                    1 => select(ENDS).prop_map(String::from),
                ],
                0..40,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(Scan(&text).string(0), byte_by_byte(&text));
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_none_of_the_scans() {
        const OUTER: [&str; 5] = ["type", "uuid", "request_id", "request", "response"];
        const INNER: [&str; 2] = ["subtype", "request_id"];
        let inner = |more: &str| format!(r#"{{"subtype":"s","request_id":"i"{more}}}"#);
        let outer = |more: &str, request: &str| {
            let response = inner("");
            format!(
                r#"{{"type":"t","uuid":"u","request_id":"r","request":{request},"response":{response}{more}}}"#
            )
        };
        let plain = outer(r#","other":1,"other":2"#, &inner(r#","other":1,"other":2"#));
        assert!(envelope(&plain).is_some());
        for field in OUTER {
            let value = if field.starts_with("re") && field != "request_id" {
                inner("")
            } else {
                r#""again""#.into()
            };
            let twice = outer(&format!(r#","{field}":{value}"#), &inner(""));
            assert!(envelope(&twice).is_none(), "{twice}");
        }
        for field in INNER {
            let twice = outer("", &inner(&format!(r#","{field}":"again""#)));
            assert!(envelope(&twice).is_none(), "{twice}");
        }
    }

    const ESCAPES: &[&str] = &[r"\n", r#"\""#, r"\\", r"\u00e9", r#"\\\""#];
    const ENDS: &[&str] = &["\"", "\n", r"\", r"\x", r"\u00", "\0"];

    fn byte_by_byte(text: &str) -> Option<usize> {
        let mut at = 0;
        loop {
            at = match text.as_bytes().get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => Scan(text).escape(at + 1)?,
                0..0x20 => return None,
                _ => at + 1,
            };
        }
    }
}
