//! A person's end.

use attache_async_std::{CommandError, Ended, Events, Session, StaticToken};
use attache_protocol::{
    policy::CloseCause,
    viewer::{Content, Event, SendState, Status, Transport, ViewerConfig},
};

use crate::{
    runtime::{Runtime, Task, under_both, within},
    stage::Stage,
};

under_both!(
    a_person_and_an_agent_talk_until_one_closes,
    a_stream_of_events_does_as_well,
    dropping_the_driver_ends_everything_at_once,
    a_driver_that_is_never_polled_opens_nothing,
    a_session_that_nobody_holds_is_closed,
    an_application_that_takes_no_events_loses_none,
    a_wrong_token_closes_the_session,
    another_process_goes_on_from_the_cursor,
);

/// A session under test.
struct Attached {
    session: Session,
    events: Events,
    driver: Task<CloseCause>,
}

fn attach(runtime: Runtime, stage: &Stage, config: ViewerConfig) -> Attached {
    let (session, events, driver) =
        attache_async_std::connect(config, stage.options(), Stage::token()).unwrap();
    Attached {
        session,
        events,
        driver: runtime.spawn(driver),
    }
}

impl Attached {
    /// The next event that `wanted` makes something of; others are passed over.
    async fn sees<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.next().await.expect("the session goes on");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        })
        .await
    }

    async fn sees_status(&mut self, wanted: Status) {
        self.sees(|event| matches!(event, Event::Status(status) if status == wanted).then_some(()))
            .await;
    }

    /// The uuid of the next message.
    async fn sees_message(&mut self) -> String {
        self.sees(|event| match event {
            Event::Message(message) => message.frame.uuid().map(ToString::to_string),
            _ => None,
        })
        .await
    }
}

async fn a_person_and_an_agent_talk_until_one_closes(runtime: Runtime) {
    talk(runtime, Transport::WebSocket).await;
}

async fn a_stream_of_events_does_as_well(runtime: Runtime) {
    talk(runtime, Transport::Sse).await;
}

async fn talk(runtime: Runtime, transport: Transport) {
    let stage = Stage::open();
    let (id, mut agent) = stage.session();
    stage.says(&agent, "before");
    let mut config = ViewerConfig::new(id);
    config.transport = transport;
    let mut attached = attach(runtime, &stage, config);

    assert_eq!(attached.sees_message().await, "before");
    attached.sees_status(Status::Live).await;
    let sent = within(attached.session.send(Content::text("hello"))).await;
    let sent = sent.unwrap();
    let heard = stage.now(agent.recv()).unwrap().unwrap();
    assert_eq!(heard.uuid().unwrap(), sent.as_str());
    attached
        .sees(|event| match event {
            Event::Send { id, state } if id == sent => (state == SendState::Accepted).then_some(()),
            _ => None,
        })
        .await;
    let asked = within(attached.session.interrupt()).await.unwrap();
    let heard = stage.now(agent.recv()).unwrap().unwrap();
    assert!(heard.as_str().contains(asked.as_str()));
    stage.says(&agent, "after");
    while attached.sees_message().await != "after" {}

    let cause = within(attached.session.close()).await;
    assert_eq!(cause, Ok(CloseCause::Requested));
    assert_eq!(attached.driver.done().await, CloseCause::Requested);
    while within(attached.events.next()).await.is_some() {}
    let late = within(attached.session.send(Content::text("late"))).await;
    assert!(matches!(late, Err(CommandError::Ended)));
}

async fn dropping_the_driver_ends_everything_at_once(runtime: Runtime) {
    let stage = Stage::open();
    let (id, agent) = stage.session();
    let mut attached = attach(runtime, &stage, ViewerConfig::new(id));
    attached.sees_status(Status::Live).await;

    attached.driver.abort().await;

    while within(attached.events.next()).await.is_some() {}
    let refused = within(attached.session.interrupt()).await;
    assert_eq!(refused, Err(CommandError::Ended));
    assert_eq!(within(attached.session.close()).await, Err(Ended));
    stage.says(&agent, "to nobody");
}

async fn a_driver_that_is_never_polled_opens_nothing(_runtime: Runtime) {
    let stage = Stage::open();
    let (id, _agent) = stage.session();
    let config = ViewerConfig::new(id);
    let (session, mut events, driver) =
        attache_async_std::connect(config, stage.options(), Stage::token()).unwrap();
    assert_eq!(session.status(), Status::Idle);

    drop(driver);

    assert!(within(events.next()).await.is_none());
}

async fn a_session_that_nobody_holds_is_closed(runtime: Runtime) {
    let stage = Stage::open();
    let (id, agent) = stage.session();
    let mut attached = attach(runtime, &stage, ViewerConfig::new(id));
    attached.sees_status(Status::Live).await;

    drop(attached.session.clone());
    stage.says(&agent, "still watched");
    attached.sees_message().await;
    drop((attached.session, attached.events));

    assert_eq!(attached.driver.done().await, CloseCause::Requested);
}

async fn an_application_that_takes_no_events_loses_none(runtime: Runtime) {
    let stage = Stage::open();
    let (id, mut agent) = stage.session();
    let mut config = ViewerConfig::new(id);
    config.limits.events = 10;
    let mut attached = attach(runtime, &stage, config);
    attached.sees_status(Status::Live).await;
    // Far more than the queues hold.
    for number in 0..500 {
        stage.says(&agent, &number.to_string());
    }

    // Commands go through meanwhile.
    within(attached.session.send(Content::text("hello")))
        .await
        .unwrap();
    stage.now(agent.recv()).unwrap().unwrap();

    let mut expected = 0;
    while expected < 500 {
        let message = attached.sees_message().await;
        if let Ok(number) = message.parse::<u32>() {
            assert_eq!(number, expected);
            expected += 1;
        }
    }
}

async fn a_wrong_token_closes_the_session(runtime: Runtime) {
    let stage = Stage::open();
    let (id, _agent) = stage.session();
    let wrong = StaticToken::new("wrong");
    let (_session, mut events, driver) =
        attache_async_std::connect(ViewerConfig::new(id), stage.options(), wrong).unwrap();

    let cause = runtime.spawn(driver).done().await;

    assert_eq!(cause, CloseCause::Unauthorized);
    while within(events.next()).await.is_some() {}
}

async fn another_process_goes_on_from_the_cursor(runtime: Runtime) {
    let stage = Stage::open();
    let (id, agent) = stage.session();
    stage.says(&agent, "taken");
    let mut first = attach(runtime, &stage, ViewerConfig::new(id.clone()));
    assert_eq!(first.sees_message().await, "taken");
    first.sees_status(Status::Live).await;
    let cursor = first.events.cursor();
    assert!(cursor.is_some());
    first.driver.abort().await;
    stage.says(&agent, "missed");

    let mut config = ViewerConfig::new(id);
    config.resume_from = cursor;
    let mut second = attach(runtime, &stage, config);

    assert_eq!(second.sees_message().await, "missed");
}
