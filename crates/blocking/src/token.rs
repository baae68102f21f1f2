//! Where credentials come from.

use attache_driver::StaticToken;
use attache_protocol::io::{Token, TokenReason, TokenRefusal};

/// Gives a credential for every attempt to connect. Implemented for [`StaticToken`] and for closures:
///
/// ```
/// use attache_blocking::TokenSource;
/// use attache_protocol::io::{Token, TokenReason};
///
/// fn source() -> impl TokenSource {
///     |reason: TokenReason| match reason {
///         TokenReason::Attempt => Ok(Token::new("cached")),
///         TokenReason::Rejected => Ok(Token::new("fresh")),
///     }
/// }
/// # let _ = source();
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Fetches a credential, on a thread of the session's that does nothing else. It may wait.
    ///
    /// Nothing can interrupt it: when the answer is no longer wanted (the session closed, or the source
    /// took longer than [`Patience::token`](attache_protocol::viewer::Patience::token)), it is thrown
    /// away, and the thread ends when this returns. So give it a time limit of its own.
    ///
    /// # Errors
    /// [`TokenRefusal`]
    fn fetch(&self, reason: TokenReason) -> Result<Token, TokenRefusal>;
}

impl<F> TokenSource for F
where
    F: Fn(TokenReason) -> Result<Token, TokenRefusal> + Send + Sync + 'static,
{
    fn fetch(&self, reason: TokenReason) -> Result<Token, TokenRefusal> {
        self(reason)
    }
}

impl TokenSource for StaticToken {
    fn fetch(&self, _reason: TokenReason) -> Result<Token, TokenRefusal> {
        Ok(self.token().clone())
    }
}

/// A token that no header can carry counts as none.
pub(crate) fn fetch(source: &dyn TokenSource, reason: TokenReason) -> Result<Token, TokenRefusal> {
    let token = source.fetch(reason)?;
    match attache_driver::request::bearer(&token) {
        Ok(_) => Ok(token),
        Err(error) => {
            tracing::warn!(%error, "token not usable");
            Err(TokenRefusal::Unavailable)
        }
    }
}
