//! `inspect`: what each line of a recording is, and how much of it is understood.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Write},
};

use attache_protocol::frame::{
    Frame, FrameKind,
    control::ControlResponse,
    message::{Unmodelled, same_json},
    permission::PermissionRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    arguments::Inspect,
    exit::{Exit, Failure},
    render::one_line,
};

pub(crate) fn run(options: &Inspect) -> Result<(), Failure> {
    let name = options.file.to_string_lossy();
    let unreadable = |error: io::Error| {
        let name = one_line(&name, 200);
        Failure::new(
            Exit::Failure,
            format!("reading {name} failed: {error}; check the path, or use - for stdin"),
        )
    };
    let mut input: Box<dyn BufRead> = if options.file == OsStr::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            File::open(&options.file).map_err(unreadable)?,
        ))
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut summary = Summary::default();
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let report = Report::of(number, bytes.trim_ascii());
        summary.add(&report);
        if options.json {
            serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            report.write(&mut out)?;
        }
    }
    if options.json {
        let line = serde_json::json!({ "summary": summary });
        writeln!(out, "{line}")?;
    } else {
        summary.write(&mut out)?;
    }
    Ok(out.flush()?)
}

/// What there is to say about one line.
#[derive(Debug, Serialize)]
struct Report {
    line: u64,
    bucket: &'static str,
    #[serde(rename = "type")]
    type_name: Option<String>,
    subtype: Option<String>,
    /// Whether every known field holds what it should.
    parsed: bool,
    error: Option<String>,
    unmodelled_fields: Vec<String>,
    unmodelled_types: Vec<String>,
    /// Whether taking it apart and writing it again gives the same JSON.
    round_trip: bool,
}

impl Report {
    fn of(line: u64, bytes: &[u8]) -> Self {
        let mut report = Self {
            line,
            bucket: "not_a_frame",
            type_name: None,
            subtype: None,
            parsed: false,
            error: None,
            unmodelled_fields: Vec::new(),
            unmodelled_types: Vec::new(),
            round_trip: false,
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            report.error = Some("not UTF-8".to_owned());
            return report;
        };
        let frame = match Frame::classify(text.into()) {
            Ok(frame) => frame,
            Err(malformed) => {
                report.error = Some(malformed.error.to_string());
                return report;
            }
        };
        report.bucket = bucket(&frame);
        report.type_name = Some(frame.type_name().to_owned());
        report.subtype = subtype(text);
        match frame.view() {
            Ok(view) => {
                report.parsed = true;
                report.round_trip = same_json(&view.encode(), text);
                for found in view.unmodelled() {
                    let list = match found {
                        Unmodelled::Kind { .. } => &mut report.unmodelled_types,
                        _ => &mut report.unmodelled_fields,
                    };
                    list.push(found.to_string());
                }
            }
            Err(malformed) => report.error = Some(malformed.to_string()),
        }
        if let Some(error) = control_error(&frame) {
            report.parsed = false;
            report.error.get_or_insert(error);
        }
        report
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let short = |text: &str| one_line(text, 120);
        write!(out, "{:>5}  {}", self.line, self.bucket)?;
        if let Some(type_name) = &self.type_name {
            write!(out, "  {}", short(type_name))?;
        }
        if let Some(subtype) = &self.subtype {
            write!(out, "/{}", short(subtype))?;
        }
        match &self.error {
            Some(error) => write!(out, "  malformed: {}", short(error))?,
            None => write!(out, "  ok")?,
        }
        if self.parsed {
            let word = if self.round_trip { "same" } else { "differs" };
            write!(out, "  round trip {word}")?;
        }
        for (title, list) in [
            ("unknown types", &self.unmodelled_types),
            ("unknown fields", &self.unmodelled_fields),
        ] {
            if !list.is_empty() {
                write!(out, "  {title}: {}", short(&list.join(", ")))?;
            }
        }
        writeln!(out)
    }
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    lines: u64,
    parsed: u64,
    malformed: u64,
    round_trips: u64,
    buckets: BTreeMap<&'static str, u64>,
    /// How often each type, with its subtype, came.
    types: BTreeMap<String, u64>,
    unmodelled_fields: BTreeMap<String, u64>,
    unmodelled_types: BTreeMap<String, u64>,
}

