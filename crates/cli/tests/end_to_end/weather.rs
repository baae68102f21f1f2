//! A proxy between a program and its relay, for bad weather.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the proxy does with connections.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Every byte is passed on by itself.
    Trickle,
    /// Connections are answered with 503 and `Retry-After`.
    Busy,
}

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: watch::Sender<Weather>,
    turned_away: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(relay: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, changes) = watch::channel(Weather::Fair);
        let turned_away = Arc::new(AtomicUsize::new(0));
        let count = turned_away.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mut changes = changes.clone();
                let now = *changes.borrow_and_update();
                if now == Weather::Busy {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                tokio::spawn(async move {
                    // A change of weather cuts whatever is under way.
                    tokio::select! {
                        () = serve(client, relay, now) => {}
                        _ = changes.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            weather,
            turned_away,
            accepting,
        }
    }

    /// Cuts every connection, and treats later ones as told.
    pub(crate) fn turns(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections were answered with 503.
    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut client: TcpStream, relay: SocketAddr, weather: Weather) {
    if weather == Weather::Busy {
        let mut head = [0; 4096];
        let _ = client.read(&mut head).await;
        let _ = client.write_all(BUSY.as_bytes()).await;
        let _ = client.shutdown().await;
        while client.read(&mut head).await.is_ok_and(|read| read > 0) {}
        return;
    }
    let Ok(mut relay) = TcpStream::connect(relay).await else {
        return;
    };
    let _ = (client.set_nodelay(true), relay.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_relay, mut to_relay) = relay.split();
    if weather == Weather::Trickle {
        let up = trickle(&mut from_client, &mut to_relay);
        let down = trickle(&mut from_relay, &mut to_client);
        let _ = tokio::join!(up, down);
    } else {
        let up = async {
            let _ = copy(&mut from_client, &mut to_relay).await;
            to_relay.shutdown().await
        };
        let down = async {
            let _ = copy(&mut from_relay, &mut to_client).await;
            to_client.shutdown().await
        };
        let _ = tokio::join!(up, down);
    }
}

async fn trickle(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        for byte in bytes.iter().take(read) {
            to.write_all(&[*byte]).await?;
            to.flush().await?;
            tokio::task::yield_now().await;
        }
    }
}
