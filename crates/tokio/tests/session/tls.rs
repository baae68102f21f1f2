//! Encrypted sessions, with an authority and a certificate of our own.

use std::{env, fs, net::SocketAddr, path::PathBuf, process, sync::Arc};

use attache_protocol::{
    io::{self, HttpRequest, Method, NetworkFailure, Token},
    policy::Outcome,
    viewer::{Content, Event, Status},
};
use attache_tokio::{
    BaseUrl, ClientCertificate, Http, Options, Plaintext, ProxyOptions, StaticToken,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

use crate::{
    server::{Server, within},
    viewer::{attach_with, config},
};

/// An authority, what it signed, and the files a client is given.
struct Authority {
    folder: PathBuf,
    file: PathBuf,
    own: ClientCertificate,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn establish(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |names: &[&str], usage| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let server = sign(&["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        let client = sign(&["viewer"], ExtendedKeyUsagePurpose::ClientAuth);

        let folder = env::temp_dir().join(format!("attache-{name}-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server.1.serialize_der()));
        let acceptor = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![server.0.der().clone()], key)
            .unwrap();
        Self {
            file: write("authority.pem", authority.pem()),
            own: ClientCertificate {
                certificate_file: write("client.pem", client.0.pem()),
                key_file: write("client.key", client.1.serialize_pem()),
            },
            acceptor: TlsAcceptor::from(Arc::new(acceptor)),
            folder,
        }
    }

    fn options(&self, server: SocketAddr) -> Options {
        let url = format!("https://{server}");
        let base_url = BaseUrl::parse(&url, Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        options.tls.extra_ca_file = Some(self.file.clone());
        options.tls.client_certificate = Some(self.own.clone());
        options
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_session_and_its_posts_are_encrypted_and_show_the_client_certificate() {
    let authority = Authority::establish("session-mutual");
    let mut server = Server::start_tls(authority.acceptor.clone());
    let options = authority.options(server.address());
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    let mut peer = server.peer().await;

    peer.says("encrypted").await;

    assert_eq!(attached.sees_message().await, "encrypted");
    attached.session.send(Content::text("hello")).await.unwrap();
    server.call().await.answer(200, "{}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let authority = Authority::establish("session-anonymous");
    let server = Server::start_tls(authority.acceptor.clone());
    let mut options = authority.options(server.address());
    options.tls.client_certificate = None;

    assert_eq!(first_failure(options).await, NetworkFailure::Tls);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let authority = Authority::establish("session-ours");
    let stranger = Authority::establish("session-stranger");
    let server = Server::start_tls(stranger.acceptor.clone());

    let failure = first_failure(authority.options(server.address())).await;

    assert_eq!(failure, NetworkFailure::Tls);
}

#[tokio::test]
async fn a_server_that_another_one_names_is_called_with_the_same_authority_and_certificate() {
    let authority = Authority::establish("session-named");
    let mut named = Server::start_tls(authority.acceptor.clone());
    let place = format!("https://{}", named.address());
    let mut options = authority.options(named.address());
    options.base_url = BaseUrl::parse("http://127.0.0.1:1", Plaintext::LoopbackOnly).unwrap();
    let http = Http::new(&options).unwrap();
    let request = HttpRequest {
        method: Method::Put,
        server: io::Server::At(place.into()),
        path: "/x".into(),
        bearer: Token::new("hunter2"),
        headers: Vec::new(),
        body: None,
        response_limit: 10,
    };
    let calling = tokio::spawn(async move { http.call(request).await });

    let call = named.call().await;
    assert_eq!(call.method, "PUT");
    call.answer(200, "{}");

    assert_eq!(within(calling).await.unwrap().unwrap().status, 200);
}

/// Why the first attempt fails.
async fn first_failure(options: Options) -> NetworkFailure {
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    attached
        .sees(|event| match event {
            Event::Status(Status::Waiting {
                cause: Outcome::Network(failure),
                ..
            }) => Some(failure),
            _ => None,
        })
        .await
}
