//! Which frames that are not stored have gone through already.

use std::collections::{HashSet, VecDeque};

use attache_protocol::viewer::KeptId;

/// The last `uuid`s, up to a limit.
pub(super) struct LiveUuids {
    limit: usize,
    known: HashSet<KeptId>,
    in_order: VecDeque<KeptId>,
}

impl LiveUuids {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            known: HashSet::new(),
            in_order: VecDeque::new(),
        }
    }

    /// Remembers `uuid`, and says whether it was not known.
    pub(super) fn is_new(&mut self, uuid: &str) -> bool {
        let uuid = KeptId::from(uuid);
        if !self.known.insert(uuid.clone()) {
            return false;
        }
        self.in_order.push_back(uuid);
        while self.in_order.len() > self.limit
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut uuids = LiveUuids::new(2);
        assert!(uuids.is_new("a") && uuids.is_new("b"));
        assert!(!uuids.is_new("a"));
        assert!(uuids.is_new("c") && uuids.is_new("a"));
        assert!(!uuids.is_new("c"));

        let mut nothing = LiveUuids::new(0);
        assert!(nothing.is_new("a") && nothing.is_new("a"));
    }
}
