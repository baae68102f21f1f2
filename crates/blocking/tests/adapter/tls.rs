//! Encrypted sessions, with an authority and a certificate of our own.

use std::{env, fs, net::SocketAddr, path::PathBuf, process, sync::Arc};

use attache_blocking::{
    BaseUrl, ClientCertificate, Http, Options, Plaintext, ProxyOptions, StaticToken,
};
use attache_protocol::{
    frame::control::Fields,
    io::{self, HttpRequest, Method, NetworkFailure, Token},
    viewer::Content,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use crate::{
    opening::first_failure,
    server::{LIMIT, Server, started},
    viewer::{attach_with, config},
};

/// An authority, what it signed, and the files a client is given.
struct Authority {
    folder: PathBuf,
    file: PathBuf,
    own: ClientCertificate,
    server: Arc<ServerConfig>,
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

        let folder = env::temp_dir().join(format!("attache-threads-{name}-{}", process::id()));
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
        let config = ServerConfig::builder_with_provider(provider)
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
            server: Arc::new(config),
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

#[test]
fn a_session_and_its_posts_are_encrypted_and_show_the_client_certificate() {
    let authority = Authority::establish("mutual");
    let server = Server::start_tls(authority.server.clone());
    let options = authority.options(server.address());
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    let mut peer = server.peer();

    peer.says("encrypted");

    assert_eq!(attached.sees_message(), "encrypted");
    attached.session.send(Content::text("hello")).unwrap();
    server.call().answer(200, "{}");
    let session = attached.session.clone();
    let closing = started(move || session.close());
    assert_eq!(peer.hears_close(), 1000);
    assert!(peer.hears().is_none());
    drop(peer);
    closing.recv_timeout(LIMIT).unwrap().unwrap();
}

#[test]
fn an_encrypted_line_is_read_while_writing_on_it_is_stuck() {
    let authority = Authority::establish("stuck");
    let server = Server::start_tls(authority.server.clone());
    let options = authority.options(server.address());
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();
    // More than all buffers on the way hold, and the peer reads nothing of it yet.
    let padding = "x".repeat(1024 * 1024);
    for number in 0..30 {
        let fields = format!("{{\"number\":{number},\"padding\":\"{padding}\"}}");
        let fields = Fields::parse(fields).unwrap();
        attached.session.request("anything", fields).unwrap();
    }

    for number in 0..100 {
        peer.says(&number.to_string());
    }
    for number in 0..100 {
        assert_eq!(attached.sees_message(), number.to_string());
    }

    for number in 0..30 {
        assert_eq!(peer.hears_json()["request"]["number"], number);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let authority = Authority::establish("anonymous");
    let server = Server::start_tls(authority.server.clone());
    let mut options = authority.options(server.address());
    options.tls.client_certificate = None;
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    assert_eq!(first_failure(&mut attached), NetworkFailure::Tls);
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let authority = Authority::establish("ours");
    let stranger = Authority::establish("stranger");
    let server = Server::start_tls(stranger.server.clone());
    let options = authority.options(server.address());
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    assert_eq!(first_failure(&mut attached), NetworkFailure::Tls);
}

#[test]
fn a_server_that_another_one_names_is_called_with_the_same_authority_and_certificate() {
    let authority = Authority::establish("named");
    let named = Server::start_tls(authority.server.clone());
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
    let calling = started(move || http.call(request));

    let call = named.call();
    assert_eq!(call.method, "PUT");
    call.answer(200, "{}");

    let answer = calling.recv_timeout(LIMIT).unwrap();
    assert_eq!(answer.unwrap().status, 200);
}
