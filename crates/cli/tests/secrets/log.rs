//! Everything that is logged, by whomever, at any level.

use std::{
    fmt::{self, Write as _},
    sync::{Mutex, OnceLock},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who wrote it.
    pub(crate) target: String,
    pub(crate) is_trace: bool,
    pub(crate) text: String,
}

/// Collects what comes over `tracing`, as our crates do it, and over `log`, as the libraries below them do.
#[derive(Copy, Clone)]
struct Everything;

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static STARTED: OnceLock<()> = OnceLock::new();

/// Collects from now on, in the whole process.
pub(crate) fn start() {
    STARTED.get_or_init(|| {
        tracing::subscriber::set_global_default(Everything).unwrap();
        log::set_logger(&Everything).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// What has been collected.
pub(crate) fn lines() -> Vec<Line> {
    LINES.lock().unwrap().clone()
}

fn collect(target: &str, is_trace: bool, text: String) {
    LINES.lock().unwrap().push(Line {
        target: target.to_owned(),
        is_trace,
        text,
    });
}

fn traced(metadata: &Metadata<'_>, text: Text) {
    let is_trace = *metadata.level() == tracing::Level::TRACE;
    collect(metadata.target(), is_trace, text.0);
}

impl log::Log for Everything {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let is_trace = record.level() == log::Level::Trace;
        collect(record.target(), is_trace, record.args().to_string());
    }

    fn flush(&self) {}
}

impl Subscriber for Everything {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(span.metadata().name().into());
        span.record(&mut text);
        traced(span.metadata(), text);
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        let mut text = Text(String::new());
        values.record(&mut text);
        collect("a span", false, text.0);
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        traced(event.metadata(), text);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The fields of a span or an event.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
