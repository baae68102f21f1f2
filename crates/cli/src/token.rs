//! Where the token comes from: the environment, a file or stdin, never the command line.

use std::{fs, io, path::PathBuf};

use attache_driver::request::InvalidRequest;
use attache_protocol::io::{Token, TokenReason, TokenRefusal};
use attache_tokio::TokenSource;
use tokio::runtime::Handle;

use crate::{arguments::Server, exit::Failure};

/// The variable that may hold the token.
pub(crate) const VARIABLE: &str = "ATTACHE_TOKEN";

/// The chosen source of tokens.
#[derive(Clone, Debug)]
pub(crate) enum Tokens {
    /// Always this one.
    Fixed(Token),
    /// Whatever the file holds by then, so that somebody else may renew it.
    File(PathBuf),
}

impl Tokens {
    /// Follows the options, and checks that there is a token at all.
    pub(crate) fn choose(options: &Server) -> Result<Self, Failure> {
        if let Some(link) = &options.link {
            return Ok(Self::Fixed(link.token.clone()));
        }
        if let Some(file) = &options.token_file {
            let tokens = Self::File(file.clone());
            tokens.read().map_err(|error| {
                Failure::usage(format!(
                    "no token in {}: {error}; check --token-file",
                    file.display()
                ))
            })?;
            return Ok(tokens);
        }
        let (text, origin) = if options.token_stdin {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(|error| {
                Failure::usage(format!("reading the token from stdin failed: {error}"))
            })?;
            (line, "the first line of stdin is empty")
        } else {
            (
                std::env::var(VARIABLE).unwrap_or_default(),
                "set ATTACHE_TOKEN, or use --token-file or --token-stdin",
            )
        };
        let token = Token::new(text);
        if token.expose().is_empty() {
            return Err(Failure::usage(format!("no token: {origin}")));
        }
        checked(&token).map_err(|error| Failure::usage(format!("the token: {error}")))?;
        Ok(Self::Fixed(token))
    }

    /// The token as it is now.
    pub(crate) fn read(&self) -> io::Result<Token> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(file) => {
                let token = Token::new(fs::read_to_string(file)?);
                checked(&token).map_err(io::Error::other)?;
                Ok(token)
            }
        }
    }

    /// The token as it is now, read on a thread of `runtime`. May be awaited anywhere.
    pub(crate) fn read_on(
        &self,
        runtime: &Handle,
    ) -> impl Future<Output = Result<Token, TokenRefusal>> + Send + use<> {
        let tokens = self.clone();
        let reading = runtime.spawn_blocking(move || tokens.read().ok());
        async {
            reading
                .await
                .ok()
                .flatten()
                .ok_or(TokenRefusal::Unavailable)
        }
    }
}

/// Whether a header can carry `token`.
fn checked(token: &Token) -> Result<(), InvalidRequest> {
    attache_driver::request::bearer(token).map(drop)
}

impl TokenSource for Tokens {
    async fn fetch(&self, _reason: TokenReason) -> Result<Token, TokenRefusal> {
        self.read_on(&Handle::current()).await
    }
}

impl attache_blocking::TokenSource for Tokens {
    fn fetch(&self, _reason: TokenReason) -> Result<Token, TokenRefusal> {
        self.read().map_err(|_| TokenRefusal::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_every_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let tokens = Tokens::File(file.path().to_owned());
        assert!(tokens.read().is_err());
        for secret in ["first", "second"] {
            fs::write(file.path(), format!("{secret}\n")).unwrap();
            assert_eq!(tokens.read().unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_without_showing_it() {
        let error = checked(&Token::new("two words")).unwrap_err().to_string();
        assert!(!error.contains("words"));
    }
}
