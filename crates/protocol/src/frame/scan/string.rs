//! Where a string ends that is long or has escapes.

use super::special::{BLOCK, Kinds, padded, plain_length};

/// The place behind the closing quote of a string that goes on at `at`, outside of an escape.
#[inline(never)]
pub(super) fn end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut backslashes = Backslashes::default();
    let mut was_plain = false;
    loop {
        let rest = text.get(at..)?;
        let copy;
        let block = if let Some(block) = rest.first_chunk() {
            block
        } else {
            copy = padded(rest);
            &copy
        };
        let kinds = Kinds::of(block);
        let escaped = backslashes.escape(kinds.backslashes);
        let ends = kinds.quotes & !escaped;
        let length = ends.trailing_zeros() as usize;
        if kinds.has_control && block.iter().take(length).any(|byte| *byte < b' ') {
            return None;
        }
        let inside = (ends & ends.wrapping_neg()).wrapping_sub(1);
        let mut unusual = escaped & inside & !kinds.usual;
        while unusual != 0 {
            escape(text, at + unusual.trailing_zeros() as usize)?;
            unusual &= unusual - 1;
        }
        if ends != 0 {
            return Some(at + length + 1);
        }
        at += BLOCK;
        let is_plain = kinds.backslashes | escaped == 0;
        if was_plain & is_plain {
            at += plain_length(text.get(at..)?);
        }
        was_plain = is_plain;
    }
}

/// Whether what stands at `at`, behind a backslash, is the rest of an escape. Which character it stands for does
/// not matter here.
fn escape(text: &[u8], at: usize) -> Option<()> {
    let is_escape = match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
        b'u' => {
            let digits: &[u8; 4] = text.get(at + 1..)?.first_chunk()?;
            digits.iter().all(u8::is_ascii_hexdigit)
        }
        _ => false,
    };
    is_escape.then_some(())
}

/// What the backslashes of a string do, block after block.
#[derive(Default)]
struct Backslashes {
    /// 1 if the first byte of the next block is escaped.
    first: u64,
}

impl Backslashes {
    /// Marks what is escaped in the next block: of backslashes that follow each other, every other one.
    #[inline]
    fn escape(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let perhaps = backslashes & !self.first;
        // The subtraction borrows from the end of a run of backslashes to its beginning, so that it says for each whether
        // it stands there after an even number of them.
        let either = ((perhaps << 1 | ODD).wrapping_sub(perhaps)) ^ ODD;
        let escaped = either ^ (backslashes | self.first);
        self.first = (either & backslashes) >> 63;
        escaped
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
                    1 => "[a-z\u{e9}]{100,400}",
                    8 => select(ESCAPES).prop_map(String::from),
                    2 => r"(\\\\){1,70}",
                    1 => select(ENDS).prop_map(String::from),
                ],
                0..40,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(end(text.as_bytes(), 0), byte_by_byte(&text));
        }
    }

    #[test]
    fn every_place_in_a_block_can_hold_an_escape_an_end_or_what_is_no_string() {
        for before in 0..2 * BLOCK + 2 {
            let plain = "x".repeat(before);
            for what in ESCAPES.iter().chain(ENDS) {
                for after in ["\"", r#"\n\\\"\u00e9""#, "\u{1f}\"", r#"\x""#, ""] {
                    for text in [
                        format!("{plain}{what}{after}"),
                        format!("{plain}{what}{plain}{after}{plain}"),
                    ] {
                        assert_eq!(end(text.as_bytes(), 0), byte_by_byte(&text), "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_a_run_of_backslashes_every_other_one_is_escaped_wherever_it_begins() {
        for before in 0..BLOCK + 2 {
            for run in 0..2 * BLOCK + 2 {
                for after in ["\"", "n\"", "x\"", "\"x\"", "\u{1}\""] {
                    let text = format!("{}{}{after}", "x".repeat(before), "\\".repeat(run));
                    assert_eq!(end(text.as_bytes(), 0), byte_by_byte(&text), "{text:?}");
                }
            }
        }
    }

    const ESCAPES: &[&str] = &[
        r"\n", r"\r", r"\t", r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\u00e9", r"\uD83D", r#"\\\""#,
    ];
    const ENDS: &[&str] = &[
        "\"", "\n", r"\", r"\x", r"\u00", r"\u00g9", r"\u", "\0", "\u{1f}", "\\\n", r"\U00e9",
        r"\é",
    ];

    fn byte_by_byte(text: &str) -> Option<usize> {
        let mut bytes = text.bytes();
        loop {
            match bytes.next()? {
                b'"' => return Some(text.len() - bytes.len()),
                b'\\' => match bytes.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            char::from(bytes.next()?).to_digit(16)?;
                        }
                    }
                    _ => return None,
                },
                0..0x20 => return None,
                _ => {}
            }
        }
    }
}
