//! What has come down, and what the server is told about it.

use alloc::{collections::VecDeque, format};

use bytes::Bytes;

use super::event::{Delivery, EventId};
use crate::{frame::RawJson, memory::Memory};

/// Events that were delivered are remembered, so that the server may send them again; how far each is
/// waits here to be told.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Deliveries {
    seen: Memory,
    waiting: VecDeque<News>,
    in_flight: usize,
    limit: usize,
}

/// How far an event is.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
struct News {
    id: EventId,
    delivery: Delivery,
    /// Told only after this upload.
    behind: u64,
}

impl Deliveries {
    pub(super) fn new(limit: usize, key: u64) -> Self {
        Self {
            seen: Memory::new(limit, key),
            waiting: VecDeque::new(),
            in_flight: 0,
            limit,
        }
    }

    /// An event came; whether it came for the first time. Either way the server is told it arrived.
    pub(super) fn arrived(&mut self, id: &EventId) -> bool {
        self.tell(id.clone(), Delivery::Received, 0);
        self.seen.insert(id.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queues a piece of news, to be told once upload number `behind` is with the server. The oldest is
    /// left out when there is no room: the server then sends an event again, which is recognised.
    pub(super) fn tell(&mut self, id: EventId, delivery: Delivery, behind: u64) {
        if self.waiting.len() >= self.limit && self.in_flight < self.waiting.len() {
            self.waiting.remove(self.in_flight);
        }
        self.waiting.push_back(News {
            id,
            delivery,
            behind,
        });
    }

    /// The body of the next report, if there is news and none in flight. Uploads from number `open` on
    /// are not with the server yet.
    pub(super) fn next(&mut self, epoch: u64, open: u64) -> Option<Bytes> {
        let may_be_told = |news: &News| news.behind < open;
        if self.in_flight > 0 || !self.waiting.front().is_some_and(may_be_told) {
            return None;
        }
        let mut body = format!("{{\"worker_epoch\":{epoch},\"updates\":[");
        for News { id, delivery, .. } in self.waiting.iter().take_while(|news| may_be_told(news)) {
            if self.in_flight > 0 {
                body.push(',');
            }
            body.push_str("{\"event_id\":");
            body.push_str(RawJson::string(id.as_str()).as_str());
            body.push_str(",\"status\":\"");
            body.push_str(delivery.as_str());
            body.push_str("\"}");
            self.in_flight += 1;
        }
        body.push_str("]}");
        Some(body.into())
    }

    /// The server has been told.
    pub(super) fn accepted(&mut self) {
        self.waiting.drain(..self.in_flight.min(self.waiting.len()));
        self.in_flight = 0;
    }

    /// The server may not have been told.
    pub(super) fn unknown(&mut self) {
        self.in_flight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &'static str) -> EventId {
        EventId(text.into())
    }

    #[test]
    fn an_event_that_comes_twice_is_told_twice_and_delivered_once() {
        let mut deliveries = Deliveries::new(10, 1);
        assert!(deliveries.arrived(&id("a")));
        assert!(!deliveries.arrived(&id("a")));
        let body = deliveries.next(1, 1).unwrap();
        assert_eq!(
            &*body,
            br#"{"worker_epoch":1,"updates":[{"event_id":"a","status":"received"},{"event_id":"a","status":"received"}]}"#
        );
        assert!(deliveries.next(1, 1).is_none());
        deliveries.accepted();
        assert!(deliveries.next(1, 1).is_none());
    }

    #[test]
    fn untold_news_is_told_again() {
        let mut deliveries = Deliveries::new(10, 1);
        deliveries.tell(id("a"), Delivery::Processed, 0);
        let first = deliveries.next(1, 1);
        deliveries.unknown();
        assert_eq!(deliveries.next(1, 1), first);
    }

    #[test]
    fn news_waits_for_what_was_said_before_it() {
        let mut deliveries = Deliveries::new(10, 1);
        deliveries.tell(id("a"), Delivery::Processed, 1);
        deliveries.tell(id("b"), Delivery::Processed, 3);
        deliveries.arrived(&id("c"));
        let mut told = |open| {
            let body = deliveries.next(1, open)?;
            deliveries.accepted();
            Some(body.windows(8).filter(|part| part == b"event_id").count())
        };
        assert_eq!(told(1), None);
        assert_eq!(told(2), Some(1));
        assert_eq!(told(3), None);
        assert_eq!(told(4), Some(2));
    }

    #[test]
    fn news_is_bounded() {
        let mut deliveries = Deliveries::new(2, 1);
        for name in ["a", "b", "c"] {
            deliveries.tell(id(name), Delivery::Processed, 0);
        }
        assert_eq!(deliveries.waiting.len(), 2);
    }
}
