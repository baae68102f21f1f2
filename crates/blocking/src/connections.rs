//! Everything that is under way outside the machine: sockets, streams, calls, questions for tokens.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Instant,
};

use attache_driver::Machine;
use attache_protocol::{
    io::{
        Effect, HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketId,
        SocketRequest, StreamId, Token, TokenReason, TokenRefusal, TokenRequestId,
    },
    time::Timestamp,
};
use mio::{Interest, Registry};

use crate::{
    abort::Abort,
    alarm::Alarm,
    http::Http,
    pool::Pool,
    socket::{Link, Socket},
    stream::{self, EventStream, READ_AHEAD},
    token::{self, TokenSource},
};

/// Messages or chunks read from one connection before everybody else has a turn.
const TURN: usize = 64;

/// One socket is opened at a time; another may be stuck in a name lookup that nothing can break off.
const DIALLING_THREADS: usize = 2;

/// A worker has a few calls under way at once.
const CALLING_THREADS: usize = 4;

/// One stream is read at a time, while the one before it ends.
const STREAMING_THREADS: usize = 2;

/// Carries effects out and reports what comes of them. Dropping it breaks everything off and waits for
/// nobody.
pub(crate) struct Connections {
    http: Http,
    tokens: Arc<dyn TokenSource>,
    registry: Registry,
    /// Where each socket's token comes from; never used twice.
    opened: usize,
    sockets: BTreeMap<SocketId, Link>,
    streams: BTreeMap<StreamId, EventStream>,
    calls: BTreeMap<HttpRequestId, Abort>,
    /// Lowered when the last question for a token is not wanted any more.
    is_fetch_wanted: Arc<AtomicBool>,
    threads: Threads,
    desk: Desk,
    reports: Receiver<Report>,
}

/// Each kind of work has threads of its own, so that none keeps another from its turn.
struct Threads {
    fetching: Pool,
    dialling: Pool,
    calling: Pool,
    streaming: Pool,
}

/// What a thread has to say.
enum Report {
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

impl Connections {
    /// `registry` is of the poll that the driver waits on, and `alarm` wakes it.
    pub(crate) fn new(
        http: Http,
        tokens: impl TokenSource,
        registry: Registry,
        alarm: Alarm,
    ) -> Self {
        let (sender, reports) = mpsc::channel();
        Self {
            http,
            tokens: Arc::new(tokens),
            registry,
            opened: 0,
            sockets: BTreeMap::new(),
            streams: BTreeMap::new(),
            calls: BTreeMap::new(),
            is_fetch_wanted: Arc::default(),
            threads: Threads {
                fetching: Pool::new("attache-token", 1),
                dialling: Pool::new("attache-dial", DIALLING_THREADS),
                calling: Pool::new("attache-call", CALLING_THREADS),
                streaming: Pool::new("attache-stream", STREAMING_THREADS),
            },
            desk: Desk {
                reports: sender,
                alarm,
            },
            reports,
        }
    }

    /// Tells the machine what has happened. Whether anything has.
    pub(crate) fn report(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = self.take_reports(now, machine);
        self.sockets.retain(|&id, link| {
            let Link::Open(socket) = link else {
                return true;
            };
            let is_open = read(now, machine, &mut changed, || socket.read(id));
            if !is_open {
                // A socket that can't be taken out goes when it is closed.
                let _ = self.registry.deregister(socket.source());
            }
            is_open
        });
        self.streams
            .retain(|&id, stream| read(now, machine, &mut changed, || stream.read(id)));
        changed
    }

    /// Carries out what the machine orders. Whether there was anything.
    pub(crate) fn carry_out(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = false;
        while let Some(effect) = machine.poll_effect() {
            changed = true;
            tracing::trace!(?effect);
            self.carry_out_one(effect, now, machine);
        }
        changed
    }

    /// Writes what the sockets take. Whether they took anything, or can't any more.
    pub(crate) fn write(&mut self) -> bool {
        let mut changed = false;
        for link in self.sockets.values_mut() {
            if let Link::Open(socket) = link {
                changed |= socket.write();
            }
        }
        changed
    }

    /// Breaks everything off at once, and forgets what has not begun.
    pub(crate) fn abort(&mut self) {
        for link in std::mem::take(&mut self.sockets).into_values() {
            if let Link::Opening(abort) = link {
                abort.abort();
            }
        }
        for abort in std::mem::take(&mut self.calls).into_values() {
            abort.abort();
        }
        self.streams.clear();
        self.is_fetch_wanted.store(false, Ordering::Release);
        for pool in self.threads.all() {
            pool.close();
        }
    }

