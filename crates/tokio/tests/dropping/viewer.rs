//! A viewer's futures.

use std::collections::BTreeMap;

use attache_protocol::{
    frame::control::Fields,
    policy::CloseCause,
    viewer::{Content, Decision, Event, SendState, Status, Transport},
};
use attache_testkit::conformance::{SessionServer, viewer_config};
use attache_tokio::{CommandError, Driver, Ended, Events, Session, StaticToken};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::polls::{at_most, options, until, within};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Sse];

/// More polls than any command needs.
const POLLS: usize = 6;

fn prepare(server: &SessionServer, transport: Transport) -> (Session, Events, Driver) {
    let config = viewer_config(server.session(), transport);
    attache_tokio::connect(config, options(server), StaticToken::new("t")).unwrap()
}

async fn live(
    server: &SessionServer,
    transport: Transport,
) -> (Session, Events, JoinHandle<CloseCause>) {
    let (session, mut events, driver) = prepare(server, transport);
    let driver = tokio::spawn(driver);
    while !matches!(next(&mut events).await, Event::Status(Status::Live)) {}
    (session, events, driver)
}

async fn next(events: &mut Events) -> Event {
    within(events.next()).await.expect("the session goes on")
}

/// Closes, and nothing is left. What was told last.
async fn end(
    server: &SessionServer,
    session: Session,
    mut events: Events,
    driver: JoinHandle<CloseCause>,
) -> Vec<Event> {
    within(session.close()).await.unwrap();
    within(driver).await.unwrap();
    let mut rest = Vec::new();
    while let Some(event) = within(events.next()).await {
        rest.push(event);
    }
    drop((session, events));
    until(|| server.connections() == 0).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    rest
}

fn uuid(event: &Event) -> Option<String> {
    let Event::Message(message) = event else {
        return None;
    };
    message.frame.uuid().map(ToString::to_string)
}

#[tokio::test]
async fn events_that_are_waited_for_in_vain_come_later() {
    for transport in BOTH {
        let server = SessionServer::start().unwrap();
        let (session, mut events, driver) = live(&server, transport).await;
        let mut heard = Vec::new();
        for round in 0..40 {
            server.say();
            let polls = round % 4;
            if let Some(event) = at_most(polls, events.next()).await {
                heard.extend(uuid(&event.unwrap()));
            }
        }
        while heard.len() < 40 {
            heard.extend(uuid(&next(&mut events).await));
        }
        assert_eq!(heard, server.messages());
        let rest = end(&server, session, events, driver).await;
        assert_eq!(rest.iter().find_map(uuid), None);
    }
}

#[tokio::test]
async fn a_message_whose_sender_left_is_sent_once_or_not_at_all() {
    for transport in BOTH {
        let server = SessionServer::start().unwrap();
        let (session, events, driver) = live(&server, transport).await;
        let mut sent = Vec::new();
        let mut abandoned = 0;
        for polls in (0..POLLS).cycle().take(5 * POLLS) {
            match at_most(polls, session.send(Content::text("hello"))).await {
                Some(id) => sent.push(id.unwrap().as_str().to_owned()),
                None => abandoned += 1,
            }
        }
        assert!(!sent.is_empty() && abandoned > 0);
        until(|| sent.iter().all(|id| server.messages().contains(id))).await;

        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for event in end(&server, session, events, driver).await {
            if let Event::Send {
                id,
                state: SendState::Accepted | SendState::Rejected(_),
            } = event
            {
                *ends.entry(id.as_str().to_owned()).or_default() += 1;
            }
        }
        assert!(sent.iter().all(|id| ends.contains_key(id)));
        assert!(ends.values().all(|count| *count == 1), "{ends:?}");
        assert!(ends.len() <= sent.len() + abandoned);
        let messages = server.messages();
        assert!(messages.iter().all(|message| ends.contains_key(message)));
    }
}

