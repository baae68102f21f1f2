//! The way to the server: encrypted, and through a proxy.

use std::{fs, net::SocketAddr, sync::Arc};

use attache_async_std::{BaseUrl, Http, Options, Plaintext, ProxyOptions, ProxyRules};
use attache_protocol::{
    io::{HttpRequest, Method, NetworkFailure, Server, Token},
    viewer::{Content, Event, Status, Transport, ViewerConfig},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::{
    runtime::{Runtime, under_both, within},
    stage::Stage,
};

under_both!(
    an_encrypted_session_talks_over_both_transports,
    a_server_that_nobody_vouches_for_is_not_spoken_to,
    a_session_goes_through_a_proxy,
);

async fn an_encrypted_session_talks_over_both_transports(runtime: Runtime) {
    let stage = Stage::open();
    let authority = Authority::establish();
    let door = authority.door(&stage);
    let mut options = through(door);
    options.tls.extra_ca_file = Some(authority.folder.path().join("authority.pem"));
    for transport in [Transport::WebSocket, Transport::Sse] {
        talk(runtime, &stage, options.clone(), transport).await;
    }
}

async fn a_server_that_nobody_vouches_for_is_not_spoken_to(_runtime: Runtime) {
    let stage = Stage::open();
    let door = Authority::establish().door(&stage);
    let http = Http::new(&through(door)).unwrap();
    let request = HttpRequest {
        method: Method::Get,
        server: Server::Configured,
        path: "/v1/sessions".into(),
        bearer: Token::new(Stage::TOKEN),
        headers: Vec::new(),
        body: None,
        response_limit: 1000,
    };

    let refused = within(http.call(request)).await;

    assert_eq!(refused.unwrap_err(), NetworkFailure::Tls);
}

async fn a_session_goes_through_a_proxy(runtime: Runtime) {
    let stage = Stage::open();
    let (proxy, mut asked) = tunnels(&stage);
    let mut options = stage.options();
    options.proxy = ProxyOptions::Explicit(ProxyRules {
        http: format!("http://user:secret@{proxy}"),
        ..ProxyRules::default()
    });

    talk(runtime, &stage, options, Transport::WebSocket).await;

    let head = stage.now(asked.recv()).unwrap();
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", stage.address())));
    assert!(head.contains("proxy-authorization: Basic dXNlcjpzZWNyZXQ=\r\n"));
}

/// A person says something that the agent hears.
async fn talk(runtime: Runtime, stage: &Stage, options: Options, transport: Transport) {
    let (id, mut agent) = stage.session();
    let mut config = ViewerConfig::new(id);
    config.transport = transport;
    let (session, mut events, driver) =
        attache_async_std::connect(config, options, Stage::token()).unwrap();
    let driver = runtime.spawn(driver);
    loop {
        let event = within(events.next()).await;
        let event = event.expect("the session goes on");
        if matches!(event, Event::Status(Status::Live)) {
            break;
        }
    }
    within(session.send(Content::text("hello"))).await.unwrap();
    let heard = stage.now(agent.recv()).unwrap().unwrap();
    assert!(heard.as_str().contains("hello"));
    within(session.close()).await.unwrap();
    driver.done().await;
}

fn through(door: SocketAddr) -> Options {
    let base_url = BaseUrl::parse(&format!("https://{door}"), Plaintext::LoopbackOnly).unwrap();
    let mut options = Options::new(base_url);
    options.proxy = ProxyOptions::Direct;
    options
}

/// An authority, and what it vouches for.
struct Authority {
    folder: TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn establish() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();

        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self {
            folder,
            acceptor: TlsAcceptor::from(Arc::new(server)),
        }
    }

    /// An encrypted way in.
    fn door(&self, stage: &Stage) -> SocketAddr {
        let acceptor = self.acceptor.clone();
        let relay = stage.address();
        stage.listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    join(stream, relay).await;
                }
            }
        })
    }
}

/// A proxy, and the heads of what it is asked.
fn tunnels(stage: &Stage) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (sender, asked) = mpsc::unbounded_channel();
    let relay = stage.address();
    let address = stage.listen(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let _ = sender.send(String::from_utf8(head).unwrap());
            let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            join(stream, relay).await;
        }
    });
    (address, asked)
}

async fn join(mut stream: impl AsyncRead + AsyncWrite + Unpin, relay: SocketAddr) {
    let mut onward = TcpStream::connect(relay).await.unwrap();
    // Either side may break it off.
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}
