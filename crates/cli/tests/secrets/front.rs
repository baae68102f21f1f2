//! A way to a relay that is encrypted, as a proxy in front of it would have it.

use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempPath;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// Takes the encryption off, and passes everything on.
pub(crate) struct Front {
    address: SocketAddr,
    authority: TempPath,
    serving: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn before(relay: SocketAddr) -> Self {
        let (acceptor, authority) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(acceptor.clone(), stream, relay));
            }
        });
        Self {
            address,
            authority,
            serving,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Whom clients have to trust.
    pub(crate) fn authority_file(&self) -> &Path {
        &self.authority
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Either side may leave as it likes.
async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, relay: SocketAddr) {
    let Ok(mut client) = acceptor.accept(stream).await else {
        return;
    };
    let mut server = TcpStream::connect(relay).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// A certificate for this machine, and the file of the authority that signed it.
fn identity() -> (TlsAcceptor, TempPath) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    let mut file = tempfile::Builder::new().suffix(".pem").tempfile().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), file.into_temp_path())
}
