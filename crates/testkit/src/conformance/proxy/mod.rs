//! The chaos proxy: between a client and its server, with a fault for each connection in turn.

mod connection;
mod downward;
mod framing;
mod names;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod tunnel;
mod weather;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{
    adapter::Place,
    fault::{Fault, Way},
};
use connection::Connection;
pub use names::Names;
use tls::Identity;
use weather::Weather;
use wire::Wire;

/// How long nobody listens.
const REFUSING: Duration = Duration::from_millis(80);

/// How many connections wait to be accepted.
const BACKLOG: i32 = 64;

/// Which connections a fault strikes, besides the link itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// None.
    Link,
    /// The first other connection of its time as well: a post, a page of history.
    LinkAndCall,
    /// Every connection from then on: the last fault does not heal.
    Lasting,
    /// Every connection there is, the first one included: the last fault does not heal, and was there
    /// from the beginning.
    Everything,
}

/// A proxy on the loopback. Its faults come in the order given, one for each link that a client opens;
/// then the weather is fine. Dropping it ends every connection and waits for its threads.
#[derive(Debug)]
pub struct ChaosProxy {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the proxy's threads share.
#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    server: SocketAddr,
    way: Way,
    /// Whether clients look its name up.
    is_named: bool,
    /// Who the proxy is to clients over TLS.
    identity: Option<Identity>,
    weather: Weather,
    stopping: AtomicBool,
}

impl ChaosProxy {
    /// Starts a proxy in front of `server`. The same seed cuts at the same places.
    ///
    /// # Errors
    /// When there is no port to listen on, or no TLS.
    pub fn start(
        server: SocketAddr,
        way: Way,
        faults: &[Fault],
        reach: Reach,
        seed: u64,
    ) -> io::Result<Self> {
        // Keeps the port while nobody listens on it.
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reserved
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let is_named = way != Way::Plain || faults.contains(&Fault::Nameless);
        let shared = Arc::new(Shared {
            address,
            server,
            way,
            is_named,
            identity: (way == Way::Tls).then(Identity::new).transpose()?,
            weather: Weather::new(faults, reach, is_named, seed),
            stopping: AtomicBool::new(false),
        });
        let listener = listen(address)?;
        let accepting = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("proxy".into())
            .spawn(move || accept(&accepting, listener, &reserved))?;
        Ok(Self {
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where a client is to connect to.
    pub fn place(&self) -> Place {
        let address = self.address();
        let name = format!("{}:{}", names::NAME, address.port());
        let base_url = match self.shared.way {
            Way::Plain if self.shared.is_named => format!("http://{name}"),
            Way::Plain => format!("http://{address}"),
            Way::Tls => format!("https://{name}"),
            Way::Tunnel => format!("http://{}", tunnel::BEHIND),
        };
        let identity = self.shared.identity.as_ref();
        Place {
            names: Names::of(&self.shared),
            authority_file: identity.map(|identity| identity.authority_file().to_owned()),
            proxy: (self.shared.way == Way::Tunnel).then(|| format!("http://{name}")),
            ..Place::new(base_url)
        }
    }

    /// Whether every fault has struck.
    pub fn is_fine(&self) -> bool {
        self.shared.weather.is_fine()
    }

    /// The faults that have not struck yet.
    pub fn pending(&self) -> Vec<Fault> {
        self.shared.weather.pending()
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.weather.clear();
        poke(self.shared.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    /// Everything before the first request; `None` if there will be none.
    fn welcome(&self, client: TcpStream) -> io::Result<Option<Wire>> {
        let client = Wire::new(client)?;
        Ok(match (self.way, &self.identity) {
            (Way::Tunnel, _) => tunnel::open(self, &client)?.then_some(client),
            (Way::Tls, Some(identity)) => Some(client.encrypt(identity.cover()?)),
            (Way::Tls, None) | (Way::Plain, _) => Some(client),
        })
    }

    /// Wakes the thread that accepts if nobody is to listen next.
    fn poke_if_refusing(&self) {
        if self.weather.is_refusal_next() {
            poke(self.address);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Wakes a thread that waits for a connection.
fn poke(address: SocketAddr) {
    // If nobody listens, nobody waits either.
    let _ = TcpStream::connect(address);
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the proxy stops; `reserved` keeps the port.
fn accept(shared: &Arc<Shared>, mut listener: TcpListener, reserved: &Socket) {
    let connections: Mutex<Vec<JoinHandle<()>>> = Mutex::default();
    while !shared.is_stopping() {
        if shared.weather.take_refusal() {
            drop(listener);
            if shared.weather.is_lasting() {
                shared.weather.struck();
                shared.weather.wait_for_the_end();
                break;
            }
            shared.weather.pause(REFUSING);
            match listen(shared.address) {
                Ok(again) => listener = again,
                Err(error) => {
                    eprintln!("the proxy's port {reserved:?} is lost: {error}");
                    break;
                }
            }
            shared.weather.struck();
            continue;
        }
        let Ok((client, _)) = listener.accept() else {
            break;
        };
        shared.weather.wait_while_stopped();
        if shared.is_stopping() || shared.weather.is_refusal_next() {
            continue;
        }
        let serving = Arc::clone(shared);
        let served = thread::Builder::new()
            .name("proxied".into())
            .spawn(move || Connection::serve(&serving, client));
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| !connection.is_finished());
        connections.extend(served.ok());
    }
    let connections = connections
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for connection in connections {
        let _ = connection.join();
    }
}
