//! Text from elsewhere, made safe to print.

use std::fmt::Write;

/// `text` without anything that moves the cursor, colours, or reorders what a person reads. Line feeds
/// and tabs stay.
///
/// Well-formed colour and cursor sequences go as a whole. Of everything else only the control
/// characters themselves go, so that no visible text can be hidden by a sequence that never ends.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_unsafe) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        rest = found
            .strip_prefix("\u{1b}[")
            .and_then(after_csi)
            .unwrap_or_else(|| without_first(found));
    }
    out.push_str(rest);
    out
}

/// [`plain`] text on one line of at most `limit` characters; what was cut is marked.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for (count, word) in plain(text).split_whitespace().enumerate() {
        if count > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    shorten(line, limit)
}

/// A JSON text for display on one line: nothing is taken away, unsafe characters are shown as escapes.
pub(crate) fn json_line(json: &str, limit: usize) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, '\n' | '\r' | '\t') {
            // Inside strings these stand as escapes already; outside they are only space.
            line.push(' ');
        } else if is_unsafe(character) {
            let _ = write!(line, "\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    shorten(line, limit)
}

/// Cuts `line` to `limit` characters.
fn shorten(mut line: String, limit: usize) -> String {
    let Some((cut, _)) = line.char_indices().nth(limit) else {
        return line;
    };
    let hidden = line.get(cut..).map_or(0, |rest| rest.chars().count());
    line.truncate(cut);
    let _ = write!(line, "… (+{hidden} characters)");
    line
}

fn is_unsafe(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Bidirectional overrides, isolates and marks, and line separators.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

/// What follows the control sequence whose introducer has been read, if it is well-formed.
fn after_csi(body: &str) -> Option<&str> {
    let end = body.find(|c| !matches!(c, ' '..='?'))?;
    let (_, tail) = body.split_at(end);
    matches!(tail.chars().next(), Some('@'..='~')).then(|| without_first(tail))
}

fn without_first(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_go_and_text_stays() {
        assert_eq!(plain("a\u{1b}[31mred\u{1b}[0m\tb\nc"), "ared\tb\nc");
        assert_eq!(plain("x\u{1b}]0;title\u{7}y"), "x]0;titley");
        assert_eq!(plain("\u{9b}31mz\u{8}\r"), "31mz");
        assert_eq!(plain("safe\u{202e}evil"), "safeevil");
        assert_eq!(plain("tail\u{1b}"), "tail");
        assert_eq!(plain("\u{1b}[31"), "[31");
    }

    #[test]
    fn nothing_visible_hides_behind_a_sequence_that_never_ends() {
        assert_eq!(plain("ls \u{1b}]0; rm -rf x"), "ls ]0; rm -rf x");
    }

    #[test]
    fn json_shows_what_it_would_otherwise_hide() {
        assert_eq!(
            json_line("{\"a\":\n\"x\u{202e}y\u{9b}\"}", 99),
            "{\"a\": \"x\\u202ey\\u009b\"}"
        );
    }

    #[test]
    fn a_long_line_says_how_much_is_missing() {
        assert_eq!(one_line("a b\n\n c", 9), "a b c");
        assert_eq!(one_line("äöüß", 2), "äö… (+2 characters)");
    }
}