    /// [`abort`](Self::abort), then waits for the threads, but not beyond `deadline`.
    pub(crate) fn finish(mut self, deadline: Instant) {
        self.abort();
        let Threads {
            fetching,
            dialling,
            calling,
            streaming,
        } = std::mem::replace(&mut self.threads, Threads::none());
        let left: usize = [fetching, dialling, calling, streaming]
            .into_iter()
            .map(|pool| pool.join(deadline))
            .sum();
        if left > 0 {
            tracing::warn!(
                threads = left,
                "left behind in a name lookup or a token source, until that ends"
            );
        }
    }

    fn take_reports(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = false;
        while let Ok(report) = self.reports.try_recv() {
            changed = true;
            if let Some(input) = self.take_report(report) {
                machine.handle_input(now, input);
            }
        }
        changed
    }

    /// What a report means to the machine, unless that does not want to know any more.
    fn take_report(&mut self, report: Report) -> Option<Input> {
        match report {
            Report::Token(id, Ok(token)) => Some(Input::TokenFetched { id, token }),
            Report::Token(id, Err(refusal)) => Some(Input::TokenRefused { id, refusal }),
            Report::Call(id, answered) => {
                self.calls.remove(&id)?;
                tracing::debug!(request = id.get(), ?answered, "request over");
                Some(match answered {
                    Ok(response) => Input::HttpAnswered { id, response },
                    Err(failure) => Input::HttpFailed { id, failure },
                })
            }
            Report::Socket(id, opened) => {
                self.sockets.remove(&id)?;
                let opened = opened.and_then(|socket| self.watch(socket));
                let decided = opened.as_ref().map(|_| ());
                tracing::debug!(socket = id.get(), ?decided, "socket attempt decided");
                Some(match opened {
                    Ok(socket) => {
                        self.sockets.insert(id, Link::Open(socket));
                        Input::SocketOpened { id }
                    }
                    Err(refusal) => Input::SocketRefused { id, refusal },
                })
            }
            Report::Stream(id, opened) => {
                let stream = self.streams.get_mut(&id)?;
                tracing::debug!(stream = id.get(), ?opened, "stream attempt decided");
                Some(match opened {
                    Ok(()) => {
                        stream.is_open = true;
                        Input::StreamOpened { id }
                    }
                    Err(ending) => {
                        self.streams.remove(&id);
                        Input::StreamClosed { id, ending }
                    }
                })
            }
        }
    }

    /// Lets the driver's poll notice what happens on `socket`.
    fn watch(&mut self, mut socket: Box<Socket>) -> Result<Box<Socket>, Refusal> {
        let token = mio::Token(self.opened);
        self.opened += 1;
        let interests = Interest::READABLE | Interest::WRITABLE;
        match self.registry.register(socket.source(), token, interests) {
            Ok(()) => Ok(socket),
            Err(error) => {
                tracing::warn!(%error, "a socket can't be watched");
                Err(Refusal::Network(NetworkFailure::Other))
            }
        }
    }

    fn carry_out_one(&mut self, effect: Effect, now: Timestamp, machine: &mut impl Machine) {
        match effect {
            Effect::FetchToken { id, reason } => self.fetch_token(id, reason),
            Effect::OpenSocket { id, request } => self.open_socket(id, request),
            Effect::SendText { id, text } => {
                if let Some(Link::Open(socket)) = self.sockets.get_mut(&id) {
                    socket.send_text(&text);
                }
            }
            Effect::SendPing { id, payload } => {
                if let Some(Link::Open(socket)) = self.sockets.get_mut(&id) {
                    socket.send_ping(payload);
                }
            }
            Effect::CloseSocket { id, code } => match self.sockets.get_mut(&id) {
                Some(Link::Open(socket)) => socket.send_close(code),
                Some(Link::Opening(_)) => {
                    self.abort_socket(id);
                    let refusal = Refusal::Network(NetworkFailure::Ended);
                    let refused = Input::SocketRefused { id, refusal };
                    machine.handle_input(now, refused);
                }
                None => {}
            },
            Effect::AbortSocket { id } => self.abort_socket(id),
            Effect::SendHttp { id, request } => self.call(id, request),
            Effect::CancelHttp { id } => {
                if let Some(abort) = self.calls.remove(&id) {
                    abort.abort();
                }
            }
            Effect::OpenStream { id, request } => self.open_stream(id, request),
            Effect::CloseStream { id } => {
                self.streams.remove(&id);
            }
        }
    }

