//! Ids that are used once, and the secret that opens doors.

use core::fmt;

use bytestring::ByteString;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The bare number, for logs and maps; ids of one session never repeat.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

ids! {
    /// One attempt to open a socket, and the socket that came of it.
    SocketId
    /// One HTTP call.
    HttpRequestId
    /// One attempt to open an event stream, and the stream that came of it.
    StreamId
    /// One question to the token source.
    TokenRequestId
}

/// Counts out the ids of one session.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdCounter(u64);

impl IdCounter {
    pub(crate) fn socket(&mut self) -> SocketId {
        SocketId(self.next())
    }
    pub(crate) fn http(&mut self) -> HttpRequestId {
        HttpRequestId(self.next())
    }
    pub(crate) fn stream(&mut self) -> StreamId {
        StreamId(self.next())
    }
    pub(crate) fn token(&mut self) -> TokenRequestId {
        TokenRequestId(self.next())
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// A bearer token. `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(ByteString);

impl Token {
    /// Takes `secret` as a token. White space around it is cut off, as files and pipes add it.
    pub fn new(secret: impl Into<ByteString>) -> Self {
        let secret = secret.into();
        let trimmed = secret.slice_ref(secret.trim());
        Self(trimmed)
    }

    /// The secret itself, for the `Authorization` header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
