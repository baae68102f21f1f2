//! How far an application has come, in a form that survives its process.

use core::{fmt, str::FromStr};

use crate::{frame::UUID_LIMIT, kept_id::KeptId};

/// How far the application has come: it has taken everything up to here, and nothing after.
///
/// The text form (`seq:42`, `id:6f0c…`) is for keeping it in a file.
///
/// ```
/// use attache_protocol::viewer::Cursor;
///
/// let cursor: Cursor = "seq:42".parse().unwrap();
/// assert_eq!(cursor, Cursor::Sequence(42));
/// assert_eq!(cursor.to_string(), "seq:42");
/// assert!("42".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// The number of the last event, as streams count them.
    Sequence(u64),
    /// The id of the last event, as lists name them.
    Event(KeptId),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(number) => write!(f, "seq:{number}"),
            Self::Event(id) => write!(f, "id:{id}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let digits = |number: &&str| number.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once(':') {
            Some(("seq", number)) => Some(number)
                .filter(digits)
                .and_then(|number| number.parse().ok())
                .map(Self::Sequence),
            Some(("id", id)) if (1..=UUID_LIMIT).contains(&id.len()) => {
                Some(Self::Event(id.into()))
            }
            Some(_) | None => None,
        }
        .ok_or(InvalidCursor)
    }
}

/// A text is no cursor.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is `seq:` with a number or `id:` with the id of an event")]
pub struct InvalidCursor;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for cursor in [
            Cursor::Sequence(0),
            Cursor::Sequence(u64::MAX),
            Cursor::Event("6f0c".into()),
            Cursor::Event("id:seq: ä\n".into()),
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let long = "id:".to_string() + &"x".repeat(UUID_LIMIT + 1);
        for text in [
            "",
            "7",
            "seq:",
            "seq:-1",
            "seq:+1",
            "seq: 1",
            "seq:18446744073709551616",
            "id:",
            "uuid:x",
            &long,
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
