//! The two ends of a session as futures. Both return everything that they can show.

use attache_driver::asynchronous::{Events, Session, WorkerSession};
use attache_protocol::{
    SessionId,
    frame::{FrameKind, RawJson, control::Fields},
    viewer::{Allow, Content, Decision, Event, Status},
    worker::{AgentState, Worker, WorkerEvent},
};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{WORDS, said};

/// An agent that says two things when it is spoken to, and hears the answer.
pub(crate) async fn work(
    session: WorkerSession,
    mut events: Events<Worker>,
) -> (SessionId, JoinHandle<String>) {
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let work = tokio::spawn(async move {
        let mut shown = vec![format!("{session:?} {events:?}")];
        while let Some(event) = events.next().await {
            shown.push(format!("{event:?}\n"));
            match event {
                WorkerEvent::Registered(id) => drop(tell.take().map(|tell| tell.send(id))),
                WorkerEvent::Inbound(inbound) => match inbound.frame.kind() {
                    FrameKind::Message { .. } => {
                        session.report(AgentState::Running).await.unwrap();
                        for text in said() {
                            session.upload(text.into()).await.unwrap();
                        }
                        let refused = session.upload(WORDS.into()).await.unwrap_err();
                        shown.push(format!("{refused:?} {refused}\n"));
                    }
                    FrameKind::ControlResponse { .. } => {
                        session.close().await.unwrap();
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        shown.concat()
    });
    (told.await.unwrap(), work)
}

/// A person who leaves when it does not work.
pub(crate) async fn look_on(session: Session, mut events: Events) -> String {
    let mut shown = vec![format!("{session:?} {events:?}")];
    while let Some(event) = events.next().await {
        shown.push(format!("{event:?}\n"));
        if matches!(event, Event::Status(Status::Waiting { .. })) {
            let _ = session.close().await;
        }
    }
    shown.push(format!("{:?}", session.send(Content::text(WORDS)).await));
    shown.concat()
}

/// A person who speaks, allows, and leaves.
pub(crate) async fn view(session: Session, mut events: Events) -> String {
    let mut shown = vec![format!("{session:?} {events:?}")];
    session.send(Content::text(WORDS)).await.unwrap();
    while let Some(event) = events.next().await {
        shown.push(format!("{event:?}\n"));
        match event {
            Event::PermissionRequested(prompt) => {
                let input = RawJson::parse(format!(r#"{{"command":"{WORDS}!"}}"#)).unwrap();
                let decision = Decision::Allow(Allow {
                    updated_input: Some(input),
                    ..Allow::default()
                });
                shown.push(format!("{decision:?} {prompt:?}\n"));
                let id = prompt.request_id().clone();
                session.decide(id.clone(), decision.clone()).await.unwrap();
                let again = session.decide(id, decision).await.unwrap_err();
                shown.push(format!("{again:?} {again}\n"));
            }
            Event::PermissionSettled { .. } => {
                // The worker archives the session, or this end closes first.
                let fields = Fields::parse(format!(r#"{{"model":"{WORDS}"}}"#)).unwrap();
                shown.push(format!("{fields:?}"));
                let _ = session.request("set_model".to_owned(), fields).await;
                let _ = session.close().await;
            }
            _ => {}
        }
    }
    let late = session.send(Content::text(WORDS)).await.unwrap_err();
    shown.push(format!("{late:?} {late}"));
    shown.concat()
}
