//! What a viewer is told before it starts. Every number has a default and can be changed.

use core::time::Duration;

use super::Cursor;
use crate::{
    ids::{OrganizationId, SessionId},
    policy::Profile,
};

/// Everything a [`Viewer`](super::Viewer) needs to know. The token source is the driver's: the machine
/// asks it for every attempt.
///
/// ```
/// use attache_protocol::{SessionId, viewer::ViewerConfig};
///
/// let mut config = ViewerConfig::new(SessionId::parse("session_01ab").unwrap());
/// config.viewer_only = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ViewerConfig {
    /// The session to attach to.
    pub session: SessionId,
    /// The organization it belongs to, for servers that want to know.
    pub organization: Option<OrganizationId>,
    /// Watch only: no answers, no requests, no sends, no watchdog.
    pub viewer_only: bool,
    /// The session was started with a prompt, so the agent owes an answer from the first connection
    /// on and the watchdog runs.
    pub has_initial_prompt: bool,
    /// Ask the agent to `initialize` after every open, as interactive viewers do. The answer also
    /// names the prompts that are open. Off by default.
    pub initialize: bool,
    /// What the session is followed over.
    pub transport: Transport,
    /// What to load before the first live message.
    pub history: History,
    /// Where to go on, instead of loading history: what [`Viewer::cursor`](super::Viewer::cursor) said
    /// when the application took its last event, perhaps in another process. A number means nothing to
    /// [`Transport::WebSocket`]: with one, the past is reported as a gap.
    pub resume_from: Option<Cursor>,
    /// Where the token goes.
    pub credential: CredentialPlacement,
    /// When to try again, and when to stop.
    pub profile: Profile,
    /// How a dead link is noticed.
    pub liveness: Liveness,
    /// How long answers are waited for.
    pub patience: Patience,
    /// How much is kept.
    pub limits: Limits,
}

impl ViewerConfig {
    /// The defaults, for `session`.
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            organization: None,
            viewer_only: false,
            has_initial_prompt: false,
            initialize: false,
            transport: Transport::WebSocket,
            history: History::Latest(100),
            resume_from: None,
            credential: CredentialPlacement::Header,
            profile: Profile::resilient(),
            liveness: Liveness::default(),
            patience: Patience::default(),
            limits: Limits::default(),
        }
    }
}

/// What a session is followed over. Commands, events and guarantees are the same on both.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket for what is said and for control frames, HTTP calls for messages and the past.
    #[default]
    WebSocket,
    /// A stream of server-sent events, which brings the past as well, and HTTP calls for everything
    /// that is sent. It gets through where WebSockets do not.
    Sse,
}

/// How much of the past the first open loads.
///
/// The past can be read forward only, so [`Latest`](Self::Latest) reads all of it and keeps its end; memory stays within `n` frames.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing. Over a WebSocket there is no position to resume from until the first stored frame
    /// arrives: a drop before that is reported as a gap.
    None,
    /// The last so many messages.
    Latest(usize),
    /// Everything.
    All,
}

/// How the token reaches the server when a socket is opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CredentialPlacement {
    /// In the upgrade's `Authorization` header.
    Header,
    /// In an `auth` frame, the first on the socket, as clients do that cannot set headers.
    AuthFrame,
    /// Both.
    HeaderAndAuthFrame,
}

/// How a dead link is noticed. While the application takes no events, silence is not held against
/// the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Liveness {
    /// An open must have succeeded after this long. 15 s.
    pub connect_deadline: Duration,
    /// A ping goes out after this long without a sign of life. 30 s.
    pub ping_after: Duration,
    /// A link without any sign of life for this long is dead. 40 s.
    pub silence_deadline: Duration,
    /// A stream without a byte for this long is dead; servers send a comment every 15 s. 45 s.
    pub stream_silence: Duration,
    /// After a wake-up the peer must answer a ping within this, or the stream bring a byte. 5 s.
    pub probe_deadline: Duration,
    /// A link that has been up this long ends the episode of failures before it. 10 s.
    pub stable_after: Duration,
    /// How long closing may take (the closing handshake, a post that is under way) before what is left is
    /// dropped. With some time for whoever carries it out, `close` returns within 2 s. 1.8 s.
    pub close_deadline: Duration,
    /// The wait between the end of the old socket and the new attempt of a forced reconnect. 500 ms.
    pub reconnect_delay: Duration,
    /// Forced reconnects closer together than this are refused. 5 s.
    pub reconnect_interval: Duration,
}