#[tokio::test]
async fn a_request_whose_asker_left_has_one_outcome_or_was_never_made() {
    let server = SessionServer::start().unwrap();
    let (session, events, driver) = live(&server, Transport::WebSocket).await;
    let mut asked = Vec::new();
    let mut abandoned = 0;
    for polls in (0..POLLS).cycle().take(2 * POLLS) {
        for is_interrupt in [true, false] {
            let answered = if is_interrupt {
                at_most(polls, session.interrupt()).await
            } else {
                at_most(polls, session.request("mcp_status", Fields::default())).await
            };
            match answered {
                Some(id) => asked.push(id.unwrap().as_str().to_owned()),
                None => abandoned += 1,
            }
        }
    }

    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for event in end(&server, session, events, driver).await {
        if let Event::Request { request_id, .. } = event {
            *outcomes.entry(request_id.as_str().to_owned()).or_default() += 1;
        }
    }
    assert!(asked.iter().all(|id| outcomes.contains_key(id)));
    assert!(outcomes.values().all(|count| *count == 1), "{outcomes:?}");
    assert!(outcomes.len() <= asked.len() + abandoned);
}

#[tokio::test]
async fn a_prompt_whose_answerer_left_is_answered_once() {
    for polls in 0..POLLS {
        let server = SessionServer::start().unwrap();
        let (session, mut events, driver) = live(&server, Transport::WebSocket).await;
        server.ask("r1");
        let request = loop {
            if let Event::PermissionRequested(prompt) = next(&mut events).await {
                break prompt.request_id().clone();
            }
        };

        let decide = || session.decide(request.clone(), Decision::allow());
        let _ = at_most(polls, decide()).await;
        let again = within(decide()).await;

        if polls == 0 {
            again.unwrap();
        }
        until(|| server.answers("r1") == 1).await;
        end(&server, session, events, driver).await;
        assert_eq!(server.answers("r1"), 1);
    }
}

#[tokio::test]
async fn a_session_closes_although_nobody_waits_for_it() {
    for transport in BOTH {
        for polls in 1..POLLS {
            let server = SessionServer::start().unwrap();
            let (session, events, driver) = live(&server, transport).await;
            let _ = at_most(polls, session.close()).await;
            assert_eq!(within(driver).await.unwrap(), CloseCause::Requested);
            drop((session, events));
            until(|| server.connections() == 0).await;
        }
    }
}

#[tokio::test]
async fn a_status_that_is_waited_for_in_vain_is_told_later() {
    let server = SessionServer::start().unwrap();
    let (mut session, mut events, driver) = live(&server, Transport::WebSocket).await;
    let mut reconnects = 0;
    for polls in 0..POLLS {
        let _ = at_most(polls.min(1), session.status_changed()).await;
        let reconnected = at_most(polls, session.reconnect()).await;
        reconnects += usize::from(reconnected.is_some_and(|reconnected| reconnected.is_ok()));
    }
    // The first that was polled at all was carried out, and then it was too soon for another one.
    assert!(reconnects <= 1);
    while !matches!(next(&mut events).await, Event::Status(Status::Live)) {}
    while session.status() != Status::Live {
        within(session.status_changed()).await.unwrap();
    }
    end(&server, session, events, driver).await;
}

#[tokio::test]
async fn a_driver_dropped_at_any_poll_leaves_nothing() {
    for transport in BOTH {
        let mut was_live = false;
        for polls in 0.. {
            let server = SessionServer::start().unwrap();
            server.say();
            let (session, mut events, driver) = prepare(&server, transport);
            let sending = tokio::spawn({
                let session = session.clone();
                async move { session.send(Content::text("hello")).await }
            });
            let done = within(at_most(polls, driver)).await;
            assert_eq!(done, None, "nobody closed it");

            until(|| server.connections() == 0).await;
            let refused = session.send(Content::text("hello")).await;
            assert_eq!(refused.unwrap_err(), CommandError::Ended);
            assert_eq!(session.close().await, Err(Ended));
            // Queued or refused: nobody waits for ever.
            let _ = within(sending).await;
            let mut heard = Vec::new();
            while let Some(event) = within(events.next()).await {
                was_live |= matches!(event, Event::Status(Status::Live));
                heard.extend(uuid(&event));
            }
            assert!(heard.len() <= 1, "{heard:?}");
            if was_live {
                break;
            }
        }
    }
}
