//! Every state a worker can get into under a hostile driver, scene by scene.
//!
//! The application takes its events at once here; what a worker does when it does not is told elsewhere.

mod digest;
mod ledger;
mod model;
mod moves;
mod promises;
mod scene;

use super::calls::Call;
use crate::exhaustive::{search, search_of};
use model::Attended;
use moves::{Answer, Move};
use scene::{Pace, Scene, Session};

const MESSAGE: &str = "id: 1\nevent: client_event\ndata: {\"event_id\":\"e1\",\"sequence_num\":1,\"payload\":{\"type\":\"user\"}}\n\n";
const REQUEST: &str = "id: 2\nevent: client_event\ndata: {\"event_id\":\"e2\",\"sequence_num\":2,\"payload\":{\"type\":\"control_request\",\"request_id\":\"r1\",\"request\":{\"subtype\":\"set_model\"}}}\n\n";

const STARTING: Scene = Scene {
    pace: Pace::Uneven,
    session: Session::Created,
    events: &[":\n\n"],
    statuses: &[401, 404, 409, 410, 503, 400],
    uploads: 0,
    works: false,
};

const REBUILDING: Scene = Scene {
    session: Session::Joined,
    statuses: &[401, 410, 503],
    uploads: 1,
    ..STARTING
};

const WORKING: Scene = Scene {
    pace: Pace::Uneven,
    session: Session::Joined,
    events: &[MESSAGE, REQUEST],
    statuses: &[401, 409, 503, 400],
    uploads: 2,
    works: true,
};

const EVEN_STARTING: Scene = Scene {
    pace: Pace::Even,
    statuses: &[401, 409, 503],
    ..STARTING
};

/// The moves that lead to a running worker.
const RUNNING: [Move; 6] = [
    Move::Start,
    Move::Token("first"),
    Move::Answer(Call::Bridge, Answer::Granted("granted one", 1)),
    Move::Answer(Call::Read, Answer::Good),
    Move::Answer(Call::Report, Answer::Good),
    Move::Opened,
];

#[test]
fn every_promise_holds_during_a_start() {
    search("worker, starting", &Attended::new(&STARTING));
}

#[test]
fn every_promise_holds_in_every_state_of_an_even_start() {
    let start = Attended::new(&EVEN_STARTING);
    search_of(15_807, "worker, an even start", &start);
}

#[test]
fn every_promise_holds_while_credentials_are_renewed() {
    let running = Attended::after(&REBUILDING, &RUNNING);
    search("worker, rebuilding", &running);
}

#[test]
fn every_promise_holds_while_the_agent_works() {
    let running = Attended::after(&WORKING, &RUNNING);
    search("worker, working", &running);
}
