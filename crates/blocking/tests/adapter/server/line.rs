//! The server's end of a connection.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::LIMIT;

/// A connection, encrypted or not.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    pub(super) tcp: TcpStream,
    /// So that the connection does not end well first.
    pub(super) is_dropped_only: bool,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

pub(crate) type Headers = HashMap<String, String>;

impl Line {
    pub(super) fn accept(tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
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
    pub(super) fn head(&mut self) -> io::Result<(String, String, Headers)> {
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

    pub(super) fn answer(&mut self, status: u16, headers: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        self.write_all(answer.as_bytes())
    }

    pub(super) fn meet_end(&mut self) {
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

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
