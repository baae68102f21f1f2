//! A credential that is known beforehand.

use attache_protocol::{ByteString, io::Token};

/// The same token, always. When the server refuses it, the session is closed as unauthorized.
#[derive(Clone, Debug)]
pub struct StaticToken(Token);

impl StaticToken {
    /// A source of this one token.
    pub fn new(secret: impl Into<ByteString>) -> Self {
        Self(Token::new(secret))
    }

    /// The token.
    pub fn token(&self) -> &Token {
        &self.0
    }
}

impl From<Token> for StaticToken {
    fn from(token: Token) -> Self {
        Self(token)
    }
}
