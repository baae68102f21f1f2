//! What a worker has been sent and not finished yet.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::DeliveryStatus;

/// The viewers' frames from the first that the worker has not processed.
///
/// Frames are sent again until they are processed, so only the unbroken run of processed ones at
/// the front is forgotten.
#[derive(Default)]
pub(super) struct Deliveries {
    by_sequence: BTreeMap<u64, Delivery>,
    by_uuid: HashMap<Box<str>, u64>,
    unprocessed: usize,
}

struct Delivery {
    uuid: Box<str>,
    status: Option<DeliveryStatus>,
}

impl Deliveries {
    /// A frame for the worker has been stored.
    pub(super) fn add(&mut self, sequence: u64, uuid: &str) {
        let delivery = Delivery {
            uuid: uuid.into(),
            status: None,
        };
        self.by_uuid.insert(uuid.into(), sequence);
        if self.by_sequence.insert(sequence, delivery).is_none() {
            self.unprocessed += 1;
        }
    }

    /// The worker says how far it is. It never goes backwards, and a frame that does not wait any
    /// more is past all that.
    pub(super) fn acknowledge(&mut self, uuid: &str, status: DeliveryStatus) {
        let sequence = self.by_uuid.get(uuid);
        let Some(delivery) = sequence.and_then(|at| self.by_sequence.get_mut(at)) else {
            return;
        };
        let before = delivery.status;
        delivery.status = before.max(Some(status));
        let processed = Some(DeliveryStatus::Processed);
        if before != processed && delivery.status == processed {
            self.unprocessed -= 1;
        }
    }

    /// Where in the log the frame is, if it waits still.
    pub(super) fn sequence_of(&self, uuid: &str) -> Option<u64> {
        self.by_uuid.get(uuid).copied()
    }

    /// Up to which sequence number everything is processed, if that is news.
    pub(super) fn settled(&self) -> Option<u64> {
        let done = self.by_sequence.iter().take_while(|(_, one)| one.is_done());
        done.last().map(|(sequence, _)| *sequence)
    }

    /// Forgets everything up to `sequence`.
    pub(super) fn forget(&mut self, sequence: u64) {
        while let Some(first) = self.by_sequence.first_entry()
            && *first.key() <= sequence
        {
            let delivery = first.remove();
            self.by_uuid.remove(&delivery.uuid);
            self.unprocessed -= usize::from(!delivery.is_done());
        }
    }

    /// How many frames are not processed.
    pub(super) fn unprocessed(&self) -> usize {
        self.unprocessed
    }

    /// Those that need not be sent again, although an earlier one does.
    pub(super) fn processed(&self) -> HashSet<u64> {
        let done = self.by_sequence.iter().filter(|(_, one)| one.is_done());
        done.map(|(sequence, _)| *sequence).collect()
    }
}

impl Delivery {
    fn is_done(&self) -> bool {
        self.status == Some(DeliveryStatus::Processed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_run_of_processed_frames_is_settled() {
        use DeliveryStatus::{Processed, Processing, Received};
        let mut deliveries = Deliveries::default();
        for (sequence, uuid) in [(3, "a"), (5, "b"), (9, "c")] {
            deliveries.add(sequence, uuid);
        }
        deliveries.acknowledge("b", Processed);
        deliveries.acknowledge("a", Processing);
        deliveries.acknowledge("unknown", Processed);
        assert_eq!((deliveries.settled(), deliveries.unprocessed()), (None, 2));
        assert_eq!(deliveries.processed(), HashSet::from([5]));

        deliveries.acknowledge("a", Processed);
        deliveries.acknowledge("a", Received);
        assert_eq!(
            (deliveries.settled(), deliveries.unprocessed()),
            (Some(5), 1)
        );
        deliveries.forget(5);
        assert_eq!((deliveries.settled(), deliveries.unprocessed()), (None, 1));
        deliveries.acknowledge("a", Received);
        deliveries.forget(9);
        assert_eq!((deliveries.unprocessed(), deliveries.by_uuid.len()), (0, 0));
    }
}
