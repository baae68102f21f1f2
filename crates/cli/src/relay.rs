//! `relay`: a relay of one's own.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use attache_relay::{
    Credentials, MemoryStore, Relay, RelayOptions, ServeError, SqliteStore, Store, TokenRegistry,
};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    arguments,
    demo::Performance,
    exit::{Exit, Failure},
    signals::Signals,
};

pub(crate) async fn run(options: arguments::Relay) -> Result<(), Failure> {
    let signals = Signals::listen();
    let mut settings = RelayOptions::default();
    settings.retention = options.keep.retention();
    settings.worker_token_ttl = Duration::from_secs(options.worker_token_ttl.into());
    let open = options.tokens.is_none();
    if let Some(file) = &options.tokens {
        settings.credentials = Credentials::Registry(tokens(file)?);
    } else if !options.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines; name the accepted tokens with --tokens, or listen on 127.0.0.1",
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
    let store = Data::open(options.data.as_deref())?;
    let relay = Relay::new(store.shared(), settings);
    let mut performance = None;
    if let Some(title) = &options.demo_session {
        performance = Some(Performance::start(&relay, &*store.shared(), title).await?);
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
    serve(&relay, listener, address, signals).await?;
    store.close().await;
    Ok(())
}

/// Where the relay keeps what it is told.
enum Data {
    Memory(Arc<MemoryStore>),
    Disk(Arc<SqliteStore>),
}

impl Data {
    fn open(folder: Option<&Path>) -> Result<Self, Failure> {
        let Some(folder) = folder else {
            return Ok(Self::Memory(Arc::new(MemoryStore::new())));
        };
        match SqliteStore::open(folder) {
            Ok(store) => Ok(Self::Disk(Arc::new(store))),
            Err(error) => Err(Failure::new(Exit::Failure, error.to_string())),
        }
    }

    fn shared(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Disk(store) => store.clone(),
        }
    }

    /// Finishes what is being written.
    async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Disk(store) => store.close().await,
        }
    }
}

/// Serves until a signal comes; a second one does not wait for anybody.
async fn serve(
    relay: &Relay,
    listener: TcpListener,
    address: SocketAddr,
    mut signals: Signals,
) -> Result<(), Failure> {
    let (stop, stopping) = oneshot::channel::<()>();
    let serving = relay.serve(listener, async {
        let _ = stopping.await;
    });
    let impatience = async {
        signals.next().await;
        drop(stop);
        signals.next().await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = impatience => {
            relay.kill();
            return Err(Failure::Silent(Exit::Interrupted));
        }
    };
    served.map_err(|error| match error {
        ServeError::OpenToOthers(_) => Failure::usage(error.to_string()),
        other => Failure::new(
            Exit::Failure,
            format!("serving {address} failed: {other}; start the relay again"),
        ),
    })
}

/// The tokens in `file`, now and whenever it changes.
fn tokens(file: &Path) -> Result<TokenRegistry, Failure> {
    TokenRegistry::open(file).map_err(|error| {
        Failure::usage(format!(
            "no tokens: {error}; `attache token add NAME --role own --tokens FILE` makes one"
        ))
    })
}

/// Trouble inside the relay.
impl From<attache_relay::RelayError> for Failure {
    fn from(error: attache_relay::RelayError) -> Self {
        Self::new(Exit::Failure, format!("the relay failed: {error}"))
    }
}
