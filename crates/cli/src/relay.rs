//! `relay`: a relay of one's own.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use attache_protocol::io::Token;
use attache_relay::{Credentials, MemoryStore, Relay, RelayOptions, ServeError};
use tokio::net::TcpListener;

use crate::{
    arguments,
    demo::Performance,
    exit::{Exit, Failure},
    signals::Signals,
};

pub(crate) async fn run(options: arguments::Relay) -> Result<(), Failure> {
    let mut signals = Signals::listen();
    let mut settings = RelayOptions::default();
    settings.worker_token_ttl = Duration::from_secs(options.worker_token_ttl.into());
    let open = options.token_file.is_none();
    if let Some(file) = &options.token_file {
        settings.credentials = Credentials::Tokens(tokens(file)?);
    } else if !options.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines; name the accepted tokens with --token-file, or listen on 127.0.0.1",
            options.listen
        )));
    }
    let unusable = |error: io::Error| {
        let address = options.listen;
        Failure::new(
            Exit::Failure,
            format!("listening on {address} failed: {error}; choose another --listen address"),
        )
    };
    let listener = TcpListener::bind(options.listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let relay = Relay::new(Arc::new(MemoryStore::new()), settings);
    let mut performance = None;
    if let Some(title) = &options.demo_session {
        performance = Some(Performance::start(&relay, title).await?);
    }
    let mut out = anstream::stdout();
    writeln!(out, "listening on http://{address}")?;
    if let Some(performance) = &performance {
        writeln!(out, "session {}", performance.session)?;
    }
    out.flush()?;
    if open {
        let _ = writeln!(
            anstream::stderr(),
            "any token opens this relay, to this machine only: try ATTACHE_TOKEN=demo attache ls --base-url http://{address}"
        );
    }
    let asked_to_stop = async move {
        signals.next().await;
    };
    relay
        .serve(listener, asked_to_stop)
        .await
        .map_err(|error| match error {
            ServeError::OpenToOthers(_) => Failure::usage(error.to_string()),
            other => Failure::new(
                Exit::Failure,
                format!("serving {address} failed: {other}; start the relay again"),
            ),
        })
}

/// The tokens in `file`, one a line; blank lines and lines that start with `#` don't count.
fn tokens(file: &Path) -> Result<Vec<Token>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!(
            "no tokens in {}: {error}; check --token-file",
            file.display()
        ))
    })?;
    let tokens: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| Token::new(line.to_owned()))
        .collect();
    if tokens.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no token; write one a line",
            file.display()
        )));
    }
    Ok(tokens)
}

/// Trouble inside the relay.
impl From<attache_relay::RelayError> for Failure {
    fn from(error: attache_relay::RelayError) -> Self {
        Self::new(Exit::Failure, format!("the relay failed: {error}"))
    }
}
