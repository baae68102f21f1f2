//! One life of the agent: frames are carried both ways until it is gone.

use std::{
    cell::RefCell, convert::Infallible, future::pending, io, pin::pin, process::ExitStatus,
    time::Duration,
};

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind, message::System},
    worker::{AgentState, Delivery, EventId, WorkerCloseCause, WorkerStatus},
};
use attache_tokio::WorkerSession;
use tokio::{
    process::ChildStdout,
    select,
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    child::{Agent, GRACE, Input, Process, called},
    handshake::Handshake,
    inbox::Inbox,
    note,
    obituary::{Death, obituary},
    observer::{Observer, Turn},
    output::{Line, Output},
    unfinished::Unfinished,
};
use crate::signals::{Signal, Signals};

/// An agent that is gone has said everything when nothing came for so long, although something that it
/// has started holds its pipe open.
const QUIET: Duration = Duration::from_millis(500);
/// An agent that has been killed is gone within this.
const MARGIN: Duration = Duration::from_millis(250);

/// An agent that says nothing for so long after a turn begins no other one.
const LULL: Duration = Duration::from_secs(10);

/// Carries frames between one agent and its worker.
pub(super) struct Life {
    worker: WorkerSession,
    handshake: Handshake,
    observer: RefCell<Observer>,
    unfinished: RefCell<Unfinished<EventId>>,
    state: watch::Sender<AgentState>,
    /// How often the agent has said something.
    words: watch::Sender<u64>,
}

/// Why a life ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The agent has gone by itself.
    Gone,
    /// We were asked to stop, at this time.
    Asked(Signal, Instant),
    /// The worker is closed.
    Closed(WorkerCloseCause),
}

impl Life {
    pub(super) fn new(worker: WorkerSession, handshake: Handshake) -> Self {
        Self {
            worker,
            handshake,
            observer: RefCell::default(),
            unfinished: RefCell::new(Unfinished::new()),
            state: watch::Sender::new(AgentState::Idle),
            words: watch::Sender::new(0),
        }
    }

    /// Carries frames until the agent is gone, one way or another.
    pub(super) async fn live(
        &self,
        agent: Agent,
        inbox: &mut Inbox,
        signals: &mut Signals,
    ) -> (Ending, Death) {
        let Agent {
            mut process,
            mut input,
            mut output,
            complaints,
        } = agent;
        let leave = Notify::new();
        let mut gone = pin!(self.until_gone(&mut process, &mut output, &leave));
        let mut exit = None;
        let ending = select! {
            biased;
            signal = signals.next() => Ending::Asked(signal, Instant::now()),
            cause = closed(self.worker.clone()) => Ending::Closed(cause),
            result = &mut gone => {
                exit = Some(result);
                Ending::Gone
            }
            never = self.inward_or_leave(inbox, &mut input, &leave) => match never {},
            never = self.report() => match never {},
            never = self.handshake.limit() => match never {},
            never = self.lulls() => match never {},
        };
        drop(input);
        if exit.is_none() {
            leave.notify_one();
            // It is dead by then; only its last words may not have found a place.
            exit = timeout(GRACE + MARGIN, gone).await.ok();
        }
        let status = exit.and_then(Result::ok);
        let death = Death {
            how: match (&ending, status) {
                (Ending::Asked(..), _) => "was stopped".to_owned(),
                (_, Some(status)) => called(status),
                (_, None) => "is gone".to_owned(),
            },
            in_order: match &ending {
                Ending::Asked(..) => true,
                Ending::Gone | Ending::Closed(_) => status.is_some_and(|status| status.success()),
            },
            last_words: complaints.last_words().await,
        };
        (ending, death)
    }

    /// Tells the viewers of the agent's death.
    pub(super) async fn bury(&self, death: &Death) {
        let given = !self.unfinished.borrow().is_empty();
        let frames = obituary(&mut self.observer.borrow_mut(), given, death);
        for frame in frames {
            self.upload(frame).await;
        }
        let abandoned = self.unfinished.borrow_mut().abandoned();
        self.acknowledge(abandoned, Delivery::Processed).await;
        let _ = self.worker.report(AgentState::Idle).await;
    }

    /// Carries what the agent says until it is gone and everything is carried. Once told to, it makes
    /// the agent leave.
    async fn until_gone(
        &self,
        process: &mut Process,
        output: &mut Output<ChildStdout>,
        leave: &Notify,
    ) -> io::Result<ExitStatus> {
        let exited = watch::Sender::new(false);
        let mut outward = pin!(self.outward(output, exited.subscribe()));
        let exit = async {
            select! {
                status = process.exited() => return status,
                () = leave.notified() => {}
            }
            process.leave().await
        };
        let status = select! {
            status = exit => status,
            // It has nothing more to say, so it has nothing more to do.
            () = &mut outward => return process.leave().await,
        };
        exited.send_replace(true);
        outward.await;
        status
    }

