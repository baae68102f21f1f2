//! Tokens and what is kept of them.

use attache_protocol::io::Token;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::store::TokenHash;

/// What a person's token starts with.
const TOKEN_PREFIX: &str = "attache_";
/// What a share's token starts with, so that nothing else has to be asked about it.
const SHARE_PREFIX: &str = "attache_share_";
/// 256 bits in base64.
const RANDOM_CHARACTERS: usize = 43;

/// The system gave no randomness for a new token.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no randomness for a new token; try again")]
pub struct NoRandomness;

/// A new token for a person.
pub(crate) fn new_token() -> Result<Token, NoRandomness> {
    mint(TOKEN_PREFIX)
}

/// A new token for a share.
pub(crate) fn new_share_token() -> Result<Token, NoRandomness> {
    mint(SHARE_PREFIX)
}

/// Whether `token` has the shape of a share's token; whether it is one, only the store can tell.
pub(crate) fn may_be_shares(token: &str) -> bool {
    token
        .strip_prefix(SHARE_PREFIX)
        .is_some_and(|random| random.len() == RANDOM_CHARACTERS)
}

fn mint(prefix: &str) -> Result<Token, NoRandomness> {
    let random: [u8; 32] = crate::id::random().map_err(|_| NoRandomness)?;
    let mut token = String::from(prefix);
    URL_SAFE_NO_PAD.encode_string(random, &mut token);
    Ok(Token::new(token))
}

impl TokenHash {
    /// The hash of `token`.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    pub(crate) fn to_hex(self) -> String {
        use core::fmt::Write as _;
        self.0
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_the_same_and_each_tells_its_kind() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), "attache_".len() + 43);
        assert!(!may_be_shares(one.expose()));
        let share = new_share_token().unwrap();
        assert!(may_be_shares(share.expose()));
        assert!(!may_be_shares("attache_share_short"));
    }

    #[test]
    fn a_hash_is_read_back_from_its_digits() {
        let hash = TokenHash::of("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_hex(), hex);
        assert!(TokenHash::from_hex(hex) == Some(hash));
        for bad in ["", "ba", &hex.replace('b', "g"), &format!("{hex}00")] {
            assert!(TokenHash::from_hex(bad).is_none(), "{bad}");
        }
    }
}
