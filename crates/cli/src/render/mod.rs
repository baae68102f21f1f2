//! The conversation as readable lines.
//!
//! Reading is lenient: whatever part of a message is of an unexpected shape is passed over, so that odd
//! traffic never hides what else there is to see.

mod plain;
mod stream;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use attache_protocol::frame::Frame;
use serde_json::Value;

pub(crate) use plain::{json_line, one_line, plain};
use stream::{Rest, Streams};

/// The longest line made out of a tool's input or result, in characters.
const BRIEF: usize = 160;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const ASKING: Style = AnsiColor::Yellow.on_default().bold();
const TOOL: Style = AnsiColor::Cyan.on_default();
const TROUBLE: Style = AnsiColor::Red.on_default();
const PLAIN: Style = Style::new();

/// Prints a conversation to `W` and knows whether the last line is finished.
#[derive(Debug)]
pub(crate) struct Transcript<W> {
    out: W,
    streams: Streams,
    column: Column,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Column {
    Start,
    Within,
}

impl<W: Write> Transcript<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            streams: Streams::default(),
            column: Column::Start,
        }
    }

    /// Prints a session message.
    ///
    /// # Errors
    /// Whatever writing says.
    pub(crate) fn message(&mut self, frame: &Frame) -> io::Result<()> {
        let Ok(value) = serde_json::from_str::<Value>(frame.as_str()) else {
            return self.line(DIM, &format!("[{}]", one_line(frame.type_name(), BRIEF)));
        };
        match frame.type_name() {
            "stream_event" => self.stream(&value),
            "assistant" => self.assistant(&value),
            "user" => self.user(&value),
            "result" => self.result(&value),
            "system" => self.system(&value),
            // About the machinery, and frequent.
            "tool_progress" | "rate_limit_event" | "prompt_suggestion" | "command_lifecycle"
            | "env_manager_log" => Ok(()),
            other => self.line(DIM, &format!("[{}]", one_line(other, BRIEF))),
        }
    }

    /// Prints `text` as a line of its own. `text` must be safe to print.
    ///
    /// # Errors
    /// Whatever writing says.
    pub(crate) fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        self.finish_line()?;
        for line in text.split('\n') {
            writeln!(self.out, "{style}{line}{style:#}")?;
        }
        Ok(())
    }

    /// Makes what was printed visible.
    ///
    /// # Errors
    /// Whatever writing says.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends a line that text was being streamed into.
    ///
    /// # Errors
    /// Whatever writing says.
    pub(crate) fn finish_line(&mut self) -> io::Result<()> {
        self.streams.interrupted();
        self.end_line()
    }

    /// What has been written to.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn end_line(&mut self) -> io::Result<()> {
        if self.column == Column::Within {
            self.column = Column::Start;
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn stream(&mut self, value: &Value) -> io::Result<()> {
        let Some(piece) = self.streams.event(value) else {
            return Ok(());
        };
        if !piece.continues {
            self.end_line()?;
        }
        self.inline(&piece.text)
    }

    /// Prints `text` after what is on the line already.
    fn inline(&mut self, text: &str) -> io::Result<()> {
        let text = plain(text);
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.column = if text.ends_with('\n') {
            Column::Start
        } else {
            Column::Within
        };
        Ok(())
    }

    fn assistant(&mut self, value: &Value) -> io::Result<()> {
        let id = value.pointer("/message/id").and_then(Value::as_str);
        let content = value.pointer("/message/content");
        if let Some(text) = content.and_then(Value::as_str) {
            self.whole_text(id, text)?;
        }
        for block in content.and_then(Value::as_array).into_iter().flatten() {
            match text_of(block, "type") {
                "text" => self.whole_text(id, text_of(block, "text"))?,
                "tool_use" | "server_tool_use" => {
                    let name = one_line(text_of(block, "name"), BRIEF);
                    let input = block.get("input").map(Value::to_string);
                    let input = json_line(input.as_deref().unwrap_or("{}"), BRIEF);
                    self.line(TOOL, &format!("* {name} {input}"))?;
                }
                "thinking" | "redacted_thinking" => {}
                other => self.line(DIM, &format!("[{}]", one_line(other, BRIEF)))?,
            }
        }
        if let Some(error) = value.get("error").and_then(Value::as_str) {
            self.line(TROUBLE, &format!("error: {}", one_line(error, BRIEF)))?;
        }
        Ok(())
    }

    fn whole_text(&mut self, id: Option<&str>, text: &str) -> io::Result<()> {
        match self.streams.whole(id, text) {
            Rest::Nothing => self.finish_line(),
            Rest::Tail(tail) => {
                self.inline(tail)?;
                self.finish_line()
            }
            Rest::All => self.line(PLAIN, &plain(text)),
        }
    }

    fn user(&mut self, value: &Value) -> io::Result<()> {
        if value.get("isSynthetic").and_then(Value::as_bool) == Some(true) {
            return Ok(());
        }
        let content = value.pointer("/message/content");
        if let Some(text) = content.and_then(Value::as_str) {
            self.line(BOLD, &format!("> {}", plain(text)))?;
        }
        for block in content.and_then(Value::as_array).into_iter().flatten() {
            match text_of(block, "type") {
                "text" => self.line(BOLD, &format!("> {}", plain(text_of(block, "text"))))?,
                "tool_result" => self.tool_result(block)?,
                other => self.line(BOLD, &format!("> [{}]", one_line(other, BRIEF)))?,
            }
        }
        Ok(())
    }

    fn tool_result(&mut self, block: &Value) -> io::Result<()> {
        let content = block.get("content");
        let pieces = content.and_then(Value::as_array).into_iter().flatten();
        let text = content.and_then(Value::as_str).map_or_else(
            || {
                pieces
                    .map(|piece| text_of(piece, "text"))
                    .collect::<Vec<_>>()
                    .join("\n")
            },
            str::to_owned,
        );
        let failed = block.get("is_error").and_then(Value::as_bool) == Some(true);
        let first = one_line(text.trim().lines().next().unwrap_or("(nothing)"), BRIEF);
        let more = match text.trim().lines().count() {
            0 | 1 => String::new(),
            lines => format!(" (+{} lines)", lines - 1),
        };
        let style = if failed { TROUBLE } else { DIM };
        self.line(style, &format!("  -> {first}{more}"))
    }

    fn result(&mut self, value: &Value) -> io::Result<()> {
        self.streams.clear();
        let seconds = value
            .get("duration_ms")
            .and_then(Value::as_f64)
            .map(|milliseconds| format!(" after {:.1} s", milliseconds / 1000.0))
            .unwrap_or_default();
        let subtype = one_line(text_of(value, "subtype"), BRIEF);
        if value.get("is_error").and_then(Value::as_bool) != Some(true) {
            let end = if subtype == "success" {
                format!("-- done{seconds}")
            } else {
                format!("-- ended{seconds}: {subtype}")
            };
            return self.line(DIM, &end);
        }
        let errors = value.get("errors").and_then(Value::as_array);
        let reason = errors
            .and_then(|errors| errors.first()?.as_str())
            .or_else(|| value.get("result").and_then(Value::as_str))
            .map_or(subtype, |reason| one_line(reason, BRIEF));
        self.line(TROUBLE, &format!("-- failed{seconds}: {reason}"))
    }

    fn system(&mut self, value: &Value) -> io::Result<()> {
        match text_of(value, "subtype") {
            "init" => {
                let model = one_line(text_of(value, "model"), BRIEF);
                self.line(DIM, &format!("-- the agent is ready {model}"))
            }
            "status" if text_of(value, "status") == "compacting" => {
                self.line(DIM, "-- the agent compacts its context")
            }
            "compact_boundary" => self.line(DIM, "-- context compacted"),
            "api_retry" => self.line(DIM, "-- the agent tries its model again"),
            _ => Ok(()),
        }
    }
}