impl Summary {
    fn add(&mut self, report: &Report) {
        self.lines += 1;
        self.parsed += u64::from(report.parsed);
        self.malformed += u64::from(!report.parsed);
        self.round_trips += u64::from(report.round_trip);
        *self.buckets.entry(report.bucket).or_default() += 1;
        if let Some(type_name) = &report.type_name {
            let key = match &report.subtype {
                Some(subtype) => format!("{type_name}/{subtype}"),
                None => type_name.clone(),
            };
            *self.types.entry(key).or_default() += 1;
        }
        for (totals, found) in [
            (&mut self.unmodelled_fields, &report.unmodelled_fields),
            (&mut self.unmodelled_types, &report.unmodelled_types),
        ] {
            for name in found {
                *totals.entry(without_indices(name)).or_default() += 1;
            }
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{} lines: {} parsed, {} malformed, {} round trips the same",
            self.lines, self.parsed, self.malformed, self.round_trips
        )?;
        for (title, totals) in [
            ("types", &self.types),
            ("unknown types", &self.unmodelled_types),
            ("unknown fields", &self.unmodelled_fields),
        ] {
            if !totals.is_empty() {
                writeln!(out, "{title}:")?;
            }
            for (name, count) in totals {
                writeln!(out, "  {count:>6}  {}", one_line(name, 160))?;
            }
        }
        Ok(())
    }
}

fn bucket(frame: &Frame) -> &'static str {
    match frame.kind() {
        FrameKind::ControlRequest { subtype, .. } if &**subtype == "can_use_tool" => {
            "permission_prompt"
        }
        FrameKind::ControlRequest { .. } => "request",
        FrameKind::ControlResponse { .. } => "acknowledgement",
        FrameKind::ControlCancelRequest { .. } => "prompt_withdrawn",
        FrameKind::KeepAlive => "liveness",
        FrameKind::Auth => "credential",
        FrameKind::UnknownControl { .. } => "unknown_control",
        FrameKind::Message { .. } => "message",
    }
}

/// What is wrong inside a control frame, which a message's view does not look into.
fn control_error(frame: &Frame) -> Option<String> {
    match frame.kind() {
        FrameKind::ControlRequest { subtype, .. } if &**subtype == "can_use_tool" => {
            Some(PermissionRequest::parse(frame).err()?.to_string())
        }
        FrameKind::ControlResponse { .. } => Some(format!(
            "`response`: {}",
            ControlResponse::parse(frame).err()?
        )),
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => None,
    }
}

/// The frame's `subtype`, wherever frames of its type have it.
fn subtype(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, default)]
        subtype: Option<&'a RawValue>,
        #[serde(borrow, default)]
        request: Option<&'a RawValue>,
        #[serde(borrow, default)]
        response: Option<&'a RawValue>,
        #[serde(borrow, default)]
        event: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow, default, alias = "type")]
        subtype: Option<&'a RawValue>,
    }
    let string = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let outer: Outer<'_> = serde_json::from_str(text).ok()?;
    if let Some(subtype) = outer.subtype {
        return string(subtype);
    }
    let inner = outer.request.or(outer.response).or(outer.event)?;
    string(
        serde_json::from_str::<Inner<'_>>(inner.get())
            .ok()?
            .subtype?,
    )
}

/// `message.content[3].novel` counts together with `message.content[0].novel`.
fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            other if !inside => out.push(other),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        Report::of(1, text.as_bytes())
    }

    #[test]
    fn a_message_with_something_new_is_parsed_and_says_what() {
        let report = report(
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"x","novel":1},{"type":"hologram"}]}}"#,
        );
        assert!(report.parsed && report.round_trip, "{report:?}");
        assert_eq!(report.bucket, "message");
        assert_eq!(report.unmodelled_fields, ["message.content[0].novel"]);
        assert_eq!(report.unmodelled_types.len(), 1);
    }

    #[test]
    fn a_malformed_known_field_is_named() {
        let report = report(r#"{"type":"assistant","message":{"content":7}}"#);
        assert!(!report.parsed);
        assert!(report.error.unwrap().contains("message.content"));
    }

    #[test]
    fn control_frames_are_looked_into() {
        let prompt = report(
            r#"{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":7,"input":{}}}"#,
        );
        assert_eq!(prompt.bucket, "permission_prompt");
        assert_eq!(prompt.subtype.as_deref(), Some("can_use_tool"));
        assert!(!prompt.parsed && prompt.error.unwrap().contains("tool_name"));
    }

    #[test]
    fn what_is_no_frame_is_reported_and_counted() {
        let mut summary = Summary::default();
        for bytes in [&b"garbage"[..], b"{}", b"\xff", b"{\"type\":7}"] {
            let report = Report::of(1, bytes);
            assert_eq!(report.bucket, "not_a_frame");
            summary.add(&report);
        }
        assert_eq!((summary.lines, summary.malformed), (4, 4));
    }

    #[test]
    fn places_in_lists_count_together() {
        assert_eq!(without_indices("a[12].b[0]"), "a[].b[]");
    }
}
