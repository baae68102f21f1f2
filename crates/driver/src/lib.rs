//! Runtime-free glue that every attache adapter shares.
//!
//! A machine of `attache-protocol` orders and judges, an adapter carries out. What carrying out means is
//! the same on every runtime, so it is written once, here, without a runtime:
//!
//! | what an adapter has | what it needs | where |
//! |---|---|---|
//! | a `Viewer` or a `Worker` | one face for both | [`Machine`] |
//! | a monotonic instant | a `Timestamp` | [`Clock`] |
//! | `SocketRequest`, `HttpRequest` | a request with every header | [`request`] |
//! | an error of a socket or a library | `NetworkFailure`, `Refusal`, `SocketEnding` | [`failure`] |
//! | a `Retry-After` header | a delay | [`retry_after`] |
//! | what a person chose | a WebSocket, TLS and proxy set-up | [`Options`] |
//! | a name | its addresses, if they are known | [`Names`] |
//! | a name's addresses | the order to try them in | [`addresses`] |
//! | `SendText`, `SendPing`, `CloseSocket` | a WebSocket message | [`text_message`], [`ping_message`], [`close_message`] |
//! | a WebSocket message that came | an `Input` | [`heard`] |
//! | a stream that is read much at once | what was not asked for yet | [`Ahead`] |
//! | a server that a request names | the way there, and what is kept open | [`servers`] |
//! | nothing | 32 random bytes | [`seed`] |
//! | futures for connections | handles, events and the loop, with the feature `async` | `asynchronous` |

pub mod addresses;
mod ahead;
#[cfg(feature = "async")]
pub mod asynchronous;
mod base_url;
mod clock;
mod command;
pub mod failure;
mod machine;
mod names;
mod options;
pub mod proxy;
pub mod request;
mod retry_after;
mod seed;
pub mod servers;
mod tls;
mod token;
mod told;
mod way;
mod websocket;

pub use ahead::Ahead;
pub use base_url::{BaseUrl, BaseUrlError, Plaintext};
pub use clock::Clock;
pub use command::{CommandError, Ended};
pub use machine::{Machine, Room, WorkerView};
pub use names::Names;
pub use options::{Options, OptionsError};
pub use proxy::ProxyOptions;
pub use retry_after::retry_after;
pub use seed::{SeedError, seed};
pub use tls::{ClientCertificate, TlsError, TlsOptions};
pub use token::StaticToken;
pub use told::Told;
pub use way::Way;
pub use websocket::{
    PONG_BYTES, WebSocketOptions, close_message, heard, parting_message, ping_message,
    ping_payload, pong_payload, text_message,
};
