//! Who may come in.

use attache_protocol::io::Token;
use subtle::{Choice, ConstantTimeEq};

/// The bearer tokens a relay accepts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Any token that is not empty. For one machine: [`Relay::serve`](crate::Relay::serve) refuses
    /// this on an address that others can reach, and requests for or from another name than
    /// `localhost` (web pages, that is) get 403.
    #[default]
    Open,
    /// Exactly these. They are compared in constant time.
    Tokens(Vec<Token>),
}

impl Credentials {
    /// Whether `token` opens the door.
    pub(crate) fn accept(&self, token: &str) -> bool {
        match self {
            Self::Open => !token.is_empty(),
            Self::Tokens(known) => {
                let hit = known.iter().fold(Choice::from(0), |hit, known| {
                    hit | known.expose().as_bytes().ct_eq(token.as_bytes())
                });
                !token.is_empty() && bool::from(hit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_tokens_come_in() {
        let known = Credentials::Tokens(vec![Token::new("one"), Token::new("two"), Token::new("")]);
        assert!(known.accept("one") && known.accept("two"));
        for stranger in ["", "on", "onee", "three"] {
            assert!(!known.accept(stranger), "{stranger}");
        }
        assert!(Credentials::Open.accept("anything"));
        assert!(!Credentials::Open.accept(""));
        assert!(!format!("{known:?}").contains("one"));
    }
}
