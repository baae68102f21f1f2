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
//! character mean anything but themselves. These are marked for 64 bytes at once and without a branch; then a
//! short string is a matter of counting bits ([`window`]), and so are the escapes of a long one ([`string`]). Of the
//! bytes that are not ASCII nothing has to be checked: the text is a `str`. The rest is one byte after the other,
//! without recursion: the kinds of the open brackets are the bits of one word.

mod special;
mod string;
mod window;

use super::envelope::{Envelope, Inner};
use special::BLOCK;
use window::Window;

/// The routing fields of `text`; `None` if there is any doubt.
pub(super) fn envelope(text: &str) -> Option<Envelope<&str>> {
    let mut envelope = Envelope::default();
    let mut seen = Seen::default();
    let mut scan = Scan::new(text);
    let open = scan.pass(b'{', 0)?;
    let end = scan.members(open, |scan, key, at| match key {
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
struct Scan<'a> {
    text: &'a str,
    window: Window,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            window: Window::new(text.as_bytes(), 0),
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    #[inline]
    fn rest(&self, at: usize) -> &'a [u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }

    /// White space, if any.
    #[inline]
    fn blank(&self, mut at: usize) -> usize {
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
    fn pass(&self, wanted: u8, at: usize) -> Option<usize> {
        let at = self.blank(at);
        (self.byte(at)? == wanted).then_some(at + 1)
    }

    /// The members of an object, after its opening brace; `member` is told a key and where its value begins.
    #[inline]
    fn members(
        &mut self,
        at: usize,
        mut member: impl FnMut(&mut Self, &'a str, usize) -> Option<usize>,
    ) -> Option<usize> {
        if let Some(end) = self.pass(b'}', at) {
            return Some(end);
        }
        let mut at = at;
        loop {
            let (key, colon) = self.plain(self.pass(b'"', at)?)?;
            let value = self.pass(b':', colon)?;
            let end = member(self, key, value)?;
            match self.pass(b',', end) {
                Some(next) => at = next,
                None => return self.pass(b'}', end),
            }
        }
    }

    /// A routing field's value: a string without escapes, or `null`, which counts as none.
    #[inline]
    fn routing(&mut self, field: &mut Option<&'a str>, at: usize) -> Option<usize> {
        let at = self.blank(at);
        if self.byte(at)? == b'n' {
            return self.word("null", at);
        }
        let (found, end) = self.plain(self.pass(b'"', at)?)?;
        *field = Some(found);
        Some(end)
    }

    /// The value of `request` or `response`. Only an object has fields.
    fn inner(&mut self, inner: &mut Inner<&'a str>, at: usize) -> Option<usize> {
        let Some(first) = self.pass(b'{', at) else {
            return self.value(at);
        };
        let mut seen = Seen::default();
        self.members(first, |scan, key, at| match key {
            "subtype" => scan.routing(seen.once(0, &mut inner.subtype)?, at),
            "request_id" => scan.routing(seen.once(1, &mut inner.request_id)?, at),
            _ => scan.value(at),
        })
    }

    /// Any value.
    fn value(&mut self, mut at: usize) -> Option<usize> {
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
    fn key(&mut self, at: usize) -> Option<usize> {
        let colon = self.string(self.pass(b'"', at)?)?;
        self.pass(b':', colon)
    }

    #[inline]
    fn word(&self, word: &str, at: usize) -> Option<usize> {
        self.rest(at)
            .starts_with(word.as_bytes())
            .then_some(at + word.len())
    }

    fn number(&self, mut at: usize) -> Option<usize> {
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
    fn digits(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while let Some(b'0'..=b'9') = self.byte(at) {
            at += 1;
        }
        (at > start).then_some(at)
    }

    /// A string without escapes, after its opening quote: what it says, and where it ends.
    #[inline]
    fn plain(&mut self, start: usize) -> Option<(&'a str, usize)> {
        let mut end = start;
        loop {
            let plain = self.window.plain_length(self.text.as_bytes(), end);
            end += plain;
            if plain < BLOCK {
                break;
            }
        }
        let found = self.text.get(start..end)?;
        (self.byte(end)? == b'"').then_some((found, end + 1))
    }

    /// A string, after its opening quote.
    #[inline]
    fn string(&mut self, at: usize) -> Option<usize> {
        let at = at + self.window.plain_length(self.text.as_bytes(), at);
        match self.byte(at)? {
            b'"' => Some(at + 1),
            _ => string::end(self.text.as_bytes(), at),
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
    use alloc::format;

    use super::*;

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
}
