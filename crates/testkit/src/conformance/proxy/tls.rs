//! TLS at the proxy's end: a certificate for each proxy, and the authority that clients are to trust.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempPath;

use super::names::NAME;

/// Who the proxy is.
pub(super) struct Identity {
    config: Arc<ServerConfig>,
    authority: TempPath,
}

impl Identity {
    pub(super) fn new() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;

        let mut params = CertificateParams::new(vec![NAME.to_owned()]).map_err(io::Error::other)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let own = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .map_err(io::Error::other)?;

        let mut file = tempfile::Builder::new().suffix(".pem").tempfile()?;
        file.write_all(issuer.pem().as_bytes())?;
        Ok(Self {
            config: Arc::new(config),
            authority: file.into_temp_path(),
        })
    }

    /// The encryption of one connection.
    pub(super) fn cover(&self) -> io::Result<Cover> {
        let tls = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(Cover(Mutex::new(tls)))
    }

    /// A PEM file with the authority, for as long as this lives.
    pub(super) fn authority_file(&self) -> &Path {
        &self.authority
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// The encryption of one connection.
pub(super) struct Cover(Mutex<ServerConnection>);

impl Cover {
    /// Reads what came. Errors of the connection itself, a time limit among them, are passed on.
    pub(super) fn read(&self, mut tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut cipher = [0; 4096];
        loop {
            match self.lock().reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            let count = tcp.read(&mut cipher)?;
            if count == 0 {
                return Ok(0);
            }
            let mut tls = self.lock();
            let mut came = cipher.get(..count).unwrap_or_default();
            while !came.is_empty() {
                tls.read_tls(&mut came)?;
                let processed = tls.process_new_packets();
                while tls.wants_write() {
                    tls.write_tls(&mut tcp)?;
                }
                processed.map_err(io::Error::other)?;
            }
        }
    }

    /// Hands what these bytes are on the line to `write`.
    pub(super) fn write(
        &self,
        bytes: &[u8],
        write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut tls = self.lock();
        tls.writer().write_all(bytes)?;
        let mut cipher = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut cipher)?;
        }
        // Under the lock, because the order of records counts.
        write(&cipher)
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&self, mut tcp: &TcpStream) -> io::Result<()> {
        let mut tls = self.lock();
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut tcp)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ServerConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
