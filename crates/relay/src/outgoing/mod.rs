//! What waits to be sent to one viewer: bounded, and never in anybody's way.

mod ending;
pub(crate) mod event;
mod item;

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

pub(crate) use self::{
    ending::Ending,
    item::{Item, Telling},
};

/// How much is taken out at once: the queue keeps counting what is not on its way yet.
const BATCH_FRAMES: usize = 512;
const BATCH_BYTES: usize = 256 << 10;
/// How much room an empty queue keeps.
const ROOM_KEPT: usize = 16;
/// Of how many messages a stream that lags is still told how far they have got.
const UPDATES_KEPT: usize = 256;

/// One viewer's queue. The session fills it and never waits; the viewer's socket or stream empties
/// it.
pub(crate) struct Outgoing {
    limit_frames: usize,
    limit_bytes: usize,
    overflow: Overflow,
    queue: Mutex<Queue>,
    changed: Notify,
}

/// What happens to a viewer that does not keep up. In either case what waited is given up: it can
/// be read from the log.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Overflow {
    /// Its socket is closed.
    End,
    /// Its stream goes on from the log.
    Lag,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// How many of the items at the front belong to the start of the subscription.
    first: usize,
    bytes: usize,
    /// The highest sequence number that was ever queued.
    newest: u64,
    ending: Option<Ending>,
}

impl Outgoing {
    /// A queue for a socket, which is ended when it overflows.
    pub(crate) fn for_socket(limit_frames: usize, limit_bytes: usize) -> Self {
        Self::new(limit_frames, limit_bytes, Overflow::End)
    }

    /// A queue for a stream, which then goes on from the log.
    pub(crate) fn for_stream(limit_frames: usize, limit_bytes: usize) -> Self {
        Self::new(limit_frames, limit_bytes, Overflow::Lag)
    }

    fn new(limit_frames: usize, limit_bytes: usize, overflow: Overflow) -> Self {
        Self {
            limit_frames,
            limit_bytes,
            overflow,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Whether the viewer gets every frame of the log, with its sequence number: also its own, and
    /// what other viewers ask of the agent.
    pub(crate) fn follows_log(&self) -> bool {
        self.overflow == Overflow::Lag
    }

    /// Queues something. Returns whether the viewer still takes anything.
    pub(crate) fn push(&self, item: &Item) -> bool {
        self.push_all(core::iter::once(item))
    }

    /// Queues several things, and wakes the viewer once. Returns whether it still takes anything.
    pub(crate) fn push_all<'a>(&self, items: impl Iterator<Item = &'a Item>) -> bool {
        let mut queue = self.lock();
        let mut added = false;
        for item in items {
            let waiting = queue.items.len() - queue.first;
            let full = waiting >= self.limit_frames
                || (!queue.items.is_empty() && queue.bytes + item.bytes() > self.limit_bytes);
            if full && queue.ending.is_none() {
                queue.overflow(self.overflow);
                added = true;
            }
            added |= queue.add(item.clone());
        }
        let open = queue.ending.is_none();
        drop(queue);
        if added {
            self.changed.notify_one();
        }
        open
    }

    /// Queues something that belongs to the start of a subscription, whether or not there is room,
    /// and before anything else is queued.
    pub(crate) fn push_first(&self, item: Item) {
        let mut queue = self.lock();
        queue.first += 1;
        queue.add(item);
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the viewer after what is queued now; nothing more is taken. The first ending stays.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.changed.notify_one();
    }

    /// Ends the viewer at once, in place of what is queued. The first ending stays.
    pub(crate) fn end_now(&self, ending: Ending) {
        let mut queue = self.lock();
        *queue = Queue {
            ending: queue.ending.or(Some(ending)),
            ..Queue::default()
        };
        drop(queue);
        self.changed.notify_one();
    }

    /// Gives up what is queued: nobody is there to take it.
    pub(crate) fn abandon(&self) {
        *self.lock() = Queue {
            ending: Some(Ending::Failed),
            ..Queue::default()
        };
    }

    /// Whether anything is still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.ending().is_none()
    }

