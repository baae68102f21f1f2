//! A server that does what a test tells it, on plain threads.

mod call;
mod line;
mod peer;

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use rustls::ServerConfig;
use tungstenite::{WebSocket, handshake::derive_accept_key, protocol::Role};

pub(crate) use call::{Call, Flow};
use line::Line;
pub(crate) use peer::Peer;

/// Longer than anything here takes, shorter than anybody's patience.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Fails the test instead of hanging.
pub(crate) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    started(work).recv_timeout(LIMIT).expect("took too long")
}

/// Runs something beside the test, which then waits for it with a time limit.
pub(crate) fn started<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    done
}

pub(crate) struct Server {
    address: SocketAddr,
    peers: mpsc::Receiver<Peer>,
    pub(crate) calls: mpsc::Receiver<Call>,
    refusals: Arc<Mutex<VecDeque<u16>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), None)
    }

    pub(crate) fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), Some(config))
    }

    pub(crate) fn listen(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let (peer_sender, peers) = mpsc::channel();
        let (call_sender, calls) = mpsc::channel();
        let refusals = Arc::new(Mutex::new(VecDeque::new()));
        let desk = Desk {
            peers: peer_sender,
            calls: call_sender,
            refusals: Arc::clone(&refusals),
        };
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let (tls, desk, tcp) = (tls.clone(), desk.clone(), tcp.unwrap());
                // A connection that breaks is what some tests are about.
                thread::spawn(move || desk.serve(Line::accept(tcp, tls)?));
            }
        });
        Self {
            address,
            peers,
            calls,
            refusals,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next upgrades with these statuses.
    pub(crate) fn refuse(&self, statuses: impl IntoIterator<Item = u16>) {
        self.refusals.lock().unwrap().extend(statuses);
    }

    /// The next socket that is opened.
    pub(crate) fn peer(&self) -> Peer {
        self.peers.recv_timeout(LIMIT).expect("a socket is opened")
    }

    /// Whether nobody opens a socket for a little while.
    pub(crate) fn is_left_alone(&self) -> bool {
        let little = Duration::from_millis(50);
        self.peers.recv_timeout(little).is_err()
    }

    /// The next call, other than those for history.
    pub(crate) fn call(&self) -> Call {
        self.calls.recv_timeout(LIMIT).expect("a call is made")
    }

    /// The next call of this method whose path ends like this. A worker's small talk (states,
    /// deliveries, heartbeats) before it is answered well; anything else is not expected.
    pub(crate) fn asked(&self, method: &str, end: &str) -> Call {
        loop {
            let call = self.call();
            if call.method == method && call.path_only().ends_with(end) {
                return call;
            }
            let is_small_talk = ["/worker", "/delivery", "/heartbeat"]
                .iter()
                .any(|end| call.path_only().ends_with(end));
            let (method, path) = (&call.method, &call.path);
            assert!(is_small_talk, "{method} {path} before {end}");
            call.answer(200, "{}");
        }
    }

    /// The whole way of a worker that creates the session `cse_1`.
    pub(crate) fn welcomes(&self) -> Flow {
        let call = self.asked("POST", "/v1/code/sessions");
        assert_eq!(call.headers["authorization"], "Bearer person");
        call.answer(200, r#"{"session":{"id":"cse_1"}}"#);
        let place = self.address;
        self.asked("POST", "/v1/code/sessions/cse_1/bridge").answer(
            200,
            &format!(
                r#"{{"worker_jwt":"jwt1","api_base_url":"http://{place}","expires_in":3600,"worker_epoch":1}}"#
            ),
        );
        for method in ["GET", "PUT"] {
            let call = self.asked(method, "/v1/code/sessions/cse_1/worker");
            assert_eq!(call.headers["authorization"], "Bearer jwt1");
            call.answer(200, "{}");
        }
        self.asked("GET", "/worker/events/stream").flows()
    }
}

/// Where requests arrive.
#[derive(Clone)]
struct Desk {
    peers: mpsc::Sender<Peer>,
    calls: mpsc::Sender<Call>,
    refusals: Arc<Mutex<VecDeque<u16>>>,
}

impl Desk {
    fn serve(self, mut line: Line) -> io::Result<()> {
        let (method, path, headers) = line.head()?;
        if let Some(key) = headers.get("sec-websocket-key") {
            let refusal = self.refusals.lock().unwrap().pop_front();
            if let Some(status) = refusal {
                return line.answer(status, "", "");
            }
            let accept = derive_accept_key(key.as_bytes());
            let head = format!(
                "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
            );
            line.write_all(head.as_bytes())?;
            let socket = WebSocket::from_raw_socket(line, Role::Server, None);
            // The test may be over.
            let _ = self.peers.send(Peer { headers, socket });
            return Ok(());
        }
        if method == "GET" && path.split('?').next().unwrap().ends_with("/events") {
            let nothing = r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#;
            return line.answer(200, "", nothing);
        }
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        line.read_exact(&mut body)?;
        let _ = self.calls.send(Call {
            method,
            path,
            headers,
            body,
            line,
        });
        Ok(())
    }
}
