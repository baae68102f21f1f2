//! Who may come in.

use attache_protocol::io::Token;
use subtle::{Choice, ConstantTimeEq};

use crate::TokenRegistry;

/// The bearer tokens a relay accepts, besides those of its sessions' shares and workers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Any token that is not empty. For one machine: [`Relay::serve`](crate::Relay::serve) refuses
    /// this on an address that others can reach, and requests for or from another name than
    /// `localhost` (web pages, that is) get 403.
    #[default]
    Open,
    /// Exactly these, each with the role [`Own`](crate::Role::Own). They are compared in constant
    /// time.
    Tokens(Vec<Token>),
    /// Those of a token file, each with its role, as the file is now.
    Registry(TokenRegistry),
}

impl Credentials {
    /// Whether `token` is one of `known`.
    pub(crate) fn contain(known: &[Token], token: &str) -> bool {
        let hit = known.iter().fold(Choice::from(0), |hit, known| {
            hit | known.expose().as_bytes().ct_eq(token.as_bytes())
        });
        !token.is_empty() && bool::from(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_tokens_come_in() {
        let known = vec![Token::new("one"), Token::new("two"), Token::new("")];
        for good in ["one", "two"] {
            assert!(Credentials::contain(&known, good));
        }
        for stranger in ["", "on", "onee", "three"] {
            assert!(!Credentials::contain(&known, stranger), "{stranger}");
        }
        assert!(!format!("{:?}", Credentials::Tokens(known)).contains("one"));
    }
}
