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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{
        frame::{FrameError, MalformedFrame},
        worker::{WorkerCloseCause, WorkerStatus},
    };

    fn queue(events: usize, event_bytes: usize) -> EventQueue {
        EventQueue::new(&WorkerLimits {
            events,
            event_bytes,
            ..WorkerLimits::default()
        })
    }

    fn unreadable(bytes: usize) -> WorkerEvent {
        WorkerEvent::Malformed(MalformedFrame {
            error: FrameError::NoType,
            text: "x".repeat(bytes).into(),
        })
    }

    #[test]
    fn statuses_take_each_others_place_only_where_there_is_no_room() {
        let status = |status| WorkerEvent::Status(status);
        let mut queue = queue(2, 1000);
        queue.push(status(WorkerStatus::Registering));
        queue.push(status(WorkerStatus::Connecting));
        queue.push(status(WorkerStatus::Running));
        queue.push(WorkerEvent::Closed(WorkerCloseCause::Requested));
        queue.push(status(WorkerStatus::Closing));
        let mut taken = Vec::new();
        while let Some(event) = queue.pop() {
            taken.push(match event {
                WorkerEvent::Status(status) => Some(status),
                WorkerEvent::Closed(_)
                | WorkerEvent::Inbound(_)
                | WorkerEvent::Malformed(_)
                | WorkerEvent::Registered(_)
                | WorkerEvent::UploadRejected { .. } => None,
            });
        }
        assert_eq!(
            taken,
            [
                Some(WorkerStatus::Registering),
                Some(WorkerStatus::Running),
                None,
                Some(WorkerStatus::Closing)
            ]
        );
    }

    #[test]
    fn a_queue_is_full_by_bytes_as_well_until_they_are_taken() {
        let mut queue = queue(10, 100);
        queue.push(unreadable(60));
        assert!(!queue.is_full());
        queue.push(unreadable(60));
        assert!(queue.is_full());
        queue.pop();
        assert!(!queue.is_full() && !queue.is_empty());
        queue.pop();
        assert!(queue.is_empty());
    }
}
