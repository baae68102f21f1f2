//! The relay of a demo, on a loopback port of its own.

use std::{io, net::SocketAddr, sync::Arc};

use attache_protocol::io::Token;
use attache_relay::{Credentials, Relay, RelayOptions, Store};
use attache_tokio::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use tokio::{net::TcpListener, task::JoinHandle};

use super::random;
use crate::exit::{Exit, Failure};

/// A relay that is being served.
pub(super) struct Stage {
    pub(super) relay: Relay,
    address: SocketAddr,
    token: Token,
    serving: JoinHandle<()>,
}

impl Stage {
    pub(super) async fn open(store: Arc<dyn Store>) -> Result<Self, Failure> {
        let token = Token::new(format!("{:032x}", random()?));
        let relay = relay(store, &token);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen(any).await?;
        let address = listener.local_addr();
        let address = address.map_err(|error| unusable(any, &error))?;
        let serving = serve(&relay, listener);
        Ok(Self {
            relay,
            address,
            token,
            serving,
        })
    }

    /// Breaks every connection at once, closes the port, and forgets everything but the store. The
    /// relay that comes after it does not listen yet.
    pub(super) async fn crash(&mut self, store: Arc<dyn Store>) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.relay.kill();
        self.relay = relay(store, &self.token);
    }

    /// Listens again, on the same port.
    pub(super) async fn reopen(&mut self) -> Result<(), Failure> {
        let listener = listen(self.address).await?;
        self.serving = serve(&self.relay, listener);
        Ok(())
    }

    pub(super) fn options(&self) -> Result<Options, Failure> {
        let url = format!("http://{}", self.address);
        let base_url = BaseUrl::parse(&url, Plaintext::LoopbackOnly)
            .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        Ok(options)
    }

    pub(super) fn token(&self) -> StaticToken {
        StaticToken::from(self.token.clone())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn relay(store: Arc<dyn Store>, token: &Token) -> Relay {
    let mut options = RelayOptions::default();
    options.credentials = Credentials::Tokens(vec![token.clone()]);
    Relay::new(store, options)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| unusable(address, &error))
}

fn unusable(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("listening on {address} failed: {error}; try again"),
    )
}

fn serve(relay: &Relay, listener: TcpListener) -> JoinHandle<()> {
    let serving = relay.serve(listener, std::future::pending());
    tokio::spawn(async move {
        // The listener is on loopback and has tokens; what else fails shows as a lost connection.
        let _ = serving.await;
    })
}