    /// One question at a time: a source that hangs is not asked again, and only the last question that
    /// waits for it is still worth asking then.
    fn fetch_token(&mut self, id: TokenRequestId, reason: TokenReason) {
        self.is_fetch_wanted.store(false, Ordering::Release);
        let is_wanted = Arc::new(AtomicBool::new(true));
        self.is_fetch_wanted = Arc::clone(&is_wanted);
        let (tokens, desk) = (Arc::clone(&self.tokens), self.desk.clone());
        let begun = self.threads.fetching.run(Box::new(move || {
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

    fn open_socket(&mut self, id: SocketId, request: SocketRequest) {
        let span = tracing::debug_span!("socket", id = id.get());
        let abort = Abort::default();
        self.sockets.insert(id, Link::Opening(abort.clone()));
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.threads.dialling.run(Box::new(move || {
            let _entered = span.entered();
            let opened = Socket::open(&http, &request, &abort);
            desk.report(Report::Socket(id, opened.map(Box::new)));
        }));
        if !begun {
            let refused = Err(Refusal::Network(NetworkFailure::Other));
            self.desk.report(Report::Socket(id, refused));
        }
    }

    fn abort_socket(&mut self, id: SocketId) {
        match self.sockets.remove(&id) {
            Some(Link::Opening(abort)) => abort.abort(),
            Some(Link::Open(mut socket)) => {
                // A socket that can't be taken out goes when it is closed.
                let _ = self.registry.deregister(socket.source());
            }
            None => {}
        }
    }

    fn call(&mut self, id: HttpRequestId, request: HttpRequest) {
        let span = tracing::debug_span!("request", id = id.get());
        let abort = Abort::default();
        self.calls.insert(id, abort.clone());
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.threads.calling.run(Box::new(move || {
            let _entered = span.entered();
            // What was cancelled while it waited for a thread is not sent at all.
            let answered = abort.check().and_then(|()| http.exchange(request, &abort));
            desk.report(Report::Call(id, answered));
        }));
        if !begun {
            let failed = Err(NetworkFailure::Other);
            self.desk.report(Report::Call(id, failed));
        }
    }

    fn open_stream(&mut self, id: StreamId, request: HttpRequest) {
        let span = tracing::debug_span!("stream", id = id.get());
        let abort = Abort::default();
        let (sender, chunks) = mpsc::sync_channel(READ_AHEAD);
        self.streams
            .insert(id, EventStream::new(abort.clone(), chunks));
        let (http, desk) = (self.http.clone(), self.desk.clone());
        let begun = self.threads.streaming.run(Box::new(move || {
            let _entered = span.entered();
            match stream::open(&http, request, &abort) {
                Ok(body) => {
                    desk.report(Report::Stream(id, Ok(())));
                    stream::read(body, &sender, &desk.alarm);
                }
                Err(ending) => desk.report(Report::Stream(id, Err(ending))),
            }
        }));
        if !begun {
            let refused = Err(Refusal::Network(NetworkFailure::Other));
            self.desk.report(Report::Stream(id, refused));
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Threads {
    fn none() -> Self {
        Self {
            fetching: Pool::new("", 0),
            dialling: Pool::new("", 0),
            calling: Pool::new("", 0),
            streaming: Pool::new("", 0),
        }
    }

    fn all(&self) -> [&Pool; 4] {
        [
            &self.fetching,
            &self.dialling,
            &self.calling,
            &self.streaming,
        ]
    }
}

/// Hands in what one connection brings in a turn, for as long as the machine wants it. Whether the
/// connection is still open.
fn read(
    now: Timestamp,
    machine: &mut impl Machine,
    changed: &mut bool,
    mut next: impl FnMut() -> Option<Input>,
) -> bool {
    for _ in 0..TURN {
        if !machine.wants_read() {
            return true;
        }
        let Some(input) = next() else {
            return true;
        };
        *changed = true;
        let closed = matches!(
            input,
            Input::SocketClosed { .. } | Input::StreamClosed { .. }
        );
        if closed {
            tracing::debug!(?input, "connection closed");
        }
        machine.handle_input(now, input);
        if closed {
            return false;
        }
    }
    true
}
