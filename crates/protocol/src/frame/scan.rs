//! A frame's routing fields, found in one pass over its text.
//!
//! The scan checks the whole text as it goes, wherever the fields stand in it, and allocates nothing. It has
//! no errors, only doubts: what is malformed, nested very deeply or written in an unusual way (an escape in
//! a routing field, a field that stands there twice) is left to `serde_json`, which has the last word. So
//! the scan must never accept what `serde_json` refuses, and that is all it can get wrong.

use alloc::borrow::Cow;

use super::envelope::{Envelope, Inner};

/// Nesting that fits into the scan's memory: one bit a level.
const DEPTH: u32 = u64::BITS;

/// Words without anything special after which a string counts as long.
const LONG: u32 = 4;

/// The routing fields of `text`; `None` if there is any doubt.
pub(super) fn envelope(text: &str) -> Option<Envelope<'_>> {
    let mut scan = Scan { text, at: 0 };
    let mut envelope = Envelope::default();
    let mut seen = Seen::default();
    scan.pass(b'{')?;
    scan.members(|scan, key| match key {
        "type" => scan.routing(seen.once(0)?, &mut envelope.type_name),
        "uuid" => scan.routing(seen.once(1)?, &mut envelope.uuid),
        "request_id" => scan.routing(seen.once(2)?, &mut envelope.request_id),
        "request" => scan.inner(seen.once(3)?, &mut envelope.request),
        "response" => scan.inner(seen.once(4)?, &mut envelope.response),
        _ => scan.value(),
    })?;
    scan.blank();
    (scan.at == text.len()).then_some(envelope)
}

/// Which fields have been met.
#[derive(Default)]
struct Seen(u8);

/// A field is met for the first time.
struct Once;

impl Seen {
    fn once(&mut self, field: u8) -> Option<Once> {
        let bit = 1 << field;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then_some(Once)
    }
}

struct Scan<'a> {
    text: &'a str,
    /// Bytes that have been passed.
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes white space; the byte after it.
    #[inline]
    fn blank(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(byte) if byte > b' ' => return Some(byte),
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Passes `wanted`, and white space before it.
    #[inline]
    fn pass(&mut self, wanted: u8) -> Option<()> {
        (self.blank()? == wanted).then(|| self.at += 1)
    }

    /// Passes the members of an object whose brace has been passed; `member` passes the value of a key.
    #[inline]
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        if self.pass(b'}').is_some() {
            return Some(());
        }
        loop {
            self.pass(b'"')?;
            let key = self.plain()?;
            self.pass(b':')?;
            member(self, key)?;
            if self.pass(b',').is_none() {
                return self.pass(b'}');
            }
        }
    }

    /// Passes a routing field's value: a string without escapes, or `null`, which counts as none.
    #[inline]
    fn routing(&mut self, _: Once, field: &mut Option<Cow<'a, str>>) -> Option<()> {
        match self.blank()? {
            b'"' => {
                self.at += 1;
                *field = Some(Cow::Borrowed(self.plain()?));
                Some(())
            }
            b'n' => self.literal("null"),
            _ => None,
        }
    }

    /// Passes `request` or `response`. Only an object has fields.
    fn inner(&mut self, _: Once, inner: &mut Inner<'a>) -> Option<()> {
        if self.blank()? != b'{' {
            return self.value();
        }
        self.at += 1;
        let mut seen = Seen::default();
        self.members(|scan, key| match key {
            "subtype" => scan.routing(seen.once(0)?, &mut inner.subtype),
            "request_id" => scan.routing(seen.once(1)?, &mut inner.request_id),
            _ => scan.value(),
        })
    }

    /// Passes any value. There is no recursion.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0;
        // The innermost level is the lowest bit: set for an object.
        let mut objects = 0_u64;
        loop {
            match self.blank()? {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                }
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    if self.pass(if is_object { b'}' } else { b']' }).is_none() {
                        if depth == DEPTH {
                            return None;
                        }
                        depth += 1;
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = objects & 1 == 1;
                match self.blank()? {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                self.at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Passes a key and its colon.
    #[inline]
    fn key(&mut self) -> Option<()> {
        self.pass(b'"')?;
        self.string()?;
        self.pass(b':')
    }

    #[inline]
    fn literal(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Passes one digit or more.
    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Passes a string without escapes whose opening quote has been passed.
    #[inline]
    fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.run();
        let found = self.text.get(start..self.at)?;
        (self.peek()? == b'"').then(|| {
            self.at += 1;
            found
        })
    }

    /// Passes a string whose opening quote has been passed.
    #[inline]
    fn string(&mut self) -> Option<()> {
        loop {
            self.run();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    #[inline]
    fn escape(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = bytes.get(self.at + 2..self.at + 6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes bytes of a string that mean themselves.
    #[inline]
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut words = 0;
        while let Some(word) = bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            if let Some(before) = before_special(*word) {
                self.at += before;
                return;
            }
            self.at += word.len();
            words += 1;
            if words == LONG {
                words = 0;
                self.long_run();
            }
        }
        while self.peek().is_some_and(|byte| !is_special(byte)) {
            self.at += 1;
        }
    }

    /// Passes whole blocks of such bytes. The compiler makes vector instructions of it.
    #[inline(never)]
    fn long_run(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (blocks, _) = rest.as_chunks::<64>();
        for block in blocks {
            let special = block
                .iter()
                .fold(0, |any, byte| any | u8::from(is_special(*byte)));
            if special != 0 {
                return;
            }
            self.at += block.len();
        }
    }
}

/// Whether `byte` ends a run: a quote, a backslash, or a control character, which has no place in a string.
#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes stand before the first special one, looked for in all bytes at once.
///
/// A subtraction's borrow can mark a byte wrongly only above one that is marked rightly, and the lowest mark
/// is what counts.
#[inline]
fn before_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let is_control = word.wrapping_sub(ONES * 0x20);
    let is_byte = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    let found = (is_control | is_byte(b'"') | is_byte(b'\\')) & !word & HIGH;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}
