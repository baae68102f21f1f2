//! From a name to a line: TCP, the proxy's tunnel, TLS. The thread waits.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{self, ToSocketAddrs as _},
    sync::Arc,
    time::Instant,
};

use attache_driver::{
    Way,
    addresses::{HEAD_START, take_turns},
    failure,
    proxy::{self, Answer, Proxy, Route},
};
use attache_protocol::io::NetworkFailure;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};
use rustls::pki_types::ServerName;

use crate::{abort::Abort, alarm::Alarm, line::Line};

/// A line to the server at the end of `way`, encrypted if its URL says so, on which reading and writing
/// wait. `abort` breaks it off, now and later.
pub(crate) fn open(way: &Way, abort: &Abort) -> Result<Line, NetworkFailure> {
    let line = match &way.route {
        Route::Direct => tcp(way, way.base.host(), way.base.port(), abort)?,
        Route::Proxy(proxy) => tunnel(way, proxy, abort)?,
    };
    if way.base.is_tls() {
        encrypt(way, line, way.base.host())
    } else {
        Ok(line)
    }
}

fn tunnel(way: &Way, proxy: &Proxy, abort: &Abort) -> Result<Line, NetworkFailure> {
    let mut line = tcp(way, proxy.host(), proxy.port(), abort)?;
    if proxy.is_tls() {
        line = encrypt(way, line, proxy.host())?;
    }
    let request = proxy.connect_request(&way.base);
    line.write_all(&request).map_err(broken)?;
    line.flush().map_err(broken)?;
    let mut read = Vec::new();
    loop {
        match proxy::read_answer(&read) {
            Answer::Partial => {}
            Answer::Open => return Ok(line),
            Answer::Refused { status } => {
                tracing::warn!(status, "the proxy refuses a tunnel");
                return Err(NetworkFailure::Other);
            }
            Answer::Malformed => return Err(NetworkFailure::Protocol),
        }
        let mut chunk = [0; 1024];
        let count = line.read(&mut chunk).map_err(broken)?;
        match chunk.get(..count) {
            Some(bytes) if count > 0 => read.extend_from_slice(bytes),
            _ => return Err(NetworkFailure::Ended),
        }
    }
}

fn encrypt(way: &Way, line: Line, host: &str) -> Result<Line, NetworkFailure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NetworkFailure::Tls)?;
    let tls = way.tls.as_ref().ok_or(NetworkFailure::Tls)?;
    line.encrypt(Arc::clone(tls), name).map_err(|error| {
        tracing::debug!(%error, "TLS handshake failed");
        broken(error)
    })
}

/// Connects to the first address of `host` that answers, IPv6 and IPv4 in turn.
fn tcp(way: &Way, host: &str, port: u16, abort: &Abort) -> Result<Line, NetworkFailure> {
    let found = match way.names.find(host, port) {
        Some(known) => known,
        None => match (host, port).to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(_) => return Err(NetworkFailure::Dns),
        },
    };
    let mut race = Race::new(abort).map_err(broken)?;
    abort.check()?;
    let mut untried = take_turns(found);
    let mut last = NetworkFailure::Dns;
    loop {
        let started = match untried.pop_front() {
            Some(address) => race.enter(address),
            None if race.runners.is_empty() => return Err(last),
            None => Ok(()),
        };
        let won = started.and_then(|()| {
            let head_start = (!untried.is_empty()).then(|| Instant::now() + HEAD_START);
            race.wait(head_start, abort)
        });
        match won {
            Ok(Some(stream)) => return settle(stream, abort).map_err(broken),
            Ok(None) => {}
            Err(error) => last = broken(error),
        }
        abort.check()?;
    }
}

/// Connection attempts that run beside each other.
struct Race {
    poll: Poll,
    events: Events,
    runners: BTreeMap<Token, TcpStream>,
    entered: usize,
}

impl Race {
    fn new(abort: &Abort) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Alarm::TOKEN)?;
        // What is aborted already is noticed by the next check.
        let _ = abort.connecting(waker);
        Ok(Self {
            poll,
            events: Events::with_capacity(16),
            runners: BTreeMap::new(),
            entered: 0,
        })
    }

    fn enter(&mut self, address: net::SocketAddr) -> io::Result<()> {
        let token = Token(self.entered);
        self.entered += 1;
        let mut stream = TcpStream::connect(address)?;
        let registry = self.poll.registry();
        registry.register(&mut stream, token, Interest::WRITABLE)?;
        self.runners.insert(token, stream);
        Ok(())
    }

    /// Waits until one has won, one has failed, `deadline` has come or `abort` says so.
    fn wait(&mut self, deadline: Option<Instant>, abort: &Abort) -> io::Result<Option<TcpStream>> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut self.events, left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if abort.check().is_err() || left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            for event in &self.events {
                let Some(stream) = self.runners.get(&event.token()) else {
                    continue;
                };
                match is_connected(stream) {
                    Ok(false) => {}
                    Ok(true) => return Ok(self.leave(event.token())),
                    Err(error) => {
                        self.runners.remove(&event.token());
                        return Err(error);
                    }
                }
            }
        }
    }

    fn leave(&mut self, token: Token) -> Option<TcpStream> {
        let mut stream = self.runners.remove(&token)?;
        // A stream that can't be taken out goes when the poll does.
        let _ = self.poll.registry().deregister(&mut stream);
        Some(stream)
    }
}

fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A line that waits, from a stream that does not.
fn settle(stream: TcpStream, abort: &Abort) -> io::Result<Line> {
    let stream = net::TcpStream::from(stream);
    stream.set_nonblocking(false)?;
    // Without it a pong may wait for the acknowledgement of what was sent before it.
    stream.set_nodelay(true)?;
    let handle = stream.try_clone()?;
    if abort.connected(handle).is_err() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Line::plain(TcpStream::from_std(stream)))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn broken(error: io::Error) -> NetworkFailure {
    failure::io(&error)
}
