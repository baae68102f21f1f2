//! What libraries report, in the machine's words. Nothing is judged here.

use std::{
    io,
    time::{Duration, SystemTime},
};

use attache_protocol::{
    ByteString,
    io::{NetworkFailure, Refusal, SocketEnding},
};
use http::{HeaderMap, header::RETRY_AFTER};
use tungstenite::{
    Error,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::retry_after;

/// The code that stands for a close frame without one.
const NO_STATUS: u16 = 1005;

/// Why a socket did not open.
pub fn refusal(error: &Error, now: SystemTime) -> Refusal {
    if let Error::Http(response) = error {
        return Refusal::Http {
            status: response.status().as_u16(),
            retry_after: announced_delay(response.headers(), now),
        };
    }
    Refusal::Network(websocket(error))
}

/// How an open socket ended that failed with `error`.
pub fn lost(error: &Error) -> SocketEnding {
    SocketEnding::Lost(websocket(error))
}

/// How an open socket ended whose reader came to `found`, and whose writer had come to `unwritable` before.
///
/// A reset is told once, to whoever asks first: where that was the writer, the reader finds a mere end.
pub fn ending(found: SocketEnding, unwritable: Option<SocketEnding>) -> SocketEnding {
    match (&found, unwritable) {
        (
            SocketEnding::Lost(NetworkFailure::Ended),
            Some(reset @ SocketEnding::Lost(NetworkFailure::Reset)),
        ) => reset,
        _ => found,
    }
}

/// How a socket ended whose peer sent `frame`.
pub fn closed(frame: Option<&CloseFrame>) -> SocketEnding {
    match frame {
        Some(frame) => SocketEnding::CloseFrame {
            code: frame.code.into(),
            reason: ByteString::from(frame.reason.as_str()),
        },
        None => SocketEnding::CloseFrame {
            code: NO_STATUS,
            reason: ByteString::new(),
        },
    }
}

/// What the peer is told when its socket failed with `error`; `None` when there is nobody to tell.
pub fn parting_code(error: &Error) -> Option<CloseCode> {
    match websocket(error) {
        NetworkFailure::TooLarge => Some(CloseCode::Size),
        NetworkFailure::Protocol if matches!(error, Error::Utf8(_)) => Some(CloseCode::Invalid),
        NetworkFailure::Protocol => Some(CloseCode::Protocol),
        NetworkFailure::Refused
        | NetworkFailure::Reset
        | NetworkFailure::Ended
        | NetworkFailure::Dns
        | NetworkFailure::Tls
        | NetworkFailure::TimedOut
        | NetworkFailure::Other => None,
    }
}

/// An error of the WebSocket library.
pub fn websocket(error: &Error) -> NetworkFailure {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => NetworkFailure::Ended,
        Error::Io(error) => io(error),
        Error::Tls(_) => NetworkFailure::Tls,
        Error::Capacity(CapacityError::MessageTooLong { .. }) | Error::WriteBufferFull(_) => {
            NetworkFailure::TooLarge
        }
        Error::Capacity(CapacityError::TooManyHeaders)
        | Error::Protocol(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Http(_)
        | Error::HttpFormat(_) => NetworkFailure::Protocol,
        Error::Url(_) => NetworkFailure::Other,
    }
}

/// An error of a stream. A TLS error travels inside one.
pub fn io(error: &io::Error) -> NetworkFailure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if tls.is_some() {
        return NetworkFailure::Tls;
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the standard library's kinds are an open set"
    )]
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NetworkFailure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => NetworkFailure::Reset,
        // Writing to a pipe that broke: the peer had ended the connection before.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe => {
            NetworkFailure::Ended
        }
        io::ErrorKind::TimedOut => NetworkFailure::TimedOut,
        io::ErrorKind::InvalidData => NetworkFailure::Protocol,
        _ => NetworkFailure::Other,
    }
}

