//! One HTTP call on a connection of its own, which never blocks.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::SystemTime,
};

use attache_driver::{BaseUrl, failure, request, retry_after};
use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, NetworkFailure},
};
use attache_testkit::conformance::Names;

pub(crate) struct Call {
    stream: TcpStream,
    unsent: Vec<u8>,
    received: Vec<u8>,
    limit: usize,
}

/// A connection that never blocks.
pub(crate) fn connect(base: &BaseUrl, names: &Names) -> Result<TcpStream, NetworkFailure> {
    let addresses = match names.find(base.host()) {
        Some(known) => known
            .into_iter()
            .map(|ip| SocketAddr::new(ip, base.port()))
            .collect(),
        None => (base.host(), base.port())
            .to_socket_addrs()
            .map_or_else(|_| Vec::new(), Iterator::collect),
    };
    if addresses.is_empty() {
        return Err(NetworkFailure::Dns);
    }
    let connected = TcpStream::connect(&*addresses).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    });
    connected.map_err(|error| failure::io(&error))
}

impl Call {
    pub(crate) fn start(
        base: &BaseUrl,
        names: &Names,
        request: HttpRequest,
    ) -> Result<Self, NetworkFailure> {
        let limit = request.response_limit;
        let request = request::http(base, request).map_err(|_| NetworkFailure::Other)?;
        let mut unsent =
            format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
        for (name, value) in request.headers() {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                unsent.extend_from_slice(piece);
            }
        }
        let length = request.body().len();
        unsent
            .extend(format!("content-length: {length}\r\nconnection: close\r\n\r\n").into_bytes());
        unsent.extend(request.body());
        Ok(Self {
            stream: connect(base, names)?,
            unsent,
            received: Vec::new(),
            limit,
        })
    }

    /// What came of it, once something has.
    pub(crate) fn poll(&mut self) -> Option<Result<HttpResponse, NetworkFailure>> {
        match self.advance() {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(failure::io(&error))),
        }
    }

    fn advance(&mut self) -> io::Result<Option<Result<HttpResponse, NetworkFailure>>> {
        while !self.unsent.is_empty() {
            let sent = self.stream.write(&self.unsent)?;
            self.unsent.drain(..sent);
        }
        let mut buffer = [0; 4096];
        loop {
            let count = self.stream.read(&mut buffer)?;
            self.received.extend(buffer.iter().take(count));
            let answer = self.answer();
            if answer.is_some() {
                return Ok(answer);
            }
            if count == 0 {
                return Ok(Some(Err(NetworkFailure::Ended)));
            }
        }
    }

    /// The answer, once it is complete. Its length must be known.
    fn answer(&self) -> Option<Result<HttpResponse, NetworkFailure>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let length_of_head = match head.parse(&self.received) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return None,
            Err(_) => return Some(Err(NetworkFailure::Protocol)),
        };
        let header = |name: &str| {
            let mut headers = head.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        let Some(length) = length else {
            return Some(Err(NetworkFailure::Protocol));
        };
        if length > self.limit {
            return Some(Err(NetworkFailure::TooLarge));
        }
        let body = self.received.get(length_of_head..length_of_head + length)?;
        Some(Ok(HttpResponse {
            status: head.code.unwrap_or_default(),
            retry_after: header("retry-after")
                .and_then(|value| retry_after(value, SystemTime::now())),
            body: Bytes::copy_from_slice(body),
        }))
    }
}
