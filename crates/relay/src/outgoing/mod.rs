//! What waits to be sent to one viewer: bounded, and never in anybody's way.

mod ending;
pub(crate) mod event;
mod item;
pub(crate) mod message;
mod queue;
mod run;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::queue::{Overflow, Queue, ROOM_KEPT};
pub(crate) use self::{
    ending::Ending,
    item::{Item, Telling},
    run::{Batch, Run},
};

/// One viewer's queue. The session fills it and never waits; the viewer's socket or stream empties
/// it.
pub(crate) struct Outgoing {
    limit_frames: usize,
    limit_bytes: usize,
    overflow: Overflow,
    queue: Mutex<Queue>,
    changed: Notify,
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
        self.push_all(Run::from(item.clone()))
    }

    /// Queues several things, and wakes the viewer once. Returns whether it still takes anything.
    pub(crate) fn push_all(&self, run: Run) -> bool {
        let mut queue = self.lock();
        let mut added = false;
        let fits = queue.waiting() + run.frames() <= self.limit_frames
            && queue.bytes + run.bytes() <= self.limit_bytes;
        if fits {
            added = queue.add(run);
        } else {
            for item in run.items() {
                let full = queue.waiting() >= self.limit_frames
                    || (!queue.runs.is_empty() && queue.bytes + item.bytes() > self.limit_bytes);
                if full && queue.ending.is_none() {
                    queue.overflow(self.overflow);
                    added = true;
                }
                added |= queue.add(Run::from(item.clone()));
            }
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
        let added = queue.add(Run::from(item));
        queue.first += usize::from(added);
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
        *queue = Queue::ended(queue.ending.unwrap_or(ending));
        drop(queue);
        self.changed.notify_one();
    }

    /// Gives up what is queued: nobody is there to take it.
    pub(crate) fn abandon(&self) {
        *self.lock() = Queue::ended(Ending::Failed);
    }

    /// Whether anything is still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.ending().is_none()
    }

    /// Why nothing is taken any more.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    /// Waits until there is something to send and takes some of it, or says that and why nothing more
    /// will come. Cancel safe.
    pub(crate) async fn next(&self) -> Result<Batch, Ending> {
        loop {
            {
                let mut queue = self.lock();
                let batch = queue.take();
                if !batch.is_empty() {
                    return Ok(batch);
                }
                if let Some(ending) = queue.ending {
                    return Err(ending);
                }
                queue.runs.shrink_to(ROOM_KEPT);
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement, so it is sound even after a panic elsewhere.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use attache_protocol::frame::relay::DeliveryStatus;
    use futures_util::FutureExt as _;

    use super::{
        queue::{BATCH_BYTES, BATCH_FRAMES},
        *,
    };
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
            match outgoing.next().await {
                Ok(batch) => all.extend(batch.items().cloned()),
                Err(ending) => return (all, ending),
            }
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
        while let Ok(batch) = outgoing.next().await {
            let bytes = batch.items().map(Item::bytes).sum::<usize>();
            let last = batch.items().last().map_or(0, Item::bytes);
            assert_eq!(batch.bytes(), bytes);
            assert_eq!(batch.frames(), batch.items().count());
            assert!(batch.frames() <= BATCH_FRAMES && bytes - last < BATCH_BYTES);
            for item in batch.items() {
                let start = format!("{{\"type\":\"{seen} ");
                assert!(item.wire().unwrap().starts_with(&start), "{seen}");
                seen += 1;
            }
        }
        assert_eq!((seen, outgoing.lock().bytes), (1500, 0));
    }

    #[tokio::test]
    async fn what_came_together_is_taken_out_in_bounded_parts_too() {
        for (frames, padding) in [(1500, 0), (50, 20_000), (3, 300_000)] {
            let outgoing = Outgoing::for_socket(2000, 4 << 20);
            let padding = "x".repeat(padding);
            let one = |number: usize| live(&format!("{number} {padding}"));
            assert!(outgoing.push_all((0..frames).map(one).collect::<Vec<_>>().into()));
            outgoing.end(Ending::SessionEnded);
            let mut seen = 0;
            while let Ok(batch) = outgoing.next().await {
                let last = batch.items().last().map_or(0, Item::bytes);
                assert!(batch.frames() <= BATCH_FRAMES && batch.bytes() - last < BATCH_BYTES);
                for item in batch.items() {
                    let start = format!("{{\"type\":\"{seen} ");
                    assert!(item.wire().unwrap().starts_with(&start), "{seen}");
                    seen += 1;
                }
                let queue = outgoing.lock();
                let waiting: usize = queue.runs.iter().map(Run::frames).sum();
                assert_eq!((queue.frames, seen), (waiting, frames - waiting));
            }
            assert_eq!((seen, outgoing.lock().bytes), (frames, 0));
        }
    }

    #[tokio::test]
    async fn a_queue_that_had_to_grow_gives_its_room_back() {
        let outgoing = Outgoing::for_socket(2000, 4 << 20);
        for _ in 0..1500 {
            assert!(outgoing.push(&live("x")));
        }
        let mut seen = 0;
        while let Some(batch) = outgoing.next().now_or_never() {
            seen += batch.unwrap().frames();
        }
        assert_eq!(seen, 1500);
        assert!(outgoing.lock().runs.capacity() <= ROOM_KEPT);
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
        assert!(roomy.push_all(Run::from(together.clone())));
        for narrow in [
            Outgoing::for_socket(4, exact),
            Outgoing::for_socket(5, exact - 1),
        ] {
            assert!(!narrow.push_all(Run::from(together.clone())));
            let (all, ending) = drain(&narrow).await;
            assert_eq!((all.len(), ending), (0, Ending::TooSlow));
        }
        let stream = Outgoing::for_stream(4, exact);
        assert!(stream.push_all(Run::from(together.clone())));
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
        let batch: Vec<_> = outgoing.next().await.unwrap().items().cloned().collect();
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
        assert_eq!(outgoing.lock().runs.len(), 0);
    }

    #[tokio::test]
    async fn one_huge_frame_fits_when_nothing_waits() {
        let outgoing = Outgoing::for_socket(4, 10);
        assert!(outgoing.push(&live(&"x".repeat(100))));
    }
}
