//! How often memory is asked for: the same on every machine, so it is a test.

use attache_benches::classification::{Reader, messages};

#[test]
fn classifying_a_frame_allocates_nothing() {
    for message in messages() {
        let counted = allocation_counter::measure(|| {
            assert!(Reader::Attache.read(&message.text).is_some());
        });
        assert_eq!(counted.count_total, 0, "{message}");
    }
}

/// The counter counts.
#[test]
fn a_tree_of_a_frame_allocates() {
    for message in messages() {
        let counted = allocation_counter::measure(|| {
            assert!(Reader::Tree.read(&message.text).is_some());
        });
        assert!(counted.count_total > 3, "{message}");
    }
}
