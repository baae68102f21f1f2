//! A server that does what a test tells it, on plain threads.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use socket2::SockRef;
use tungstenite::{
    Message, WebSocket,
    handshake::derive_accept_key,
    protocol::{CloseFrame, Role},
};

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

/// The server's end of one WebSocket.
pub(crate) struct Peer {
    pub(crate) headers: Headers,
    pub(crate) socket: WebSocket<Line>,
}

/// One HTTP call that waits for its answer.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    line: Line,
}

/// The server's end of a stream.
pub(crate) struct Flow {
    pub(crate) path: String,
    pub(crate) headers: Headers,
    line: Line,
}

pub(crate) type Headers = HashMap<String, String>;

/// A connection, encrypted or not.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    tcp: TcpStream,
    /// So that the connection does not end well first.
    is_dropped_only: bool,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

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

impl Peer {
    pub(crate) fn text(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.socket.send(Message::Text(text.into())).unwrap();
    }

    /// An agent's message with this uuid.
    pub(crate) fn says(&mut self, uuid: &str) {
        self.text(format!("{{\"type\":\"assistant\",\"uuid\":\"{uuid}\"}}\n"));
    }

    pub(crate) fn ping(&mut self, payload: &'static [u8]) {
        self.socket.send(Message::Ping(payload.into())).unwrap();
    }

    /// Sends a close frame, and leaves the connection open.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.socket.close(Some(frame)).unwrap();
        let _ = self.socket.flush();
    }

    /// The next message that is no ping; `None` when the connection is gone.
    pub(crate) fn hears(&mut self) -> Option<Message> {
        loop {
            match self.socket.read() {
                Ok(Message::Ping(_)) => {}
                Ok(message) => return Some(message),
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {
                    panic!("nothing came in time")
                }
                Err(_) => return None,
            }
        }
    }

    /// The next message, which is a text, as JSON.
    pub(crate) fn hears_json(&mut self) -> Value {
        match self.hears() {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("a text was expected, not {other:?}"),
        }
    }

    /// The code of the close frame, which is the next message.
    pub(crate) fn hears_close(&mut self) -> u16 {
        match self.hears() {
            Some(Message::Close(Some(frame))) => frame.code.into(),
            other => panic!("a close frame was expected, not {other:?}"),
        }
    }

    /// Writes past the WebSocket.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The uuids of the frames of an upload.
    pub(crate) fn uuids(&self) -> Vec<String> {
        let body = self.json();
        let events = body["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["payload"]["uuid"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        self.answer_with(status, "", body);
    }

    /// Each of `headers` ends its line.
    pub(crate) fn answer_with(mut self, status: u16, headers: &str, body: &str) {
        // Whoever called may have gone.
        let _ = self.line.answer(status, headers, body);
    }

    /// Answers with a stream.
    pub(crate) fn flows(mut self) -> Flow {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.line.write_all(head.as_bytes()).unwrap();
        Flow {
            path: self.path,
            headers: self.headers,
            line: self.line,
        }
    }

    /// Waits until whoever called is gone.
    pub(crate) fn sees_end(mut self) {
        self.line.meet_end();
    }

    fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Flow {
    /// Sends these bytes; whether anybody is there.
    pub(crate) fn sends(&mut self, bytes: &str) -> bool {
        let chunk = format!("{:x}\r\n{bytes}\r\n", bytes.len());
        self.line.write_all(chunk.as_bytes()).is_ok()
    }

    /// Sends the frame `payload` as the event with this number.
    pub(crate) fn says(&mut self, number: u64, payload: &str) {
        let data = format!(
            r#"{{"event_id":"e{number}","sequence_num":{number},"event_type":"x","payload":{payload}}}"#
        );
        let event = format!("event: client_event\nid: {number}\ndata: {data}\n\n");
        assert!(self.sends(&event), "the worker listens");
    }

    /// Sends a message of a person's, with the number as its uuid.
    pub(crate) fn says_message(&mut self, number: u64) {
        self.says(number, &format!(r#"{{"type":"user","uuid":"{number}"}}"#));
    }

    /// Ends or resets the connection behind the length of a chunk.
    pub(crate) fn breaks(mut self, reset: bool) {
        let _ = self.line.write_all(b"1");
        if reset {
            // A connection that is closed with nothing to linger for is reset.
            let socket = SockRef::from(&self.line.tcp);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            self.line.is_dropped_only = true;
        }
    }

    /// Ends the stream well.
    pub(crate) fn ends(mut self) {
        let _ = self.line.write_all(b"0\r\n\r\n");
    }

    /// Waits until the worker is gone.
    pub(crate) fn sees_end(mut self) {
        self.line.meet_end();
    }
}

impl Line {
    fn accept(tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        tcp.set_read_timeout(Some(LIMIT))?;
        tcp.set_nodelay(true)?;
        let clone = tcp.try_clone()?;
        let stream: Box<dyn Stream> = match tls {
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, clone))
            }
            None => Box::new(clone),
        };
        Ok(Self {
            stream,
            tcp,
            is_dropped_only: false,
        })
    }

    /// Reads the head of a request.
    fn head(&mut self) -> io::Result<(String, String, Headers)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Ok((method, path, headers))
    }

    fn answer(&mut self, status: u16, headers: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        self.write_all(answer.as_bytes())
    }

    fn meet_end(&mut self) {
        match self.read(&mut [0; 64]) {
            Err(error) if is_timeout(&error) => panic!("nobody has left"),
            Ok(0) | Err(_) => {}
            Ok(_) => panic!("somebody goes on speaking"),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_dropped_only {
            // The peer may be gone already.
            let _ = self.tcp.shutdown(Shutdown::Both);
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