impl Liveness {
    pub(super) const USUAL: Self = Self {
        connect_deadline: Duration::from_secs(15),
        ping_after: Duration::from_secs(30),
        silence_deadline: Duration::from_secs(40),
        stream_silence: Duration::from_secs(45),
        probe_deadline: Duration::from_secs(5),
        stable_after: Duration::from_secs(10),
        close_deadline: Duration::from_millis(1800),
        reconnect_delay: Duration::from_millis(500),
        reconnect_interval: Duration::from_secs(5),
    };
}

impl Default for Liveness {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How long answers are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// The token source. 15 s.
    pub token: Duration,
    /// One HTTP call. 10 s.
    pub http: Duration,
    /// A catch-up that brings nothing new; after that the rest is reported as a gap. 2 min.
    pub catch_up: Duration,
    /// A control request. 30 s.
    pub request: Duration,
    /// An interrupt; asked for offline it lapses instead of hitting a later turn. 5 s.
    pub interrupt: Duration,
    /// Silence of the agent after a send before the link is suspected. 60 s.
    pub watchdog: Duration,
    /// The same while the agent compacts its context. 180 s.
    pub watchdog_compacting: Duration,
}

impl Patience {
    pub(super) const USUAL: Self = Self {
        token: Duration::from_secs(15),
        http: Duration::from_secs(10),
        catch_up: Duration::from_secs(120),
        request: Duration::from_secs(30),
        interrupt: Duration::from_secs(5),
        watchdog: Duration::from_secs(60),
        watchdog_compacting: Duration::from_secs(180),
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How much is kept, in counts and bytes. A single message is always accepted into an empty queue,
/// so nothing blocks for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Undelivered events; at the limit [`wants_read`](super::Viewer::wants_read) turns false. 1024.
    pub events: usize,
    /// Their bytes. 64 MiB.
    pub event_bytes: usize,
    /// Live frames held back during a catch-up; as many again until a new socket has answered its first ping. 1024.
    pub held: usize,
    /// Their bytes, likewise. 64 MiB.
    pub held_bytes: usize,
    /// The largest event of a stream, in bytes; a larger one is a gap. 64 MiB.
    pub stream_event_bytes: usize,
    /// Orders the driver has not taken; at the limit nothing more is read. 256.
    pub effects: usize,
    /// Messages waiting to be accepted. 256.
    pub outbox: usize,
    /// Their bytes. 16 MiB.
    pub outbox_bytes: usize,
    /// Open prompts; one more is answered with an error. 256.
    pub prompts: usize,
    /// Their bytes. 64 MiB.
    pub prompt_bytes: usize,
    /// Open requests of our own. 64.
    pub requests: usize,
    /// How many delivered ids are remembered, to drop what comes twice: 32 bytes each, for UUIDs, once they
    /// have come. 4096.
    pub remembered: usize,
    /// Events asked for in one page of history. 100.
    pub page: usize,
    /// The largest page of history, in bytes. 64 MiB.
    pub page_bytes: usize,
}

/// A mebibyte in bytes.
const MIB: usize = 1024 * 1024;

impl Limits {
    pub(super) const USUAL: Self = Self {
        events: 1024,
        event_bytes: 64 * MIB,
        held: 1024,
        held_bytes: 64 * MIB,
        stream_event_bytes: 64 * MIB,
        effects: 256,
        outbox: 256,
        outbox_bytes: 16 * MIB,
        prompts: 256,
        prompt_bytes: 64 * MIB,
        requests: 64,
        remembered: 4096,
        page: 100,
        page_bytes: 64 * MIB,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}
