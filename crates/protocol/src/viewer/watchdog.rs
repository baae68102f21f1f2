//! Notices that the agent says nothing after it was spoken to.

use core::time::Duration;

use serde::Deserialize;

use super::Patience;
use crate::{
    frame::{Frame, FrameKind},
    time::Timestamp,
};

/// Runs from an accepted message to the next frame of any kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchdog {
    waiting_since: Option<Timestamp>,
    context: Context,
}

/// What the agent said it is doing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Context {
    #[default]
    Working,
    /// Summing up its own context, which takes long and says nothing.
    Compacting,
}

impl Watchdog {
    /// An answer is owed from `now` on; the deadline from `now`, unless it is running already.
    pub(super) fn start(&mut self, now: Timestamp, patience: &Patience) -> Option<Duration> {
        if self.waiting_since.is_some() {
            return None;
        }
        self.waiting_since = Some(now);
        Some(match self.context {
            Context::Working => patience.watchdog,
            Context::Compacting => patience.watchdog_compacting,
        })
    }

    /// Any frame is a sign that the agent is reached.
    pub(super) fn heard(&mut self, frame: &Frame) {
        self.waiting_since = None;
        if let FrameKind::Message { type_name } = frame.kind()
            && &**type_name == "system"
        {
            self.read_context(frame);
        }
    }

    /// The link is being replaced; what the agent said meanwhile will be loaded.
    pub(super) fn stop(&mut self) {
        self.waiting_since = None;
    }

    /// The deadline passed: how long the agent has been silent.
    pub(super) fn bark(&mut self, now: Timestamp) -> Option<Duration> {
        let since = self.waiting_since.take()?;
        Some(now.saturating_since(since))
    }

    fn read_context(&mut self, frame: &Frame) {
        #[derive(Deserialize)]
        struct System<'a> {
            #[serde(borrow, default)]
            subtype: Option<&'a str>,
            #[serde(borrow, default)]
            status: Option<&'a str>,
        }
        let Ok(system) = serde_json::from_str::<System<'_>>(frame.as_str()) else {
            return;
        };
        match (system.subtype, system.status) {
            (Some("status"), Some("compacting")) => self.context = Context::Compacting,
            (Some("status" | "compact_boundary"), _) => self.context = Context::Working,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::classify(text.into()).unwrap()
    }

    #[test]
    fn compacting_earns_more_patience_until_it_is_over() {
        let patience = Patience::default();
        let mut watchdog = Watchdog::default();
        let now = Timestamp::ORIGIN;

        watchdog.heard(&frame(
            r#"{"type":"system","subtype":"status","status":"compacting"}"#,
        ));
        assert_eq!(
            watchdog.start(now, &patience),
            Some(patience.watchdog_compacting)
        );
        assert_eq!(watchdog.start(now, &patience), None);

        watchdog.heard(&frame(r#"{"type":"system","subtype":"compact_boundary"}"#));
        assert_eq!(watchdog.start(now, &patience), Some(patience.watchdog));
    }

    #[test]
    fn it_barks_once() {
        let mut watchdog = Watchdog::default();
        watchdog.start(Timestamp::ORIGIN, &Patience::default());
        let later = Timestamp::from_origin(Duration::from_secs(60));
        assert_eq!(watchdog.bark(later), Some(Duration::from_secs(60)));
        assert_eq!(watchdog.bark(later), None);
    }

    #[test]
    fn a_new_link_begins_a_new_wait() {
        let patience = Patience::default();
        let mut watchdog = Watchdog::default();
        watchdog.start(Timestamp::ORIGIN, &patience);
        watchdog.stop();
        let later = Timestamp::from_origin(Duration::from_secs(30));
        assert_eq!(watchdog.start(later, &patience), Some(patience.watchdog));
        assert_eq!(watchdog.bark(later), Some(Duration::ZERO));
    }
}
