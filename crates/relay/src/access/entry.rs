//! One line of a token file.

use std::time::SystemTime;

use super::Role;
use crate::store::TokenHash;

/// The longest name of a token, in bytes.
const NAME_LIMIT: usize = 64;
const HASH: &str = "sha256:";
const EXPIRES: &str = "expires=";

/// What a token file says of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenEntry {
    /// Whose it is; the answers of its holder are signed with it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The token's hash.
    pub hash: TokenHash,
    /// When it stops opening anything; `None` is never.
    pub expires_at: Option<SystemTime>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadLine {
    /// It has too few or too many parts.
    #[error("a line is `NAME ROLE sha256:HEX [expires=TIME]`")]
    Shape,
    /// The name can't be one.
    #[error("a name is 1 to {NAME_LIMIT} letters, digits, `.`, `_`, `@` or `-`")]
    Name,
    /// The role is none.
    #[error(transparent)]
    Role(#[from] super::UnknownRole),
    /// The hash is none.
    #[error("the token's hash is `sha256:` and 64 hexadecimal digits")]
    Hash,
    /// The time is none.
    #[error("the time is written like 2030-01-31T12:00:00Z")]
    Expiry,
    /// The name or the token stood in an earlier line.
    #[error("its name or its token is in line {0} already")]
    Repeated(usize),
}

impl TokenEntry {
    /// Reads a line; `None` when there is nothing on it but a comment.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, BadLine> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let mut parts = line.split_whitespace();
        let (Some(name), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(BadLine::Shape);
        };
        let (expiry, None) = (parts.next(), parts.next()) else {
            return Err(BadLine::Shape);
        };
        check_name(name)?;
        let expires_at = expiry.map(|expiry| {
            let time = expiry.strip_prefix(EXPIRES).ok_or(BadLine::Shape)?;
            humantime::parse_rfc3339(time).map_err(|_| BadLine::Expiry)
        });
        Ok(Some(Self {
            name: name.to_owned(),
            role: role.parse()?,
            hash: hash
                .strip_prefix(HASH)
                .and_then(TokenHash::from_hex)
                .ok_or(BadLine::Hash)?,
            expires_at: expires_at.transpose()?,
        }))
    }

    /// The line that [`parse`](Self::parse) reads as this.
    pub(super) fn line(&self) -> String {
        let Self {
            name,
            role,
            hash,
            expires_at,
        } = self;
        let expiry = expires_at.map_or_else(String::new, |at| {
            format!(" {EXPIRES}{}", humantime::format_rfc3339_seconds(at))
        });
        format!("{name} {role} {HASH}{}{expiry}", hash.to_hex())
    }

    /// Whether it opens nothing any more.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), BadLine> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    if name.is_empty() || name.len() > NAME_LIMIT || !name.bytes().all(fits) {
        return Err(BadLine::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_read_back() {
        for expires_at in [
            None,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)),
        ] {
            let entry = TokenEntry {
                name: "ann@home".to_owned(),
                role: Role::Approve,
                hash: TokenHash::of("token"),
                expires_at,
            };
            assert_eq!(TokenEntry::parse(&entry.line()), Ok(Some(entry)));
        }
        for nothing in ["", "  ", "# ann view sha256:"] {
            assert_eq!(TokenEntry::parse(nothing), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_with_it() {
        let hash = format!("sha256:{}", TokenHash::of("token").to_hex());
        for (line, problem) in [
            ("ann".to_owned(), BadLine::Shape),
            (format!("ann view {hash} tomorrow"), BadLine::Shape),
            (format!("ann view {hash} expires=tomorrow"), BadLine::Expiry),
            (
                format!("ann view {hash} expires=2030-01-31T12:00:00Z more"),
                BadLine::Shape,
            ),
            (format!("a/b view {hash}"), BadLine::Name),
            (
                format!("ann root {hash}"),
                BadLine::Role(super::super::UnknownRole),
            ),
            ("ann view attache_secret".to_owned(), BadLine::Hash),
            ("ann view sha256:abc".to_owned(), BadLine::Hash),
        ] {
            assert_eq!(TokenEntry::parse(&line), Err(problem), "{line}");
        }
    }
}
