//! `token`: who may come in at a relay.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use attache_relay::{TokenFile, TokenFileError};

use crate::{
    arguments::{TokenCommand, TokenOptions},
    exit::{Exit, Failure},
};

pub(crate) fn run(options: TokenOptions) -> Result<(), Failure> {
    let Some(file) = options.tokens else {
        return Err(Failure::usage(
            "no token file: name it with --tokens or set ATTACHE_TOKENS",
        ));
    };
    let file = TokenFile::at(file);
    let mut out = io::stdout().lock();
    match options.command {
        TokenCommand::Add { name, role, ttl } => {
            let token = file.add(&name, role, ttl)?;
            writeln!(out, "{}", token.expose())?;
        }
        TokenCommand::List => {
            let now = SystemTime::now();
            for entry in file.read()? {
                let expiry = match entry.expires_at {
                    None => "never expires".to_owned(),
                    Some(at) => {
                        let verb = if entry.is_expired(now) {
                            "expired"
                        } else {
                            "expires"
                        };
                        format!("{verb} {}", humantime::format_rfc3339_seconds(at))
                    }
                };
                writeln!(out, "{}  {:<7}  {expiry}", entry.name, entry.role.as_str())?;
            }
        }
        TokenCommand::Revoke { name } => file.revoke(&name)?,
    }
    Ok(out.flush()?)
}

impl From<TokenFileError> for Failure {
    fn from(error: TokenFileError) -> Self {
        let exit = match error {
            TokenFileError::Name(_) | TokenFileError::TooLong => Exit::Usage,
            _ => Exit::Failure,
        };
        Self::new(exit, error.to_string())
    }
}
