//! A connection as the proxy's threads read and write it, encrypted or not.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use super::{connection::TICK, tls::Cover};

/// Whoever does not listen for so long is gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// One end of a connection. One thread reads and another one writes.
pub(super) struct Wire {
    tcp: TcpStream,
    cover: Option<Cover>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(TICK))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { tcp, cover: None })
    }

    /// From now on, everything is encrypted.
    pub(super) fn encrypt(self, cover: Cover) -> Self {
        Self {
            cover: Some(cover),
            ..self
        }
    }

    /// What is below the encryption.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Writes bytes one by one, as they are on the line.
    pub(super) fn write_sliced(&self, bytes: &[u8]) -> io::Result<()> {
        let mut tcp = &self.tcp;
        self.covered(bytes, &mut |bytes| {
            bytes.iter().try_for_each(|byte| tcp.write_all(&[*byte]))
        })
    }

    /// Says in good order that nothing more comes.
    pub(super) fn finish(&self) -> io::Result<()> {
        if let Some(cover) = &self.cover {
            cover.finish(&self.tcp)?;
        }
        self.tcp.shutdown(Shutdown::Write)
    }

    fn covered(
        &self,
        bytes: &[u8],
        write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match &self.cover {
            Some(cover) => cover.write(bytes, write),
            None => write(bytes),
        }
    }
}

impl Read for &Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.cover {
            Some(cover) => cover.read(&self.tcp, buffer),
            None => (&self.tcp).read(buffer),
        }
    }
}

impl Write for &Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tcp = &self.tcp;
        self.covered(bytes, &mut |bytes| tcp.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.tcp).flush()
    }
}
