//! The events the application has not taken yet.

use alloc::collections::VecDeque;

use super::{WorkerEvent, config::WorkerLimits};

/// Events in order, with the bytes they hold. Beyond the bound nothing is read from the stream, and
/// statuses are brought up to date instead of piling up.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct EventQueue {
    events: VecDeque<WorkerEvent>,
    bytes: usize,
    limit: usize,
    limit_bytes: usize,
}

impl EventQueue {
    pub(super) fn new(limits: &WorkerLimits) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            limit: limits.events.max(1),
            limit_bytes: limits.event_bytes.max(1),
        }
    }

    pub(super) fn push(&mut self, event: WorkerEvent) {
        if self.is_full()
            && matches!(event, WorkerEvent::Status(_))
            && let Some(last @ WorkerEvent::Status(_)) = self.events.back_mut()
        {
            *last = event;
            return;
        }
        self.bytes = self.bytes.saturating_add(weight(&event));
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<WorkerEvent> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(weight(&event));
        Some(event)
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= self.limit || self.bytes >= self.limit_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The bytes an event keeps alive beyond its own size.
fn weight(event: &WorkerEvent) -> usize {
    match event {
        WorkerEvent::Inbound(inbound) => inbound.frame.as_str().len(),
        WorkerEvent::Malformed(malformed) => malformed.text.len(),
        WorkerEvent::Status(_)
        | WorkerEvent::Registered(_)
        | WorkerEvent::UploadRejected { .. }
        | WorkerEvent::Closed(_) => 0,
    }
}
