//! What a viewer asks of memory: the same on every machine, so these are tests.

use std::time::Duration;

use attache_benches::step::{Attached, Said};

/// How often memory is asked for while `messages` messages pass through a viewer that has heard enough.
fn allocations(said: Said, messages: usize) -> u64 {
    let mut attached = Attached::live();
    let heard = 6000;
    for number in 0..heard {
        attached.step(said.message(number));
    }
    let new: Vec<_> = (heard..heard + messages)
        .map(|number| said.message(number))
        .collect();
    let counted = allocation_counter::measure(|| {
        for message in new {
            assert_eq!(attached.step(message), 1);
        }
    });
    assert_eq!(counted.bytes_current.max(0), 0, "{said:?} piles up");
    counted.count_total
}

#[test]
fn a_message_allocates_nothing_beyond_its_frame() {
    for said in [Said::Delta, Said::Unnamed, Said::Stored, Said::Long] {
        assert_eq!(allocations(said, 10_000), 0, "{said:?}");
    }
}

#[test]
fn the_first_messages_allocate_what_remembers_them() {
    let mut attached = Attached::live();
    let messages: Vec<_> = (0..4096)
        .map(|number| Said::Stored.message(number))
        .collect();
    let counted = allocation_counter::measure(|| {
        for message in messages.iter().cloned() {
            attached.step(message);
        }
    });
    assert!(counted.count_total <= 32, "{}", counted.count_total);
    assert!(
        counted.bytes_current <= 129 * 1024,
        "{} bytes",
        counted.bytes_current
    );
}

#[test]
fn a_reconnect_allocates_its_requests_and_little_else() {
    let mut attached = Attached::live();
    attached.step(Said::Stored.message(1));
    for _ in 0..3 {
        attached.reconnect();
        attached.pass(Duration::from_secs(100));
    }
    let counted = allocation_counter::measure(|| attached.reconnect());
    assert!(counted.count_total <= RECONNECT, "{}", counted.count_total);
}

/// The token, the two requests with their paths and headers, the page that is read, the queues.
const RECONNECT: u64 = 27;

#[test]
fn a_viewer_at_rest_takes_2_kib_at_most() {
    for (what, make) in [
        ("not connected", Attached::idle as fn() -> Attached),
        ("live", Attached::live),
    ] {
        let mut made = None;
        let counted = allocation_counter::measure(|| made = Some(make()));
        let own = i64::try_from(size_of::<attache_protocol::viewer::Viewer>()).unwrap();
        let bytes = own + counted.bytes_current;
        assert!(
            bytes <= 2048,
            "{what}: {own} and {} bytes",
            counted.bytes_current
        );
        drop(made);
    }
}
