//! The events the application has not taken yet.

use super::{Cursor, Event, Limits, SendState};
use crate::queue::Queue;

/// Events in order, with the bytes they hold, and how far the log has come with those taken.
///
/// Beyond its bound nothing is read from the peer any more, and what only describes the way
/// (a status, a state on the way to a final one) makes room for what must be told.
#[derive(Clone, Debug)]
pub(super) struct EventQueue {
    waiting: Queue<Event>,
    /// How far the log has come with so many more of them. These lie apart, because an event is moved as few times
    /// as possible: it is large.
    marks: Queue<(usize, Cursor)>,
    /// So many are behind the last mark.
    unmarked: usize,
    cursor: Option<Cursor>,
    bytes: usize,
    limit: usize,
    limit_bytes: usize,
}

impl EventQueue {
    /// `cursor` is where the application stands now.
    pub(super) fn new(limits: &Limits, cursor: Option<Cursor>) -> Self {
        Self {
            waiting: Queue::default(),
            marks: Queue::default(),
            unmarked: 0,
            cursor,
            bytes: 0,
            limit: limits.events.max(1),
            limit_bytes: limits.event_bytes.max(1),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, event: Event) {
        if self.is_full() && self.supersedes(&event) {
            return;
        }
        self.bytes = self.bytes.saturating_add(weight(&event));
        self.waiting.push_back(event);
        self.unmarked += 1;
    }

    /// Whether `event` only brings a waiting one up to date, or can be left out altogether.
    fn supersedes(&mut self, event: &Event) -> bool {
        match event {
            Event::Status(_) => {
                if let Some(last) = self.waiting.back_mut()
                    && matches!(last, Event::Status(_))
                {
                    *last = event.clone();
                    return true;
                }
                false
            }
            Event::PermissionChanged { request_id, .. } => {
                let same = |waiting: &&mut Event| {
                    matches!(waiting, Event::PermissionChanged { request_id: waiting, .. }
                        if waiting == request_id)
                };
                match self.waiting.iter_mut().rev().find(same) {
                    Some(waiting) => {
                        *waiting = event.clone();
                        true
                    }
                    None => false,
                }
            }
            Event::Send { state, .. } => match state {
                SendState::Queued
                | SendState::InFlight
                | SendState::Unknown
                | SendState::Delivered
                | SendState::Processing => true,
                SendState::Accepted | SendState::Processed | SendState::Rejected(_) => false,
            },
            Event::Message(_)
            | Event::PermissionRequested(_)
            | Event::PermissionWithdrawn { .. }
            | Event::PermissionSettled { .. }
            | Event::AnswerRefused { .. }
            | Event::Request { .. }
            | Event::Gap { .. }
            | Event::CaughtUp
            | Event::Malformed(_)
            | Event::Unresponsive { .. }
            | Event::Closed(_) => false,
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.bytes = self.bytes.saturating_sub(weight(self.waiting.front()?));
        match self.marks.front_mut() {
            Some((1, _)) => self.cursor = self.marks.pop_front().map(|(_, cursor)| cursor),
            Some((events, _)) => *events = events.saturating_sub(1),
            None => self.unmarked = self.unmarked.saturating_sub(1),
        }
        self.waiting.pop_front()
    }

    /// With the events pushed so far, the log has come to `cursor`.
    pub(super) fn mark(&mut self, cursor: Cursor) {
        match (self.unmarked, self.marks.back_mut()) {
            (_, Some((_, last))) if *last == cursor => {}
            (_, None) if self.cursor.as_ref() == Some(&cursor) => {}
            (0, Some((_, last))) => *last = cursor,
            (0, None) => self.cursor = Some(cursor),
            (events, _) => {
                self.marks.push_back((events, cursor));
                self.unmarked = 0;
            }
        }
    }

    /// How far the log has come with the events taken.
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Gives room back that is not needed now.
    pub(super) fn shrink(&mut self) {
        self.waiting.shrink();
        self.marks.shrink();
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.limit || self.bytes >= self.limit_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// The bytes an event keeps alive beyond its own size.
#[inline]
fn weight(event: &Event) -> usize {
    match event {
        Event::Message(message) => message.frame.as_str().len(),
        Event::PermissionRequested(request) => request.frame().as_str().len(),
        Event::Malformed(malformed) => malformed.text.len(),
        Event::Status(_)
        | Event::PermissionChanged { .. }
        | Event::PermissionWithdrawn { .. }
        | Event::PermissionSettled { .. }
        | Event::AnswerRefused { .. }
        | Event::Send { .. }
        | Event::Request { .. }
        | Event::Gap { .. }
        | Event::CaughtUp
        | Event::Unresponsive { .. }
        | Event::Closed(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;

    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::viewer::{PromptState, Status};

    fn queue(limit: usize) -> EventQueue {
        let limits = Limits {
            events: limit,
            ..Limits::default()
        };
        EventQueue::new(&limits, None)
    }

    #[test]
    fn statuses_do_not_pile_up_in_a_full_queue() {
        let mut queue = queue(2);
        queue.push(Event::CaughtUp);
        queue.push(Event::CaughtUp);
        for attempt in 0..100 {
            queue.push(Event::Status(Status::Connecting { attempt }));
        }
        assert_eq!(queue.waiting.len(), 3);
        assert!(matches!(
            queue.waiting.back_mut(),
            Some(Event::Status(Status::Connecting { attempt: 99 }))
        ));
    }

    #[test]
    fn the_last_state_of_a_prompt_survives_a_full_queue() {
        let changed = |state| Event::PermissionChanged {
            request_id: crate::frame::RequestId::new("r").unwrap(),
            state,
        };
        let mut queue = queue(1);
        queue.push(Event::CaughtUp);
        for _ in 0..100 {
            queue.push(changed(PromptState::Unverified));
            queue.push(changed(PromptState::Pending));
        }
        assert_eq!(queue.waiting.len(), 2);
        assert!(matches!(
            queue.waiting.back_mut(),
            Some(Event::PermissionChanged {
                state: PromptState::Pending,
                ..
            })
        ));
    }

    #[test]
    fn the_cursor_moves_when_what_it_covers_is_taken() {
        let mut queue = queue(10);
        queue.mark(Cursor::Sequence(1));
        assert_eq!(queue.cursor(), Some(&Cursor::Sequence(1)));
        queue.push(Event::CaughtUp);
        queue.mark(Cursor::Sequence(2));
        queue.mark(Cursor::Sequence(3));
        queue.push(Event::CaughtUp);
        queue.push(Event::CaughtUp);
        queue.mark(Cursor::Sequence(4));
        assert_eq!(queue.cursor(), Some(&Cursor::Sequence(1)));
        for covered in [3, 3, 4] {
            queue.pop();
            assert_eq!(queue.cursor(), Some(&Cursor::Sequence(covered)));
        }
    }

    #[derive(Copy, Clone, Debug)]
    enum Act {
        Push,
        Mark(u64),
        Pop,
    }

    proptest! {
        #[test]
        fn each_event_leads_to_the_last_place_marked_behind_it(
            acts in prop::collection::vec(
                prop_oneof![
                    Just(Act::Push),
                    (0..4_u64).prop_map(Act::Mark),
                    select(&[Act::Pop, Act::Pop, Act::Push][..]),
                ],
                0..100,
            ),
        ) {
            let mut queue = queue(1000);
            let mut places: VecDeque<Option<u64>> = VecDeque::new();
            let mut reached = None;
            for act in acts {
                match act {
                    Act::Push => {
                        queue.push(Event::CaughtUp);
                        places.push_back(None);
                    }
                    Act::Mark(place) => {
                        queue.mark(Cursor::Sequence(place));
                        *places.back_mut().unwrap_or(&mut reached) = Some(place);
                    }
                    Act::Pop => {
                        prop_assert_eq!(queue.pop().is_some(), !places.is_empty());
                        reached = places.pop_front().flatten().or(reached);
                    }
                }
                prop_assert_eq!(queue.cursor().cloned(), reached.map(Cursor::Sequence));
            }
        }
    }

    #[test]
    fn a_queue_is_full_by_bytes_as_well() {
        let limits = Limits {
            event_bytes: 10,
            ..Limits::default()
        };
        let mut queue = EventQueue::new(&limits, None);
        let frame = crate::frame::Frame::classify(r#"{"type":"user"}"#.into()).unwrap();
        queue.push(Event::Message(crate::viewer::Message {
            frame,
            source: crate::viewer::Source::Live,
        }));
        assert!(queue.is_full());
        queue.pop();
        assert!(!queue.is_full() && queue.is_empty());
    }
}
