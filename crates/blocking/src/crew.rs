//! Those who wait: for tokens, for sockets, for answers and for what a stream brings.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Instant,
};

use attache_protocol::io::{
    HttpRequest, HttpRequestId, HttpResponse, NetworkFailure, Refusal, SocketId, SocketRequest,
    StreamId, Token, TokenReason, TokenRefusal, TokenRequestId,
};

use crate::{
    abort::{Abort, AbortOnDrop},
    alarm::Alarm,
    http::Http,
    pool::Pool,
    socket::Socket,
    stream::{self, EventStream, READ_AHEAD},
    token::{self, TokenSource},
};

/// One socket is opened at a time; another may be stuck in a name lookup that nothing can break off.
const DIALLING_THREADS: usize = 2;

/// A worker has a few calls under way at once.
const CALLING_THREADS: usize = 4;

/// One stream is read at a time, while the one before it ends.
const STREAMING_THREADS: usize = 2;

/// Does on its threads what takes time, and breaks it off when what came back for it is dropped. Each kind of work has threads of its own, so that none keeps
/// another from its turn.
pub(crate) struct Crew {
    http: Http,
    tokens: Arc<dyn TokenSource>,
    /// Lowered when the last question for a token is not wanted any more.
    is_fetch_wanted: Arc<AtomicBool>,
    fetching: Pool,
    dialling: Pool,
    calling: Pool,
    streaming: Pool,
    desk: Desk,
}

/// What a thread has to say.
pub(crate) enum Report {
    Token(TokenRequestId, Result<Token, TokenRefusal>),
    Socket(SocketId, Result<Box<Socket>, Refusal>),
    Stream(StreamId, Result<(), Refusal>),
    Call(HttpRequestId, Result<HttpResponse, NetworkFailure>),
}

/// Where threads report.
#[derive(Clone)]
struct Desk {
    reports: Sender<Report>,
    alarm: Alarm,
}

impl Desk {
    fn report(&self, report: Report) {
        // A driver that is done does not care.
        if self.reports.send(report).is_ok() {
            self.alarm.ring();
        }
    }
}

impl Crew {
    /// No thread yet. Reports ring `alarm`.
    pub(crate) fn new(
        http: Http,
        tokens: impl TokenSource,
        alarm: Alarm,
    ) -> (Self, Receiver<Report>) {
        let (sender, reports) = mpsc::channel();
        let crew = Self {
            http,
            tokens: Arc::new(tokens),
            is_fetch_wanted: Arc::default(),
            fetching: Pool::new("attache-token", 1),
            dialling: Pool::new("attache-dial", DIALLING_THREADS),
            calling: Pool::new("attache-call", CALLING_THREADS),
            streaming: Pool::new("attache-stream", STREAMING_THREADS),
            desk: Desk {
                reports: sender,
                alarm,
            },
        };
        (crew, reports)
    }

    /// One question at a time: a source that hangs is not asked again, and only the last question that
    /// waits for it is still worth asking then.
    pub(crate) fn fetch_token(&mut self, id: TokenRequestId, reason: TokenReason) {
        self.is_fetch_wanted.store(false, Ordering::Release);
        let is_wanted = Arc::new(AtomicBool::new(true));
        self.is_fetch_wanted = Arc::clone(&is_wanted);
        let (tokens, desk) = (Arc::clone(&self.tokens), self.desk.clone());
        let begun = self.fetching.run(Box::new(move || {
            if is_wanted.load(Ordering::Acquire) {
                let fetched = token::fetch(&*tokens, reason);
                desk.report(Report::Token(id, fetched));
            }
        }));
        if !begun {
            let refused = Err(TokenRefusal::Unavailable);
            self.desk.report(Report::Token(id, refused));
        }
    }

    pub(crate) fn open_socket(&mut self, id: SocketId, request: SocketRequest) -> AbortOnDrop {
        let span = tracing::debug_span!("socket", id = id.get());
        let abort = Abort::default();
        let handle = AbortOnDrop(abort.clone());
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.dialling.run(Box::new(move || {
            let _entered = span.entered();
            let opened = Socket::open(&http, &request, &abort);
            desk.report(Report::Socket(id, opened.map(Box::new)));
        }));
        if !begun {
            let refused = Err(Refusal::Network(NetworkFailure::Other));
            self.desk.report(Report::Socket(id, refused));
        }
        handle
    }

    pub(crate) fn call(&mut self, id: HttpRequestId, request: HttpRequest) -> AbortOnDrop {
        let span = tracing::debug_span!("request", id = id.get());
        let abort = Abort::default();
        let handle = AbortOnDrop(abort.clone());
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.calling.run(Box::new(move || {
            let _entered = span.entered();
            // What was cancelled while it waited for a thread is not sent at all.
            let answered = abort.check().and_then(|()| http.exchange(request, &abort));
            desk.report(Report::Call(id, answered));
        }));
        if !begun {
            let failed = Err(NetworkFailure::Other);
            self.desk.report(Report::Call(id, failed));
        }
        handle
    }

    pub(crate) fn open_stream(&mut self, id: StreamId, request: HttpRequest) -> EventStream {
        let span = tracing::debug_span!("stream", id = id.get());
        let abort = Abort::default();
        let (sender, chunks) = mpsc::sync_channel(READ_AHEAD);
        let stream = EventStream::new(AbortOnDrop(abort.clone()), chunks);
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.streaming.run(Box::new(move || {
            let _entered = span.entered();
            match http.open_until(request, &abort) {
                Ok(opened) => {
                    desk.report(Report::Stream(id, Ok(())));
                    stream::read(opened, &sender, &desk.alarm);
                }
                Err(ending) => desk.report(Report::Stream(id, Err(ending))),
            }
        }));
        if !begun {
            let refused = Err(Refusal::Network(NetworkFailure::Other));
            self.desk.report(Report::Stream(id, refused));
        }
        stream
    }

    /// Forgets what has not begun. What has begun is to be broken off.
    pub(crate) fn close(&self) {
        self.is_fetch_wanted.store(false, Ordering::Release);
        for pool in [
            &self.fetching,
            &self.dialling,
            &self.calling,
            &self.streaming,
        ] {
            pool.close();
        }
    }

    /// Waits for every thread, but not beyond `deadline`.
    pub(crate) fn join(self, deadline: Instant) {
        let pools = [self.fetching, self.dialling, self.calling, self.streaming];
        let left: usize = pools.into_iter().map(|pool| pool.join(deadline)).sum();
        if left > 0 {
            tracing::warn!(
                threads = left,
                "left behind in a name lookup or a token source, until that ends"
            );
        }
    }
}
