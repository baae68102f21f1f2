//! How far the application is with what it reads.

use attache_protocol::viewer::{Cursor, Event};

use crate::{server::Server, viewer::attach};

#[test]
fn the_cursor_is_with_what_was_taken_and_with_nothing_that_waits() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    assert_eq!(attached.events.cursor(), None);
    peer.says("first");
    peer.says("second");
    peer.says("third");

    let mut cursors = Vec::new();
    for uuid in ["first", "second", "third"] {
        assert_eq!(attached.sees_message(), uuid);
        cursors.push(attached.events.cursor());
    }

    let expected = ["first", "second", "third"].map(|uuid| Some(Cursor::Event(uuid.into())));
    assert_eq!(cursors, expected);
}

#[test]
fn the_cursor_stays_when_the_session_is_over() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("last");
    assert_eq!(attached.sees_message(), "last");

    attached.session.close().unwrap();
    attached.sees(|event| matches!(event, Event::Closed(_)).then_some(()));

    assert_eq!(attached.events.cursor(), Some(Cursor::Event("last".into())));
}