    /// Uploads what the agent says. While there is no room, the agent is not read.
    async fn outward(&self, output: &mut Output<ChildStdout>, mut exited: watch::Receiver<bool>) {
        loop {
            let line = select! {
                biased;
                line = output.next() => line,
                () = silence(&mut exited) => return,
            };
            match line {
                Ok(Some(Line::Whole(line))) => self.line(line).await,
                Ok(Some(Line::TooLong(bytes))) => note(&format!(
                    "the agent wrote a line of {bytes} bytes; it is too long and was dropped"
                )),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn line(&self, line: Vec<u8>) {
        let bytes = line.len();
        let dropped = |why: &dyn std::fmt::Display| {
            note(&format!(
                "the agent wrote a line of {bytes} bytes that is no frame ({why}); it was dropped"
            ));
        };
        let Ok(text) = ByteString::try_from(line) else {
            return dropped(&"not UTF-8");
        };
        match Frame::classify(text.slice_ref(text.trim())) {
            Ok(frame) => self.said(&frame).await,
            Err(malformed) => dropped(&malformed.error),
        }
    }

    async fn said(&self, frame: &Frame) {
        if self.handshake.hear(frame) {
            return;
        }
        self.observe(|observer| observer.said(frame));
        self.upload(frame.text().clone()).await;
        if is_message(frame, "result") {
            let finished = self.unfinished.borrow_mut().turn_ended();
            self.acknowledge(finished, Delivery::Processed).await;
        } else if says_idle(frame) {
            self.rests().await;
        } else if self.observer.borrow().turn() == Turn::Running {
            self.unfinished.borrow_mut().turn_goes_on();
        }
        self.words
            .send_modify(|words| *words = words.wrapping_add(1));
    }

    /// The agent is at nothing after a turn.
    async fn rests(&self) {
        let finished = self.unfinished.borrow_mut().rests();
        self.acknowledge(finished, Delivery::Processed).await;
    }

    /// Notices when the agent rests without saying so.
    async fn lulls(&self) -> Infallible {
        let mut words = self.words.subscribe();
        while words.changed().await.is_ok() {
            while let Ok(Ok(())) = timeout(LULL, words.changed()).await {}
            self.rests().await;
        }
        pending().await
    }

    /// Hands the agent what comes for it. One that can't be told anything any more has to leave.
    async fn inward_or_leave(
        &self,
        inbox: &mut Inbox,
        input: &mut Input,
        leave: &Notify,
    ) -> Infallible {
        let Err(_) = self.inward(inbox, input).await;
        leave.notify_one();
        pending().await
    }

    /// Hands the agent what comes for it, each frame once. Ends when the agent can't be told.
    async fn inward(&self, inbox: &mut Inbox, input: &mut Input) -> Result<Infallible, io::Error> {
        input.write_text(&self.handshake.request()).await?;
        loop {
            let inbound = inbox.first().await.clone();
            let introduction = self.handshake.done().await;
            let (frame, event) = (&inbound.frame, inbound.event_id);
            let progress = match frame.kind() {
                FrameKind::ControlRequest {
                    request_id,
                    subtype,
                } if &**subtype == "initialize" => {
                    // An agent is introduced once.
                    let answer = self
                        .observer
                        .borrow()
                        .introduction(request_id, introduction.as_ref());
                    inbox.taken();
                    self.upload(answer).await;
                    Delivery::Processed
                }
                _ => {
                    input.write(frame).await?;
                    // Nothing may come between: from here on it counts as told.
                    inbox.taken();
                    self.observe(|observer| observer.told(frame));
                    if is_message(frame, "user") {
                        self.unfinished.borrow_mut().written(event.clone());
                        Delivery::Processing
                    } else {
                        Delivery::Processed
                    }
                }
            };
            self.acknowledge([event], progress).await;
        }
    }

    /// Tells the server what the agent is at, whenever that changes.
    async fn report(&self) -> Infallible {
        let mut state = self.state.subscribe();
        while state.changed().await.is_ok() {
            let state = state.borrow_and_update().clone();
            if self.worker.report(state).await.is_err() {
                break;
            }
        }
        pending().await
    }

    fn observe(&self, what: impl FnOnce(&mut Observer)) {
        let mut observer = self.observer.borrow_mut();
        what(&mut observer);
        let now = observer.state();
        self.state.send_if_modified(|state| {
            let changed = *state != now;
            *state = now;
            changed
        });
    }

    async fn upload(&self, text: ByteString) {
        // It is a frame, so the only refusal is that the worker is closing: nobody will read it.
        let _ = self.worker.upload(text).await;
    }

    async fn acknowledge(&self, events: impl IntoIterator<Item = EventId>, delivery: Delivery) {
        for event in events {
            let _ = self.worker.acknowledge(event, delivery).await;
        }
    }
}

/// Waits until `worker` is closed. Cancel safe.
pub(super) async fn closed(mut worker: WorkerSession) -> WorkerCloseCause {
    loop {
        if let WorkerStatus::Closed(cause) = worker.status() {
            return cause;
        }
        if worker.status_changed().await.is_err() {
            return match worker.status() {
                WorkerStatus::Closed(cause) => cause,
                _ => pending().await,
            };
        }
    }
}

/// Waits until the agent is gone and then for a while.
async fn silence(exited: &mut watch::Receiver<bool>) {
    if exited.wait_for(|exited| *exited).await.is_err() {
        pending::<()>().await;
    }
    sleep(QUIET).await;
}

/// Some agents say themselves that they are at nothing.
fn says_idle(frame: &Frame) -> bool {
    matches!(frame.as_system(), Some(System::SessionStateChanged(changed)) if &*changed.state == "idle")
}

fn is_message(frame: &Frame, name: &str) -> bool {
    matches!(frame.kind(), FrameKind::Message { type_name } if &**type_name == name)
}