    /// Why nothing is taken any more.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    /// Waits until there is something to send and moves some of it into `batch`, or says that and
    /// why nothing more will come. Cancel safe.
    pub(crate) async fn next(&self, batch: &mut Vec<Item>) -> Option<Ending> {
        loop {
            {
                let mut queue = self.lock();
                let mut bytes = 0;
                batch.reserve_exact(queue.items.len().min(BATCH_FRAMES));
                while batch.len() < BATCH_FRAMES
                    && bytes < BATCH_BYTES
                    && let Some(item) = queue.items.pop_front()
                {
                    queue.first = queue.first.saturating_sub(1);
                    bytes += item.bytes();
                    batch.push(item);
                }
                queue.bytes -= bytes;
                if !batch.is_empty() {
                    return None;
                }
                if queue.ending.is_some() {
                    return queue.ending;
                }
                queue.items.shrink_to(ROOM_KEPT);
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement, so it is sound even after a panic elsewhere.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes `item`, unless the end is decided.
    fn add(&mut self, item: Item) -> bool {
        let open = self.ending.is_none();
        if open {
            self.bytes += item.bytes();
            self.newest = self.newest.max(item.sequence().unwrap_or_default());
            self.items.push_back(item);
        }
        open
    }

    fn overflow(&mut self, how: Overflow) {
        match how {
            Overflow::End => {
                *self = Self {
                    ending: Some(Ending::TooSlow),
                    ..Self::default()
                }
            }
            Overflow::Lag => {
                // What a subscription starts with is not all in the log behind its position.
                let lost = self.items.split_off(self.first);
                self.items.push_back(Item::LogUpTo(self.newest));
                // How far messages have got is in no log at all.
                self.items.extend(latest_updates(lost));
                self.bytes = self.items.iter().map(Item::bytes).sum();
            }
        }
    }
}

/// The last word on each message, of the last few messages.
fn latest_updates(items: VecDeque<Item>) -> impl Iterator<Item = Item> {
    let mut told = HashSet::new();
    let newest_first = items.into_iter().rev();
    let latest = newest_first.filter(|item| {
        let message = item.delivered();
        message.is_some_and(|message| told.insert(Box::<str>::from(message)))
    });
    let latest: Vec<_> = latest.take(UPDATES_KEPT).collect();
    latest.into_iter().rev()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use attache_protocol::frame::relay::DeliveryStatus;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{line::Line, store::Origin};

    fn live(text: &str) -> Item {
        let text = format!(r#"{{"type":"{text}"}}"#);
        Item::live(Line::known(&text).unwrap(), Origin::Agent)
    }

    fn stored(sequence: u64) -> Item {
        let text = format!(r#"{{"type":"user","uuid":"{sequence}"}}"#);
        let line = Line::known(&text).unwrap();
        Item::stored(line, sequence, Origin::Agent, SystemTime::UNIX_EPOCH)
    }

    /// The items in a few words each.
    fn shown(items: &[Item]) -> Vec<String> {
        let show = |item: &Item| match item {
            Item::Stored(sequence, _) => format!("stored {sequence}"),
            Item::Live(_) => "live".to_owned(),
            Item::Delivery(_) => item.wire().unwrap().replace('"', ""),
            Item::LogUpTo(sequence) => format!("log up to {sequence}"),
        };
        items.iter().map(show).collect()
    }

    async fn drain(outgoing: &Outgoing) -> (Vec<Item>, Ending) {
        let mut all = Vec::new();
        loop {
            let mut batch = Vec::new();
            if let Some(ending) = outgoing.next(&mut batch).await {
                return (all, ending);
            }
            all.append(&mut batch);
        }
    }

    #[tokio::test]
    async fn an_ending_comes_after_what_was_queued() {
        let outgoing = Outgoing::for_socket(1024, 1 << 20);
        for _ in 0..200 {
            assert!(outgoing.push(&live("x")));
        }
        outgoing.end(Ending::SessionEnded);
        outgoing.end(Ending::Restarting);
        assert!(!outgoing.push(&live("late")));
        let (all, ending) = drain(&outgoing).await;
        assert_eq!((all.len(), ending), (200, Ending::SessionEnded));
    }

    #[tokio::test]
    async fn much_is_taken_out_in_order_and_in_bounded_parts() {
        let outgoing = Outgoing::for_socket(2000, 4 << 20);
        for number in 0..1500 {
            // The last ones are long.
            let padding = "x".repeat(if number < 1400 { 0 } else { 20_000 });
            assert!(outgoing.push(&live(&format!("{number} {padding}"))));
        }
        outgoing.end(Ending::SessionEnded);
        let mut seen = 0;
        let mut batch = Vec::new();
        while outgoing.next(&mut batch).await.is_none() {
            let bytes = batch.iter().map(Item::bytes).sum::<usize>();
            let last = batch.last().map_or(0, Item::bytes);
            assert!(batch.len() <= BATCH_FRAMES && bytes - last < BATCH_BYTES);
            for item in batch.drain(..) {
                let start = format!("{{\"type\":\"{seen} ");
                assert!(item.wire().unwrap().starts_with(&start), "{seen}");
                seen += 1;
            }
        }
        assert_eq!((seen, outgoing.lock().bytes), (1500, 0));
    }

    #[tokio::test]
    async fn a_queue_that_had_to_grow_gives_its_room_back() {
        let outgoing = Outgoing::for_socket(2000, 4 << 20);
        for _ in 0..1500 {
            assert!(outgoing.push(&live("x")));
        }
        let mut seen = 0;
        while let Some(ending) = {
            let mut batch = Vec::new();
            let ending = outgoing.next(&mut batch).now_or_never();
            seen += batch.len();
            ending
        } {
            assert_eq!(ending, None);
        }
        assert_eq!(seen, 1500);
        assert!(outgoing.lock().items.capacity() <= ROOM_KEPT);
    }

    #[tokio::test]
    async fn whoever_may_no_longer_watch_gets_nothing_more() {
        let outgoing = Outgoing::for_socket(1024, 1 << 20);
        outgoing.push(&live("x"));
        outgoing.end_now(Ending::CredentialOver);
        assert!(!outgoing.push(&live("late")));
        let (all, ending) = drain(&outgoing).await;
        assert_eq!((all.len(), ending), (0, Ending::CredentialOver));
    }

    #[tokio::test]
    async fn too_many_frames_or_bytes_end_a_socket() {
        let by_count = Outgoing::for_socket(2, 1024);
        assert!(by_count.push(&live("a")) && by_count.push(&live("b")));
        assert!(!by_count.push(&live("c")));
        let (all, ending) = drain(&by_count).await;
        assert_eq!((all.len(), ending), (0, Ending::TooSlow));

        let by_bytes = Outgoing::for_socket(1024, 30);
        assert!(by_bytes.push(&live("123456")));
        assert!(!by_bytes.push(&live("123456")));
        let (all, ending) = drain(&by_bytes).await;
        assert_eq!((all.len(), ending), (0, Ending::TooSlow));
    }

    #[tokio::test]
    async fn what_comes_together_counts_one_by_one() {
        let together: Vec<_> = (1..=5).map(stored).collect();
        let exact = together.iter().map(Item::bytes).sum();
        let roomy = Outgoing::for_socket(5, exact);
        assert!(roomy.push_all(together.iter()));
        for narrow in [
            Outgoing::for_socket(4, exact),
            Outgoing::for_socket(5, exact - 1),
        ] {
            assert!(!narrow.push_all(together.iter()));
            let (all, ending) = drain(&narrow).await;
            assert_eq!((all.len(), ending), (0, Ending::TooSlow));
        }
        let stream = Outgoing::for_stream(4, exact);
        assert!(stream.push_all(together.iter()));
        stream.end(Ending::SessionEnded);
        let (all, _) = drain(&stream).await;
        assert_eq!(shown(&all), ["log up to 4", "stored 5"]);
    }

    #[tokio::test]
    async fn too_much_makes_a_stream_go_on_from_the_log() {
        let outgoing = Outgoing::for_stream(3, 1 << 20);
        outgoing.push_first(Item::LogUpTo(4));
        outgoing.push_first(live("a prompt"));
        for sequence in 5..8 {
            assert!(outgoing.push(&stored(sequence)));
        }
        // It may be a long time until the next stored frame.
        assert!(outgoing.push(&live("delta")));
        let mut batch = Vec::new();
        assert_eq!(outgoing.next(&mut batch).await, None);
        let expected = ["log up to 4", "live", "log up to 7", "live"];
        assert_eq!(shown(&batch), expected);

        for sequence in 8..15 {
            assert!(outgoing.push(&stored(sequence)));
        }
        outgoing.end(Ending::SessionEnded);
        let (all, _) = drain(&outgoing).await;
        assert_eq!(shown(&all), ["log up to 12", "stored 13", "stored 14"]);
        assert_eq!(outgoing.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_stream_that_lags_is_told_the_last_word_on_each_message() {
        use DeliveryStatus::{Processed, Processing, Received};
        let outgoing = Outgoing::for_stream(4, 1 << 20);
        for (uuid, status) in [("m1", Received), ("m2", Received), ("m1", Processing)] {
            outgoing.push(&Item::delivery(uuid, status));
        }
        outgoing.push(&stored(1));
        outgoing.push(&stored(2));
        outgoing.push(&Item::delivery("m1", Processed));
        outgoing.end(Ending::SessionEnded);
        let (all, _) = drain(&outgoing).await;
        let update = |uuid, status| {
            format!("{{type:delivery_update,event_id:{uuid},status:DELIVERY_STATUS_{status}}}\n")
        };
        let expected = [
            "log up to 2".to_owned(),
            update("m2", "RECEIVED"),
            update("m1", "PROCESSING"),
            update("m1", "PROCESSED"),
        ];
        assert_eq!(shown(&all), expected);
    }

    #[test]
    fn an_abandoned_queue_holds_and_takes_nothing() {
        let outgoing = Outgoing::for_socket(4, 10);
        outgoing.push(&live("a"));
        outgoing.abandon();
        assert!(!outgoing.is_open() && !outgoing.push(&live("b")));
        assert_eq!(outgoing.lock().items.len(), 0);
    }

    #[tokio::test]
    async fn one_huge_frame_fits_when_nothing_waits() {
        let outgoing = Outgoing::for_socket(4, 10);
        assert!(outgoing.push(&live(&"x".repeat(100))));
    }
}
