//! The two ends of a session on threads. Both return everything that they can show.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use attache_blocking::{Events, Session, WorkerEvents, WorkerSession};
use attache_protocol::{
    SessionId,
    frame::FrameKind,
    viewer::{Content, Decision, Event, Status},
    worker::{AgentState, WorkerEvent},
};

use crate::{WORDS, said};

/// An agent that says two things when it is spoken to, and hears the answer.
pub(crate) fn work(
    session: WorkerSession,
    events: WorkerEvents,
) -> (SessionId, JoinHandle<String>) {
    let (tell, told) = mpsc::channel();
    let work = thread::spawn(move || {
        let mut shown = vec![format!("{session:?} {events:?}")];
        for event in events {
            shown.push(format!("{event:?}\n"));
            match event {
                WorkerEvent::Registered(id) => tell.send(id).unwrap(),
                WorkerEvent::Inbound(inbound) => match inbound.frame.kind() {
                    FrameKind::Message { .. } => {
                        session.report(AgentState::Running).unwrap();
                        for text in said() {
                            session.upload(text.into()).unwrap();
                        }
                        let refused = session.upload(WORDS.into()).unwrap_err();
                        shown.push(format!("{refused:?} {refused}\n"));
                    }
                    FrameKind::ControlResponse { .. } => {
                        session.close().unwrap();
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        shown.concat()
    });
    (told.recv().unwrap(), work)
}

/// A person who leaves when it does not work.
pub(crate) fn look_on(session: &Session, events: Events) -> String {
    let mut shown = vec![format!("{session:?} {events:?}")];
    for event in events {
        shown.push(format!("{event:?}\n"));
        if matches!(event, Event::Status(Status::Waiting { .. })) {
            let _ = session.close();
        }
    }
    shown.push(format!("{:?}", session.send(Content::text(WORDS))));
    shown.concat()
}

/// A person who speaks, denies, and leaves.
pub(crate) fn view(session: &Session, events: Events) -> String {
    let mut shown = vec![format!("{session:?} {events:?}")];
    session.send(Content::text(WORDS)).unwrap();
    for event in events {
        shown.push(format!("{event:?}\n"));
        match event {
            Event::PermissionRequested(prompt) => {
                let decision = Decision::deny(WORDS);
                shown.push(format!("{decision:?} {prompt:?}\n"));
                let id = prompt.request_id().clone();
                session.decide(id.clone(), decision.clone()).unwrap();
                let again = session.decide(id, decision).unwrap_err();
                shown.push(format!("{again:?} {again}\n"));
            }
            Event::PermissionSettled { .. } => {
                let _ = session.close();
            }
            _ => {}
        }
    }
    let late = session.send(Content::text(WORDS)).unwrap_err();
    shown.push(format!("{late:?} {late}"));
    shown.concat()
}
