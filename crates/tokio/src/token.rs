//! Where credentials come from.

use std::sync::Arc;

use attache_driver::StaticToken;
use attache_protocol::io::{Token, TokenReason, TokenRefusal};
use futures_util::future::BoxFuture;

/// Gives a credential for every attempt to connect. Implemented for [`StaticToken`] and for closures
/// that return a future:
///
/// ```
/// use attache_protocol::io::{Token, TokenReason};
/// use attache_tokio::TokenSource;
///
/// fn source() -> impl TokenSource {
///     async |reason: TokenReason| match reason {
///         TokenReason::Attempt => Ok(Token::new("cached")),
///         TokenReason::Rejected => Ok(Token::new("fresh")),
///     }
/// }
/// # let _ = source();
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Fetches a credential.
    ///
    /// Cancel safety: the driver drops the future when the answer is no longer wanted (the session
    /// closed, or the source took longer than
    /// [`Patience::token`](attache_protocol::viewer::Patience::token)); it may drop it at any await.
    fn fetch(
        &self,
        reason: TokenReason,
    ) -> impl Future<Output = Result<Token, TokenRefusal>> + Send;
}

impl<F, Answer> TokenSource for F
where
    F: Fn(TokenReason) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Token, TokenRefusal>> + Send,
{
    fn fetch(
        &self,
        reason: TokenReason,
    ) -> impl Future<Output = Result<Token, TokenRefusal>> + Send {
        self(reason)
    }
}

impl TokenSource for StaticToken {
    async fn fetch(&self, _reason: TokenReason) -> Result<Token, TokenRefusal> {
        Ok(self.token().clone())
    }
}

pub(crate) type TokenFetch = BoxFuture<'static, Result<Token, TokenRefusal>>;
pub(crate) type ErasedTokenSource = Box<dyn Fn(TokenReason) -> TokenFetch + Send>;

/// The source as the driver keeps it. A token that no header can carry counts as none.
pub(crate) fn erase(source: impl TokenSource) -> ErasedTokenSource {
    let source = Arc::new(source);
    Box::new(move |reason| {
        let source = Arc::clone(&source);
        Box::pin(async move {
            let token = source.fetch(reason).await?;
            match attache_driver::request::bearer(&token) {
                Ok(_) => Ok(token),
                Err(error) => {
                    tracing::warn!(%error, "token not usable");
                    Err(TokenRefusal::Unavailable)
                }
            }
        })
    })
}
