//! The stream of what people send: how it opens, flows and ends.

use std::{thread, time::Duration};

use attache_protocol::{io::NetworkFailure, policy::Outcome, worker::WorkerStatus};

use crate::{
    agent::{config, start, start_with},
    server::Server,
};

#[test]
fn a_stream_that_ends_is_opened_again_where_it_was() {
    let server = Server::start();
    let mut bridge = start(server.address());
    let mut flow = server.welcomes();
    flow.says_message(7);
    bridge.sees_inbound();
    flow.ends();

    let ended = WorkerStatus::Deaf {
        cause: Outcome::Network(NetworkFailure::Ended),
    };
    assert_eq!(bridge.sees_deaf(), ended);
    let mut flow = server.asked("GET", "/worker/events/stream").flows();

    assert!(flow.path.ends_with("from_sequence_num=7"));
    assert_eq!(flow.headers["last-event-id"], "7");
    flow.says_message(7);
    flow.says_message(8);
    assert_eq!(bridge.sees_inbound().event_id.as_str(), "e8");
}

#[test]
fn a_stream_that_breaks_in_the_middle_of_an_event_is_opened_again() {
    let server = Server::start();
    let mut bridge = start(server.address());
    let mut flow = server.welcomes();
    flow.says_message(1);
    bridge.sees_inbound();
    flow.sends("event: client_event\nid: 2\ndata: {\"event");
    drop(flow);

    let broken = bridge.sees_deaf();
    let mut flow = server.asked("GET", "/worker/events/stream").flows();

    let ended = WorkerStatus::Deaf {
        cause: Outcome::Network(NetworkFailure::Ended),
    };
    assert_eq!(broken, ended);
    assert!(flow.path.ends_with("from_sequence_num=1"));
    flow.says_message(2);
    assert_eq!(bridge.sees_inbound().event_id.as_str(), "e2");
}

#[test]
fn a_stream_that_ends_in_the_middle_of_a_chunk_or_is_reset_is_told_so() {
    let server = Server::start();
    let mut bridge = start(server.address());
    let mut flow = server.welcomes();
    flow.says_message(1);
    bridge.sees_inbound();
    for (reset, failure) in [
        (false, NetworkFailure::Ended),
        (true, NetworkFailure::Reset),
    ] {
        flow.breaks(reset);
        let cause = Outcome::Network(failure);
        assert_eq!(bridge.sees_deaf(), WorkerStatus::Deaf { cause });
        flow = server.asked("GET", "/worker/events/stream").flows();
        bridge.sees_running();
    }
}

#[test]
fn a_refusal_keeps_its_status_and_its_delay() {
    let server = Server::start();
    let mut bridge = start(server.address());
    server.welcomes().ends();
    bridge.sees_deaf();

    let refused = server.asked("GET", "/worker/events/stream");
    refused.answer_with(503, "retry-after: 0\r\n", "busy");

    let busy = WorkerStatus::Deaf {
        cause: Outcome::Http {
            status: 503,
            retry_after: Some(Duration::ZERO),
        },
    };
    assert_eq!(bridge.sees_deaf(), busy);
    let _flow = server.asked("GET", "/worker/events/stream").flows();
    bridge.sees_running();
}

#[test]
fn bytes_that_make_no_event_are_a_sign_of_life_and_silence_is_none() {
    let server = Server::start();
    let mut config = config();
    config.liveness.stream_silence = Duration::from_millis(500);
    let mut bridge = start_with(config, server.address());
    let mut flow = server.welcomes();
    bridge.sees_running();

    for _ in 0..15 {
        // The pace is what this test is about.
        thread::sleep(Duration::from_millis(50));
        assert!(flow.sends(":"), "the worker listens");
    }
    assert_eq!(bridge.session.status(), WorkerStatus::Running);

    flow.sees_end();
    let silent = WorkerStatus::Deaf {
        cause: Outcome::Network(NetworkFailure::TimedOut),
    };
    assert_eq!(bridge.sees_deaf(), silent);
    server
        .asked("GET", "/worker/events/stream")
        .flows()
        .says_message(1);
    bridge.sees_inbound();
}

#[test]
fn an_attempt_that_gets_no_answer_is_broken_off() {
    let server = Server::start();
    let mut config = config();
    config.patience.http = Duration::from_millis(100);
    config.liveness.stream_silence = Duration::from_millis(100);
    let mut bridge = start_with(config, server.address());
    server.welcomes().ends();
    bridge.sees_deaf();

    for _ in 0..5 {
        server.asked("GET", "/worker/events/stream").sees_end();
    }

    let _flow = server.asked("GET", "/worker/events/stream").flows();
    bridge.sees_running();
}

#[test]
fn an_event_arrives_however_it_is_cut_and_however_large_it_is() {
    let server = Server::start();
    let mut bridge = start(server.address());
    let mut flow = server.welcomes();
    let small = "event: client_event\r\nid: 1\r\ndata: {\"event_id\":\"e1\",\"payload\":{\"type\":\"user\"}}\r\n\r\n";
    for byte in small.chars() {
        assert!(flow.sends(&byte.to_string()));
    }
    assert_eq!(bridge.sees_inbound().event_id.as_str(), "e1");

    let padding = "x".repeat(5 * 1024 * 1024);
    let large = format!(r#"{{"type":"user","uuid":"u","padding":"{padding}"}}"#);
    flow.says(2, &large);
    assert_eq!(bridge.sees_inbound().frame.as_str(), large);
}