fn text_of<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frames: &[&str]) -> String {
        let mut transcript = Transcript::new(Vec::new());
        for frame in frames {
            let frame = Frame::classify((*frame).into()).unwrap();
            transcript.message(&frame).unwrap();
        }
        let text = String::from_utf8(transcript.out).unwrap();
        anstream::adapter::strip_str(&text).to_string()
    }

    const START: &str =
        r#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m1"}}}"#;
    const DELTA: &str = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi there"}}}"#;
    const WHOLE: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"Hi there"}]}}"#;

    #[test]
    fn streamed_text_is_printed_once() {
        assert_eq!(shown(&[START, DELTA, WHOLE]), "Hi there\n");
        assert_eq!(shown(&[WHOLE]), "Hi there\n");
    }

    #[test]
    fn a_tool_and_its_result_are_brief() {
        let call = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#;
        let result =
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"a\nb\nc"}]}}"#;
        assert_eq!(
            shown(&[START, DELTA, call, result]),
            "Hi there\n* Bash {\"command\":\"ls\"}\n  -> a (+2 lines)\n"
        );
    }

    #[test]
    fn a_turn_that_died_is_shown_as_such() {
        let died = r#"{"type":"result","subtype":"success","is_error":true,"num_turns":-1,"result":"overloaded","duration_ms":1500}"#;
        assert_eq!(shown(&[died]), "-- failed after 1.5 s: overloaded\n");
    }

    #[test]
    fn nothing_the_agent_says_reaches_the_terminal_as_a_command() {
        let evil = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"\u001b[2Jhi\u0007"},{"type":"tool_use","name":"\u001b]0;x","input":{"a":"\u001b[2J\u202e"}}]}}"#;
        let mut transcript = Transcript::new(Vec::new());
        let frame = Frame::classify(evil.into()).unwrap();
        transcript.message(&frame).unwrap();
        let text = String::from_utf8(transcript.out).unwrap();
        assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{7}'));
        assert!(!text.contains("\u{1b}]") && !text.contains('\u{202e}'));
        assert!(text.contains("hi"));
    }

    #[test]
    fn odd_messages_are_named_or_passed_over() {
        assert_eq!(shown(&[r#"{"type":"next_week"}"#]), "[next_week]\n");
        assert_eq!(shown(&[r#"{"type":"assistant","message":7}"#]), "");
        let deep = format!(
            "{{\"type\":\"user\",\"x\":{}{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert_eq!(shown(&[&deep]), "[user]\n");
    }
}
