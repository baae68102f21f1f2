//! Values of the public types with a secret in them, as `Debug` and `Display` show them.

use std::{
    fmt::{Debug, Display},
    fs,
    sync::Arc,
    time::SystemTime,
};

use attache_driver::{
    BaseUrl, Options, Plaintext, ProxyOptions, StaticToken, TlsOptions, proxy::ProxyRules,
};
use attache_protocol::{
    ByteString, Bytes, SessionId,
    frame::{
        Frame, RawJson,
        control::{self, Fields},
        permission::PermissionRequest,
        sse::SseDecoder,
    },
    io::{Effect, HttpRequest, HttpResponse, Input, Token},
    time::Timestamp,
    viewer::{Allow, Content, Decision, Event, Viewer, ViewerConfig},
    worker::{NewSession, SessionChoice, Worker, WorkerConfig},
};
use attache_relay::{
    Credentials, MemoryStore, Relay, RelayOptions, TokenFile,
    store::{NewFrame, Origin, StoredFrame, TokenHash},
};

use crate::{
    TOKEN, WORDS,
    panics::{panic_about, panic_about_both},
    post, said,
};

pub(crate) fn everything() -> Vec<String> {
    [values(), frames(), errors(), machines(), setup(), relays()].concat()
}

/// Values that are not what somebody looked for.
pub(crate) fn differences() {
    let token = Token::new(TOKEN);
    panic_about_both(&token, &Token::new("another"));
    let json = RawJson::string(WORDS);
    panic_about_both(&json, &RawJson::string("other words"));
    panic_about_both(&Content::text(WORDS), &Content::text("other words"));
    panic_about_both(&Decision::deny(WORDS), &Decision::allow());
    let fields = Fields::parse(format!(r#"{{"model":"{WORDS}"}}"#)).unwrap();
    panic_about_both(&fields, &Fields::NONE);
    let [one, other] = said().map(|text| Frame::classify(text.into()).unwrap());
    panic_about_both(&one, &other);

    let call = post("/v1/code/sessions");
    let other = HttpRequest {
        bearer: Token::new("another"),
        body: Some(Bytes::from(WORDS)),
        ..call.clone()
    };
    panic_about_both(&call, &other);
    let response = HttpResponse {
        status: 200,
        retry_after: None,
        body: Bytes::from(WORDS),
    };
    let empty = HttpResponse {
        body: Bytes::new(),
        ..response.clone()
    };
    panic_about_both(&response, &empty);

    let (_, effects, inputs) = exchange();
    for pair in effects.windows(2) {
        panic_about_both(&pair[0], &pair[1]);
    }
    for pair in inputs.windows(2) {
        panic_about_both(&pair[0], &pair[1]);
    }
}

fn debug(value: &impl Debug) -> String {
    panic_about(value);
    format!("{value:?} {value:#?}")
}

fn error(error: &(impl Debug + Display)) -> String {
    panic_about(error);
    format!("{error:?} {error:#?} {error}")
}

fn values() -> Vec<String> {
    let token = Token::new(TOKEN);
    let json = RawJson::string(WORDS);
    let allow = Allow {
        updated_input: Some(json.clone()),
        updated_permissions: Some(json.clone()),
        ..Allow::default()
    };
    let response = HttpResponse {
        status: 200,
        retry_after: None,
        body: Bytes::from(WORDS),
    };
    let fields = Fields::parse(format!(r#"{{"model":"{WORDS}"}}"#)).unwrap();
    vec![
        debug(&token),
        debug(&json),
        debug(&Content::text(WORDS)),
        debug(&Decision::Allow(allow)),
        debug(&Decision::deny(WORDS)),
        debug(&fields),
        debug(&response),
        debug(&StaticToken::new(TOKEN)),
    ]
}

fn frames() -> Vec<String> {
    let mut shown = Vec::new();
    let auth = control::auth(&Token::new(TOKEN));
    for text in said().map(ByteString::from).into_iter().chain([auth]) {
        let frame = Frame::classify(text).unwrap();
        shown.push(debug(&frame));
        shown.extend(
            PermissionRequest::parse(&frame)
                .ok()
                .map(|prompt| debug(&prompt)),
        );
        shown.push(debug(&frame.as_assistant()));
    }
    let mut decoder = SseDecoder::default();
    decoder.push(Bytes::from(format!("data: {WORDS}\n\ndata: {WORDS}")));
    shown.push(debug(&decoder.next()));
    shown.push(debug(&decoder));
    shown
}

fn errors() -> Vec<String> {
    let no_frames = [
        WORDS.to_owned(),
        format!(r#"{{"said":"{WORDS}"}}"#),
        format!(r#"{{"type":"control_request","said":"{WORDS}"}}"#),
        format!(r#"{{"type":"control_request","request_id":"r","said":"{WORDS}"}}"#),
        format!(r#"["{WORDS}"]"#),
    ];
    let mut shown: Vec<String> = no_frames
        .into_iter()
        .filter_map(|text| Frame::classify(text.into()).err())
        .map(|malformed| format!("{} {}", debug(&malformed), error(&malformed.error)))
        .collect();
    let prompt = format!(
        r#"{{"type":"control_request","request_id":"r1","request":{{"subtype":"can_use_tool","tool_name":5,"input":"{WORDS}"}}}}"#
    );
    let prompt = Frame::classify(prompt.into()).unwrap();
    shown.push(error(&PermissionRequest::parse(&prompt).unwrap_err()));
    shown.push(error(&RawJson::parse(WORDS).unwrap_err()));
    shown.push(error(&Fields::parse(WORDS).unwrap_err()));
    let url = format!("https://user:{TOKEN}@relay.example");
    shown.extend(
        BaseUrl::parse(&url, Plaintext::LoopbackOnly)
            .err()
            .map(|refused| error(&refused)),
    );
    shown
}

/// A viewer through which secrets have gone, and what went out and in.
fn exchange() -> (Viewer, Vec<Effect>, Vec<Input>) {
    let now = Timestamp::ORIGIN;
    let config = ViewerConfig::new(SessionId::parse("session_x").unwrap());
    let mut viewer = Viewer::new(config, [1; 32], now);
    viewer.connect(now).unwrap();
    viewer.send(now, Content::text(WORDS)).unwrap();
    let (mut effects, mut inputs) = (Vec::new(), Vec::new());
    while let Some(effect) = viewer.poll_effect() {
        effects.push(effect.clone());
        let answers = match effect {
            Effect::FetchToken { id, .. } => vec![Input::TokenFetched {
                id,
                token: Token::new(TOKEN),
            }],
            Effect::OpenSocket { id, .. } => {
                let texts = said().into_iter().chain([WORDS.to_owned()]);
                let texts = texts.map(|text| Input::SocketText {
                    id,
                    text: text.into(),
                });
                let binary = Input::SocketBinary {
                    id,
                    bytes: Bytes::from(WORDS),
                };
                [Input::SocketOpened { id }, binary]
                    .into_iter()
                    .chain(texts)
                    .collect()
            }
            Effect::SendHttp { id, .. } => vec![Input::HttpAnswered {
                id,
                response: HttpResponse {
                    status: 400,
                    retry_after: None,
                    body: Bytes::from(WORDS),
                },
            }],
            _ => Vec::new(),
        };
        for input in answers {
            viewer.handle_input(now, input.clone());
            inputs.push(input);
        }
    }
    (viewer, effects, inputs)
}

/// Machines through which a secret has gone, and what came out.
fn machines() -> Vec<String> {
    let now = Timestamp::ORIGIN;
    let (mut viewer, effects, inputs) = exchange();
    let mut shown: Vec<String> = effects.iter().map(debug).collect();
    shown.extend(inputs.iter().map(debug));
    let events: Vec<Event> = std::iter::from_fn(|| viewer.poll_event()).collect();
    assert!(events.len() > 4);
    shown.extend(events.iter().map(debug));
    shown.push(debug(&viewer));
    viewer.close(now);
    let late = viewer.send(now, Content::text(WORDS)).unwrap_err();
    shown.push(error(&late));

    let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    let mut worker = Worker::new(config, [1; 32], now);
    worker.start(now).unwrap();
    for text in said() {
        worker.upload(now, text.into()).unwrap();
    }
    shown.push(error(&worker.upload(now, WORDS.into()).unwrap_err()));
    if let Some(Effect::FetchToken { id, .. }) = worker.poll_effect() {
        let token = Token::new(TOKEN);
        worker.handle_input(now, Input::TokenFetched { id, token });
    }
    let effects: Vec<Effect> = std::iter::from_fn(|| worker.poll_effect()).collect();
    assert!(!effects.is_empty());
    shown.extend(effects.iter().map(debug));
    shown.push(debug(&worker));
    shown
}

fn setup() -> Vec<String> {
    let mut shown = vec![debug(&TlsOptions::default())];
    let credentials = [
        format!("http://user:{TOKEN}@proxy.example:3128"),
        // What can't be used is not repeated either.
        format!("nonsense://{TOKEN}"),
        format!("http://user:{TOKEN}@"),
    ];
    for https in credentials {
        let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Explicit(ProxyRules {
            https,
            ..ProxyRules::default()
        });
        shown.push(debug(&options));
        shown.extend(
            attache_blocking::Http::new(&options)
                .err()
                .map(|refused| error(&refused)),
        );
    }
    shown
}

/// What a relay holds.
fn relays() -> Vec<String> {
    let credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
    let mut options = RelayOptions::default();
    options.credentials = credentials.clone();
    let frame = NewFrame {
        uuid: "u1".into(),
        text: said()[0].as_str().into(),
        origin: Origin::Agent,
    };
    let stored = StoredFrame {
        sequence: 1,
        uuid: "u1".into(),
        text: said()[1].as_str().into(),
        origin: Origin::Agent,
        stored_at: SystemTime::UNIX_EPOCH,
    };
    let mut shown = vec![
        debug(&credentials),
        debug(&options),
        debug(&Relay::new(Arc::new(MemoryStore::new()), options)),
        debug(&frame),
        debug(&stored),
        debug(&TokenHash::of(TOKEN)),
    ];
    // Tokens where names, roles and hashes belong.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    for line in [
        TOKEN.to_owned(),
        format!("{TOKEN}! own sha256:00"),
        format!("me {TOKEN} sha256:00"),
        format!("me own {TOKEN}"),
        format!("me own sha256:00 {TOKEN}"),
    ] {
        fs::write(&file, line).unwrap();
        shown.push(error(&TokenFile::at(&file).read().unwrap_err()));
    }
    shown
}
