//! Events as JSON.

use std::{
    io::{self, Write},
    time::Duration,
};

use attache_protocol::{
    frame::{Frame, RawJson, relay::Behavior},
    policy::CloseCause,
    time::Timestamp,
    viewer::{Cursor, Event, GapCause, RequestOutcome, SendState, SettledBy, Source, Status},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// Writes `event` as one line, or nothing for what the JSON form has no word for.
///
/// `now` stands on the same clock as the times in `event`.
///
/// # Errors
/// Whatever writing says.
pub(super) fn write_event(out: &mut impl Write, event: &Event, now: Timestamp) -> io::Result<()> {
    let Some(line) = Line::of(event, now)? else {
        return Ok(());
    };
    let mut text = serde_json::to_string(&line)?;
    // A frame that came inside a page may be spread over lines. Strings hold no bare line feeds, so
    // these are only space.
    if text.contains(['\n', '\r']) {
        text = text.replace(['\n', '\r'], " ");
    }
    text.push('\n');
    out.write_all(text.as_bytes())
}

/// Writes how far everything is written.
///
/// # Errors
/// Whatever writing says.
pub(super) fn write_cursor(out: &mut impl Write, cursor: &Cursor) -> io::Result<()> {
    let line = Line::Cursor {
        cursor: cursor.to_string(),
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Status(StatusLine),
    Message {
        source: &'static str,
        message: &'a RawValue,
    },
    PermissionRequested {
        request_id: &'a str,
        tool_name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_use_id: Option<&'a str>,
        input: &'a RawJson,
        request: &'a RawValue,
    },
    PermissionWithdrawn {
        request_id: &'a str,
    },
    PermissionSettled {
        request_id: &'a str,
        by: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        behavior: Option<Behavior>,
    },
    AnswerRefused {
        request_id: &'a str,
        reason: &'a str,
    },
    Send {
        id: &'a str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Request {
        request_id: &'a str,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        response: Option<&'a RawJson>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    },
    Cursor {
        cursor: String,
    },
    Gap {
        after: Option<&'a str>,
        cause: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    Malformed {
        error: String,
        text: &'a str,
    },
    Unresponsive {
        waited_ms: u64,
    },
    Closed {
        cause: &'static str,
        reason: String,
    },
}

#[derive(Serialize)]
struct StatusLine {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl<'a> Line<'a> {
    fn of(event: &'a Event, now: Timestamp) -> io::Result<Option<Self>> {
        Ok(Some(match event {
            Event::Status(status) => Self::Status(StatusLine::of(status, now)),
            Event::Message(message) => Self::Message {
                source: match message.source {
                    Source::Live => "live",
                    Source::History => "history",
                    Source::Backfill => "backfill",
                },
                message: raw(&message.frame)?,
            },
            Event::PermissionRequested(prompt) => Self::PermissionRequested {
                request_id: prompt.request_id().as_str(),
                tool_name: prompt.tool_name(),
                tool_use_id: prompt.tool_use_id(),
                input: prompt.input(),
                request: raw(prompt.frame())?,
            },
            Event::PermissionWithdrawn { request_id } => Self::PermissionWithdrawn {
                request_id: request_id.as_str(),
            },
            Event::PermissionSettled {
                request_id,
                by,
                behavior,
            } => {
                let (by, name) = match by {
                    SettledBy::Us => ("us", None),
                    SettledBy::AnotherViewer { name } => ("another_viewer", name.as_deref()),
                };
                Self::PermissionSettled {
                    request_id: request_id.as_str(),
                    by,
                    name,
                    behavior: *behavior,
                }
            }
            Event::AnswerRefused { request_id, why } => Self::AnswerRefused {
                request_id: request_id.as_str(),
                reason: why,
            },
            Event::Send { id, state } => {
                let (state, reason) = match state {
                    SendState::Queued => ("queued", None),
                    SendState::InFlight => ("in_flight", None),
                    SendState::Unknown => ("unknown", None),
                    SendState::Accepted => ("accepted", None),
                    SendState::Delivered => ("delivered", None),
                    SendState::Processing => ("processing", None),
                    SendState::Processed => ("processed", None),
                    SendState::Rejected(why) => ("rejected", Some(why.to_string())),
                };
                Self::Send {
                    id: id.as_str(),
                    state,
                    reason,
                }
            }
            Event::Request {
                request_id,
                outcome,
            } => {
                let (outcome, response, error) = match outcome {
                    RequestOutcome::Succeeded(response) => ("succeeded", response.as_ref(), None),
                    RequestOutcome::Failed(error) => ("failed", None, Some(error.as_str())),
                    RequestOutcome::Unanswered => ("unanswered", None, None),
                    RequestOutcome::Expired => ("expired", None, None),
                    RequestOutcome::Closed => ("closed", None, None),
                };
                Self::Request {
                    request_id: request_id.as_str(),
                    outcome,
                    response,
                    error,
                }
            }
            Event::Gap { after, cause } => {
                let (cause, status) = gap(*cause);
                Self::Gap {
                    after: after.as_deref(),
                    cause,
                    status,
                }
            }
            Event::Malformed(malformed) => Self::Malformed {
                error: malformed.error.to_string(),
                text: &malformed.text,
            },
            Event::Unresponsive { waited } => Self::Unresponsive {
                waited_ms: milliseconds(*waited),
            },
            Event::Closed(cause) => Self::Closed {
                cause: close_cause(*cause),
                reason: cause.to_string(),
            },
            // `live` says that everything has been delivered, and the other prompt events say what
            // became of a prompt. A newer core may tell more than this version has words for.
            _ => return Ok(None),
        }))
    }
}

impl StatusLine {
    fn of(status: &Status, now: Timestamp) -> Self {
        let mut line = Self {
            status: "idle",
            attempt: None,
            retry_in_ms: None,
            cause: None,
        };
        match status {
            Status::Idle => {}
            Status::Connecting { attempt } => {
                line.status = "connecting";
                line.attempt = Some(*attempt);
            }
            Status::CatchingUp => line.status = "catching_up",
            Status::Live => line.status = "live",
            Status::Waiting {
                attempt,
                next_attempt_at,
                cause,
            } => {
                line.status = "waiting";
                line.attempt = Some(*attempt);
                line.retry_in_ms = Some(milliseconds(next_attempt_at.saturating_since(now)));
                line.cause = Some(cause.to_string());
            }
            Status::Closing => line.status = "closing",
            Status::Closed { cause } => {
                line.status = "closed";
                line.cause = Some(cause.to_string());
            }
        }
        line
    }
}

fn raw(frame: &Frame) -> io::Result<&RawValue> {
    Ok(serde_json::from_str(frame.as_str())?)
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn gap(cause: GapCause) -> (&'static str, Option<u16>) {
    match cause {
        GapCause::NoHistory => ("no_history", None),
        GapCause::NotRetained => ("not_retained", None),
        GapCause::Refused { status } => ("refused", Some(status)),
        GapCause::Unreachable => ("unreachable", None),
        GapCause::Unreadable => ("unreadable", None),
        GapCause::NoPosition => ("no_position", None),
    }
}

fn close_cause(cause: CloseCause) -> &'static str {
    match cause {
        CloseCause::Requested => "requested",
        CloseCause::Unauthorized => "unauthorized",
        CloseCause::SignedOut => "signed_out",
        CloseCause::SessionNotFound => "session_not_found",
        CloseCause::SessionEnded => "session_ended",
        CloseCause::TooLarge => "too_large",
        CloseCause::ProtocolError { .. } => "protocol_error",
        CloseCause::Rejected { .. } => "rejected",
        CloseCause::Exhausted { .. } => "exhausted",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::{
        frame::{RequestId, permission::PermissionRequest},
        io::NetworkFailure,
        policy::Outcome,
        viewer::Message,
    };

    use super::*;

    fn line(event: &Event) -> String {
        let mut out = Vec::new();
        write_event(
            &mut out,
            event,
            Timestamp::from_origin(Duration::from_secs(1)),
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_carries_its_frame_unchanged() {
        let text = r#"{"type":"novel",  "n":1.0,"big":12345678901234567890123,"uuid":"u"}"#;
        let event = Event::Message(Message {
            frame: Frame::classify(text.into()).unwrap(),
            source: Source::Backfill,
        });
        assert_eq!(
            line(&event),
            format!("{{\"event\":\"message\",\"source\":\"backfill\",\"message\":{text}}}\n")
        );
    }

    #[test]
    fn a_frame_spread_over_lines_becomes_one() {
        let event = Event::Message(Message {
            frame: Frame::classify("{\"type\":\"x\",\r\n\"a\":\"b\\nc\"}".into()).unwrap(),
            source: Source::History,
        });
        assert_eq!(line(&event).matches('\n').count(), 1);
        assert!(line(&event).contains("b\\nc"));
    }

    #[test]
    fn a_prompt_names_what_an_answer_needs() {
        let text = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command": "ls"}}}"#;
        let frame = Frame::classify(text.into()).unwrap();
        let event = Event::PermissionRequested(PermissionRequest::parse(&frame).unwrap());
        assert_eq!(
            line(&event),
            format!(
                "{{\"event\":\"permission_requested\",\"request_id\":\"r1\",\"tool_name\":\"Bash\",\"input\":{{\"command\": \"ls\"}},\"request\":{text}}}\n"
            )
        );
    }

    #[test]
    fn waiting_says_how_long() {
        let event = Event::Status(Status::Waiting {
            attempt: 2,
            next_attempt_at: Timestamp::from_origin(Duration::from_millis(3500)),
            cause: Outcome::Network(NetworkFailure::Refused),
        });
        assert_eq!(
            line(&event),
            "{\"event\":\"status\",\"status\":\"waiting\",\"attempt\":2,\"retry_in_ms\":2500,\"cause\":\"connection refused\"}\n"
        );
    }

    #[test]
    fn outcomes_carry_their_content() {
        let event = Event::Request {
            request_id: RequestId::new("q").unwrap(),
            outcome: RequestOutcome::Succeeded(Some(RawJson::parse("{\"a\":1}").unwrap())),
        };
        assert_eq!(
            line(&event),
            "{\"event\":\"request\",\"request_id\":\"q\",\"outcome\":\"succeeded\",\"response\":{\"a\":1}}\n"
        );
        assert_eq!(
            line(&Event::Closed(CloseCause::SessionNotFound)),
            "{\"event\":\"closed\",\"cause\":\"session_not_found\",\"reason\":\"the server does not know this session\"}\n"
        );
        assert_eq!(line(&Event::CaughtUp), "");
        let mut out = Vec::new();
        write_cursor(&mut out, &Cursor::Sequence(42)).unwrap();
        assert_eq!(out, b"{\"event\":\"cursor\",\"cursor\":\"seq:42\"}\n");
    }
}
