//! A connection to a server, whatever it is made of.

use std::{
    fmt,
    io::{self, Read, Write},
    net::Shutdown,
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// Bytes in, bytes out. It waits or reports [`io::ErrorKind::WouldBlock`], as its TCP stream is set.
pub(crate) enum Line {
    Plain(Tcp),
    Encrypted(Box<Encrypted>),
}

/// A TCP stream that counts what arrives.
pub(crate) struct Tcp {
    stream: TcpStream,
    received: u64,
}

/// TLS over another line.
///
/// Reading goes on while writing is stuck, which the library's own stream does not offer.
pub(crate) struct Encrypted {
    session: ClientConnection,
    below: Line,
}

impl Line {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::Plain(Tcp {
            stream,
            received: 0,
        })
    }

    /// Shakes hands with the server of this name. The line must be set to wait.
    pub(crate) fn encrypt(
        mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut self)?;
        }
        Ok(Self::Encrypted(Box::new(Encrypted {
            session,
            below: self,
        })))
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Encrypted(_) => true,
        }
    }

    /// How many bytes have arrived so far, whether or not they make anything yet.
    pub(crate) fn received(&self) -> u64 {
        self.tcp().received
    }

    /// What a poll can watch.
    pub(crate) fn source(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => &mut tcp.stream,
            Self::Encrypted(encrypted) => encrypted.below.source(),
        }
    }

    /// Says that nothing more will be written, if the peer takes that at once.
    pub(crate) fn finish(&mut self) {
        match self {
            // Whoever is gone need not be told.
            Self::Plain(tcp) => {
                let _ = tcp.stream.shutdown(Shutdown::Write);
            }
            Self::Encrypted(encrypted) => {
                encrypted.session.send_close_notify();
                if encrypted.push().is_ok() {
                    encrypted.below.finish();
                }
            }
        }
    }

    fn tcp(&self) -> &Tcp {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Encrypted(encrypted) => encrypted.below.tcp(),
        }
    }
}

impl Encrypted {
    /// Writes what is encrypted already.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.below)?;
        }
        self.below.flush()
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Encrypted(encrypted) => encrypted.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.stream.write(bytes),
            Self::Encrypted(encrypted) => encrypted.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.stream.flush(),
            Self::Encrypted(encrypted) => encrypted.flush(),
        }
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => {
                    self.received = self.received.wrapping_add(count as u64);
                    return Ok(count);
                }
                // A signal came while the thread waited.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Encrypted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // An answer that the peer's last message asked for; if it does not go out now, then later.
            let _ = self.push();
            self.session.read_tls(&mut self.below)?;
            if let Err(error) = self.session.process_new_packets() {
                // The alert tells the peer what was wrong, if it listens.
                let _ = self.push();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

impl Write for Encrypted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let count = self.session.writer().write(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            // The library's buffer is full.
            self.push()?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("is_encrypted", &self.is_encrypted())
            .finish_non_exhaustive()
    }
}
