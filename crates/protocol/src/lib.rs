//! The remote agent session protocol as a pure state machine.
//!
//! A person attaches to an AI agent that runs somewhere else: sees its messages, answers its permission
//! prompts, interrupts it, talks to it. This crate is everything about that which can be decided without
//! a socket: `no_std`, no I/O, no clock, no randomness of its own. You bring the sockets, it brings
//! the judgement.
//!
//! ```text
//!  Input ───► ┌──────────┐ ───► Effect     what is to be done: open, write, post, close
//!  time  ───► │  Viewer  │ ───► Event      what the application should know
//!  command ─► └──────────┘ ───► deadline   when to call again, and what for
//! ```
//!
//! # The contract
//!
//! 1. Everything changes in commands and in `handle_*`; `poll_*` only pop. Drain early, late or
//!    interleaved, it makes no difference within the bounds below.
//! 2. Effects and events are two queues. An application that takes no events never blocks a ping; when
//!    events pile up, [`wants_read`](viewer::Viewer::wants_read) turns false, the driver stops reading
//!    and the peer feels it through TCP. Silence is not held against the peer meanwhile.
//! 3. There is one deadline. After `handle_timeout(t)` it is gone or later than `t`; an early call does
//!    nothing; a late one fires each timer once; a time before the last one counts as the last one.
//!    What arrived before a deadline is to be handed in before it fires. Taking events and effects makes
//!    room, and what waited for it is due at once: ask for the deadline after draining.
//! 4. Every order that will be answered carries an id that is used once. An answer with another id
//!    changes nothing: that is how stale sockets die.
//! 5. [`io::Effect`] and [`io::Input`] are exhaustive: a new one must not compile past a driver that
//!    ignores it. [`viewer::Event`] and the errors may grow.
//! 6. The driver reports, the machine decides. A driver never looks at a close code, a status or a delay.
//! 7. Same seed and same inputs give the same transcript, on any machine.
//! 8. No input, configuration or time makes it panic; every queue and table has a bound in count and
//!    bytes ([`viewer::Limits`]).
//! 9. *Closed* is decided, *drained* means nothing is left to do. After
//!    [`Event::Closed`](viewer::Event::Closed) nothing more comes.
//!
//! # A whole loop
//!
//! No adapter, no runtime. Here the "network" is a queue of facts that a peer of six lines produces; yours
//! reads them from a socket.
//!
//! ```
//! use std::{collections::VecDeque, time::Instant};
//!
//! use attache_protocol::{
//!     SessionId,
//!     io::{Effect, HttpResponse, Input, SocketEnding, Token},
//!     time::Timestamp,
//!     viewer::{Decision, Event, Viewer, ViewerConfig},
//! };
//!
//! const PROMPT: &str = r#"{"type":"control_request","request_id":"r1","request":
//!     {"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}"#;
//!
//! let config = ViewerConfig::new(SessionId::parse("session_01ab")?);
//! let start = Instant::now();
//! let clock = || Timestamp::from_origin(start.elapsed());
//! let mut viewer = Viewer::new(config, [7; 32], clock()); // 32 bytes of the system's entropy
//! let mut facts = VecDeque::new();
//! let mut settled = 0;
//!
//! viewer.connect(clock())?;
//! while !viewer.is_drained() {
//!     // 1. Carry the orders out. What comes of them is reported as facts.
//!     while let Some(effect) = viewer.poll_effect() {
//!         match effect {
//!             Effect::FetchToken { id, .. } => {
//!                 facts.push_back(Input::TokenFetched { id, token: Token::new("secret") });
//!             }
//!             Effect::OpenSocket { id, .. } => {
//!                 let text = PROMPT.replace('\n', "").into();
//!                 facts.push_back(Input::SocketOpened { id });
//!                 facts.push_back(Input::SocketText { id, text });
//!             }
//!             Effect::SendHttp { id, .. } => {
//!                 let body = r#"{"data":[],"has_more":false}"#.into();
//!                 let response = HttpResponse { status: 200, retry_after: None, body };
//!                 facts.push_back(Input::HttpAnswered { id, response });
//!             }
//!             Effect::SendText { text, .. } => assert!(text.contains(r#""behavior":"allow""#)),
//!             Effect::SendPing { id, payload } => {
//!                 facts.push_back(Input::SocketPong { id, payload: Some(payload) });
//!             }
//!             Effect::CloseSocket { id, code } => {
//!                 let ending = SocketEnding::CloseFrame { code, reason: "".into() };
//!                 facts.push_back(Input::SocketClosed { id, ending });
//!             }
//!             Effect::AbortSocket { .. } | Effect::CancelHttp { .. } => {}
//!             Effect::OpenStream { .. } | Effect::CloseStream { .. } => {} // not over a WebSocket
//!         }
//!     }
//!     // 2. Tell the application, and do what it says.
//!     while let Some(event) = viewer.poll_event() {
//!         match event {
//!             Event::PermissionRequested(prompt) => {
//!                 viewer.decide(clock(), prompt.request_id(), &Decision::allow())?;
//!             }
//!             Event::PermissionSettled { .. } => {
//!                 settled += 1;
//!                 viewer.close(clock());
//!             }
//!             _ => {}
//!         }
//!     }
//!     // 3. Hand in the next fact; with none left, let time pass until the deadline.
//!     if let Some(fact) = facts.pop_front() {
//!         viewer.handle_input(clock(), fact);
//!     } else if let Some((deadline, _timer)) = viewer.poll_timeout() {
//!         viewer.handle_timeout(deadline);
//!     }
//! }
//! assert_eq!(settled, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! [`viewer`] is the machine, [`policy`] decides about retries, [`frame`] knows what is on the wire,
//! [`io`] is what passes between machine and driver, [`time`] is how it counts time.

#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod attention;
#[cfg(test)]
mod exhaustive;
pub mod frame;
mod ids;
pub mod io;
mod kept_id;
mod memory;
mod number;
pub mod policy;
mod queue;
mod rng;
pub mod time;
pub mod viewer;
pub mod worker;

pub use bytes::Bytes;
pub use bytestring::ByteString;
pub use ids::{ID_LIMIT, InvalidId, OrganizationId, SessionId};
