//! HTTP/1.1 as far as the server needs it.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// A request, read as a whole.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) bearer: String,
    pub(super) websocket_key: Option<String>,
    pub(super) body: Vec<u8>,
}

/// An answer, short enough to be written at once.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Request {
    /// The next request on a connection; `None` at its end. `rest` is what was read too far.
    pub(super) fn read(
        mut stream: &TcpStream,
        rest: &mut Vec<u8>,
        is_stopping: impl Fn() -> bool,
    ) -> Option<Self> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((request, used)) = Self::parse(rest) {
                rest.drain(..used);
                return Some(request);
            }
            if is_stopping() {
                return None;
            }
            match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => rest.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if is_idle(&error) => {}
                Err(_) => return None,
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = parsed.parse(bytes) else {
            return None;
        };
        let target = parsed.path?.to_owned();
        let method = parsed.method?.to_owned();
        let header = |name: &str| {
            let found = parsed
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok()
        };
        let length = match header("content-length") {
            Some(length) => length.trim().parse().ok()?,
            None => 0,
        };
        let body = bytes.get(head..head.checked_add(length)?)?.to_vec();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let request = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            bearer: bearer.unwrap_or_default().to_owned(),
            websocket_key: header("sec-websocket-key").map(str::to_owned),
            body,
        };
        Some((request, head + length))
    }

    /// A field of the query.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| crate::http::decoded(value))
        })
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Response {
    pub(super) fn json(value: &Value) -> Self {
        Self {
            status: 200,
            body: value.to_string(),
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            body: "{}".to_owned(),
        }
    }

    pub(super) fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let Self { status, body } = self;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Yes\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes())
    }
}

/// Begins a stream of events.
pub(super) fn begin_stream(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
}

/// Writes a piece of a stream of events.
pub(super) fn write_chunk(mut stream: &TcpStream, text: &str) -> io::Result<()> {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes())
}

/// How often whoever waits for bytes looks up.
pub(super) const TICK: Duration = Duration::from_millis(5);

pub(super) fn is_idle(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