/// The `Retry-After` of an answer, as a delay from `now`.
pub fn announced_delay(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(value, now)
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    #[test]
    fn a_reset_that_the_writer_was_told_is_what_ended_the_socket() {
        let lost = SocketEnding::Lost;
        let (ended, reset) = (NetworkFailure::Ended, NetworkFailure::Reset);
        let protocol = NetworkFailure::Protocol;

        assert_eq!(ending(lost(ended), Some(lost(reset))), lost(reset));
        assert_eq!(ending(lost(ended), Some(lost(ended))), lost(ended));
        assert_eq!(ending(lost(ended), None), lost(ended));
        assert_eq!(ending(lost(protocol), Some(lost(reset))), lost(protocol));
        assert_eq!(ending(closed(None), Some(lost(reset))), closed(None));
    }

    #[test]
    fn errors_of_the_library_have_their_names() {
        let cases = [
            (Error::ConnectionClosed, NetworkFailure::Ended),
            (Error::AlreadyClosed, NetworkFailure::Ended),
            (
                Error::Capacity(CapacityError::MessageTooLong {
                    size: 2,
                    max_size: 1,
                }),
                NetworkFailure::TooLarge,
            ),
            (
                Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                NetworkFailure::Ended,
            ),
            (
                Error::Protocol(ProtocolError::NonZeroReservedBits),
                NetworkFailure::Protocol,
            ),
            (Error::Utf8(String::new()), NetworkFailure::Protocol),
            (Error::AttackAttempt, NetworkFailure::Protocol),
            (
                Error::Io(io::ErrorKind::ConnectionReset.into()),
                NetworkFailure::Reset,
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(websocket(&error), expected, "{error}");
        }
    }

    #[test]
    fn errors_of_streams_have_their_names() {
        let cases = [
            (io::ErrorKind::ConnectionRefused, NetworkFailure::Refused),
            (io::ErrorKind::BrokenPipe, NetworkFailure::Ended),
            (io::ErrorKind::UnexpectedEof, NetworkFailure::Ended),
            (io::ErrorKind::TimedOut, NetworkFailure::TimedOut),
            (io::ErrorKind::PermissionDenied, NetworkFailure::Other),
        ];
        for (kind, expected) in cases {
            assert_eq!(io(&kind.into()), expected, "{kind}");
        }
        let tls = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::HandshakeNotComplete,
        );
        assert_eq!(io(&tls), NetworkFailure::Tls);
    }

    #[test]
    fn a_refused_upgrade_keeps_its_status_and_its_delay() {
        let response = Response::builder()
            .status(503)
            .header("retry-after", "7")
            .body(None)
            .unwrap();

        let expected = Refusal::Http {
            status: 503,
            retry_after: Some(Duration::from_secs(7)),
        };
        let error = Error::Http(Box::new(response));
        assert_eq!(refusal(&error, SystemTime::now()), expected);
    }

    #[test]
    fn close_frames_keep_code_and_reason_and_an_empty_one_is_1005() {
        for code in [1000, 1001, 1013, 4001, 4003] {
            let frame = CloseFrame {
                code: code.into(),
                reason: "why".into(),
            };
            let expected = SocketEnding::CloseFrame {
                code,
                reason: "why".into(),
            };
            assert_eq!(closed(Some(&frame)), expected);
        }
        let empty = SocketEnding::CloseFrame {
            code: 1005,
            reason: ByteString::new(),
        };
        assert_eq!(closed(None), empty);
    }

    #[test]
    fn the_peer_is_told_only_what_it_did_wrong() {
        let too_large = Error::Capacity(CapacityError::MessageTooLong {
            size: 2,
            max_size: 1,
        });
        assert_eq!(parting_code(&too_large), Some(CloseCode::Size));
        assert_eq!(
            parting_code(&Error::Utf8(String::new())),
            Some(CloseCode::Invalid)
        );
        assert_eq!(parting_code(&Error::ConnectionClosed), None);
    }
}
