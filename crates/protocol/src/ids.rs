//! Ids that are pasted into URLs, checked once where they enter.

use alloc::{format, string::String};
use core::fmt;

use bytestring::ByteString;

/// The longest session or organization id, in bytes.
pub const ID_LIMIT: usize = 128;

/// An id that can't be used in a URL.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {ID_LIMIT} characters out of A-Z, a-z, 0-9, _ and -")]
pub struct InvalidId;

/// Names one session. `session_X` and `cse_X` are two spellings of the same id and compare equal.
///
/// ```
/// use attache_protocol::SessionId;
///
/// let id = SessionId::parse("cse_01ab").unwrap();
/// assert_eq!(id, SessionId::parse("session_01ab").unwrap());
/// assert_eq!(id.v1(), "session_01ab");
/// assert!(SessionId::parse("../etc").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    tagged: bool,
    bare: ByteString,
}

impl SessionId {
    /// Takes either spelling, or an id without a prefix.
    ///
    /// # Errors
    /// [`InvalidId`] when a character would need escaping in a URL, or there are too many or none.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        checked(text)?;
        let bare = text
            .strip_prefix("session_")
            .or_else(|| text.strip_prefix("cse_"));
        if bare == Some("") {
            return Err(InvalidId);
        }
        Ok(Self {
            tagged: bare.is_some(),
            bare: bare.unwrap_or(text).into(),
        })
    }

    /// The spelling of the first API generation: `session_X`.
    pub fn v1(&self) -> String {
        if self.tagged {
            format!("session_{}", self.bare)
        } else {
            String::from(&*self.bare)
        }
    }

    /// The spelling of the second API generation: `cse_X`.
    pub fn v2(&self) -> String {
        if self.tagged {
            format!("cse_{}", self.bare)
        } else {
            String::from(&*self.bare)
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.v1())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.v1())
    }
}

/// Names the organization a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationId(ByteString);

impl OrganizationId {
    /// Takes an organization's id, usually a UUID.
    ///
    /// # Errors
    /// [`InvalidId`] when a character would need escaping in a URL, or there are too many or none.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        checked(text)?;
        Ok(Self(text.into()))
    }

    /// The id as it goes into URLs and headers.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(text: &str) -> Result<(), InvalidId> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=ID_LIMIT).contains(&text.len()) && text.bytes().all(plain) {
        Ok(())
    } else {
        Err(InvalidId)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn what_would_need_escaping_is_refused() {
        for text in [
            "", "a/b", "a?b", "a&b", "a b", "ä", "..", "a%2f", "session_", "cse_",
        ] {
            assert_eq!(SessionId::parse(text), Err(InvalidId), "{text}");
        }
        assert!(SessionId::parse(&"x".repeat(ID_LIMIT)).is_ok());
        assert!(SessionId::parse(&"x".repeat(ID_LIMIT + 1)).is_err());
        assert!(OrganizationId::parse("a?b").is_err());
    }

    #[test]
    fn an_id_without_a_prefix_is_its_own_spelling() {
        let id = SessionId::parse("demo").unwrap();
        assert_eq!((id.v1().as_str(), id.v2().as_str()), ("demo", "demo"));
        assert_ne!(id, SessionId::parse("session_demo").unwrap());
    }

    #[test]
    fn an_id_is_shown_in_its_first_spelling_whichever_it_came_in() {
        for text in ["session_1", "cse_1"] {
            let id = SessionId::parse(text).unwrap();
            assert_eq!(id.to_string(), "session_1");
            assert_eq!(format!("{id:?}"), "SessionId(session_1)");
        }
    }
}
