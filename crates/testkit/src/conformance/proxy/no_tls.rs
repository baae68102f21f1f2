//! What there is of TLS without the feature `tls`: nothing.

use std::{io, net::TcpStream, path::Path};

/// Who the proxy is: nobody.
#[derive(Debug)]
pub(super) enum Identity {}

impl Identity {
    pub(super) fn new() -> io::Result<Self> {
        Err(io::Error::other(
            "trials over TLS need the feature `tls` of attache-testkit",
        ))
    }

    pub(super) fn cover(&self) -> io::Result<Cover> {
        match *self {}
    }

    pub(super) fn authority_file(&self) -> &Path {
        match *self {}
    }
}

/// The encryption of one connection: none.
pub(super) enum Cover {}

impl Cover {
    pub(super) fn read(&self, _: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn write(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn finish(&self, _: &TcpStream) -> io::Result<()> {
        match *self {}
    }
}
