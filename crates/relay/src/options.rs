//! What can be set on a relay.

use core::time::Duration;

use crate::{Credentials, store::Retention};

/// The numbers of a relay. Take the defaults and change what you need:
///
/// ```
/// use attache_relay::RelayOptions;
///
/// let mut options = RelayOptions::default();
/// options.viewer_buffer_frames = 64;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayOptions {
    /// Who may come in. Default: [`Credentials::Open`].
    pub credentials: Credentials,
    /// How long a socket without an `Authorization` header may take to send its `auth` frame.
    /// Default: 10 s.
    pub auth_timeout: Duration,
    /// How often one credential may make a request; beyond, 429 with `Retry-After`. Default: 2000
    /// a second, 20 000 at once.
    pub requests: RateLimit,
    /// How often one credential may say something: a `POST …/events` beyond gets 429 with
    /// `Retry-After`, a socket is read no faster. Default: 500 a second, 5000 at once.
    pub posts: RateLimit,
    /// How often one address may come with a bad credential and be told so; beyond, it gets 429.
    /// Good credentials from that address are not held up; behind a proxy, all come from the proxy's.
    /// Default: 10 a second, 100 at once.
    pub bad_credentials: RateLimit,
    /// The most connections at one time, sockets and streams included; one more gets 503 and is
    /// closed. Default: 16 384.
    pub max_connections: usize,
    /// How long a request's body may take, and a second more for each 16 KiB of it. Default: 20 s.
    pub body_timeout: Duration,
    /// The largest request body, in bytes. Default: 32 MiB.
    pub body_limit_bytes: usize,
    /// The most events in one `POST …/events`. Default: 1000.
    pub batch_limit: usize,
    /// The largest message a viewer may send on its socket, in bytes; a larger one closes it with
    /// 1009, one of more than twice that size breaks it. Default: 16 MiB.
    pub viewer_message_limit_bytes: usize,
    /// How many frames may wait for one viewer before it is too slow: its socket is closed, its stream
    /// goes on from the log. Default: 1024.
    pub viewer_buffer_frames: usize,
    /// How many bytes may wait for one viewer before it is too slow; a single frame may be larger
    /// when nothing else waits. Default: 8 MiB.
    pub viewer_buffer_bytes: usize,
    /// How much is read from a viewer's socket at once when it sends much, in bytes. Memory for it is
    /// there only as long. Default: 16 KiB.
    pub read_buffer_bytes: usize,
    /// A socket with nothing to say gets a ping this often, a viewer's stream a comment. Default:
    /// 15 s.
    pub keep_alive: Duration,
    /// A socket that sends nothing for so long, not even a pong, is given up. Default: 60 s.
    pub viewer_silence: Duration,
    /// A peer that takes nothing for so long is given up, and one whose socket needs longer for what
    /// is written at once; big frames get more time. Default: 10 s.
    pub write_timeout: Duration,
    /// How long a peer may take to answer a close frame. Default: 2 s.
    pub close_timeout: Duration,
    /// How long a graceful shutdown waits for requests and sockets to end. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// How many frames may wait for an agent that is slow to take them; beyond, `POST …/events`
    /// answers 429 and control requests are answered with an error. Default: 1024.
    pub agent_backlog: usize,
    /// How many may wait while no agent is attached before a viewer's control request is answered
    /// with an error. Default: 256.
    pub detached_backlog: usize,
    /// How long a worker's token is good for; the worker asks for the next one before that.
    /// Default: 1 h.
    pub worker_token_ttl: Duration,
    /// A worker that makes no call for so long has lost the session until it registers again, and what
    /// it asked is taken back.
    /// Default: 60 s.
    pub worker_lease: Duration,
    /// A worker's stream with nothing to say gets a comment this often. Default: 15 s.
    pub worker_stream_keep_alive: Duration,
    /// Where workers are sent, as `https://host`, when that is not where they asked for a token: a
    /// proxy that speaks TLS for the relay, say. Default: the request's own host, over HTTP.
    pub api_base_url: Option<String>,
    /// The most that is kept of what a worker says of itself, in bytes: its metadata, what it waits
    /// for, what a session is created with. Default: 64 KiB.
    pub worker_state_limit_bytes: usize,
    /// How many `uuid`s of frames that are not stored are remembered, so that an agent that sends a
    /// batch again does not repeat itself. Default: 2000.
    pub live_uuid_memory: usize,
    /// How many of an agent's requests may be open at once. Default: 1024.
    pub open_requests: usize,
    /// How much of each log is kept. What somebody waits for stays anyway: open requests, and what
    /// the agent has not taken.
    pub retention: Retention,
    /// How often logs are looked through for what is too old, those of sessions that nobody uses
    /// too. Default: 1 h.
    pub retention_sweep: Duration,
    /// A session without viewers, agent and calls leaves memory after so long; it comes back with
    /// whoever comes next. Default: 5 min.
    pub idle_session: Duration,
}

/// How often something may be done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How often in the long run; 0 is without limit.
    pub per_second: u32,
    /// How often at once, after a while of quiet.
    pub burst: u32,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::Open,
            auth_timeout: Duration::from_secs(10),
            requests: RateLimit {
                per_second: 2000,
                burst: 20_000,
            },
            posts: RateLimit {
                per_second: 500,
                burst: 5000,
            },
            bad_credentials: RateLimit {
                per_second: 10,
                burst: 100,
            },
            max_connections: 16_384,
            body_timeout: Duration::from_secs(20),
            body_limit_bytes: 32 << 20,
            batch_limit: 1000,
            viewer_message_limit_bytes: 16 << 20,
            viewer_buffer_frames: 1024,
            viewer_buffer_bytes: 8 << 20,
            read_buffer_bytes: 16 << 10,
            keep_alive: Duration::from_secs(15),
            viewer_silence: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            shutdown_timeout: Duration::from_secs(5),
            agent_backlog: 1024,
            detached_backlog: 256,
            worker_token_ttl: Duration::from_secs(60 * 60),
            worker_lease: Duration::from_secs(60),
            worker_stream_keep_alive: Duration::from_secs(15),
            api_base_url: None,
            worker_state_limit_bytes: 64 << 10,
            live_uuid_memory: 2000,
            open_requests: 1024,
            retention: Retention::default(),
            retention_sweep: Duration::from_secs(60 * 60),
            idle_session: Duration::from_secs(5 * 60),
        }
    }
}
