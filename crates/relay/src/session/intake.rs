//! What happens to a frame: whether it is stored, and who gets it.

use core::mem;
use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

use attache_protocol::frame::FrameKind;

use super::{
    Published, ViewerId,
    actor::{Session, Viewer},
    admission::{Admission, Batch},
    notices,
};
use crate::{
    Identity, RelayError,
    line::Line,
    outgoing::{Item, Run},
    store::{Appended, NewFrame, Origin, SessionChange, SessionStatus, StoreError},
};

/// What viewers have not been handed yet.
#[derive(Default)]
pub(super) struct Untold {
    items: Vec<Item>,
    /// For each of them.
    audiences: Vec<Audience>,
}

/// Who gets an item.
#[derive(Copy, Clone, PartialEq, Eq)]
struct Audience {
    /// Whether it concerns all viewers, or only those who follow the log.
    concerned: bool,
    /// Who knows it already.
    sender: Option<ViewerId>,
}

impl Audience {
    const EVERYBODY: Self = Self {
        concerned: true,
        sender: None,
    };

    fn includes(self, viewer: &Viewer, item: &Item) -> bool {
        let wanted = self.concerned && Some(viewer.id) != self.sender;
        wanted || (item.is_stored() && viewer.outgoing.follows_log())
    }
}

/// Who says something.
#[derive(Copy, Clone)]
pub(super) enum Speaker<'a> {
    Agent,
    Viewer {
        by: &'a Identity,
        /// The socket it came on.
        socket: Option<ViewerId>,
    },
}

impl Speaker<'_> {
    fn origin(self) -> Origin {
        match self {
            Self::Agent => Origin::Agent,
            Self::Viewer { .. } => Origin::Viewer,
        }
    }

    fn socket(self) -> Option<ViewerId> {
        match self {
            Self::Agent => None,
            Self::Viewer { socket, .. } => socket,
        }
    }
}

impl Session {
    /// Stores what is to be stored, then hands everything to the viewers (but not the one that says
    /// it) and the agent.
    pub(super) async fn take_in(
        &mut self,
        speaker: Speaker<'_>,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        let mut batch = Batch::default();
        for line in lines {
            let admission = match speaker {
                _ if notices::is_the_relays(line.frame()) => Admission::Drop,
                Speaker::Agent => Admission::by_kind(&line),
                Speaker::Viewer { by, .. } => self.admission_of_viewer(&line, by, &batch).await?,
            };
            batch.0.push((line, admission));
        }
        let new_frames = batch.new_frames(speaker.origin());
        let at = SystemTime::now();
        let outcome = self.append(new_frames, at).await?;

        let mut outcome = outcome.into_iter();
        let mut result = Vec::with_capacity(batch.0.len());
        self.untold.items.reserve(batch.0.len());
        self.untold.audiences.reserve(batch.0.len());
        for (line, admission) in batch.0 {
            let published = self.hand_on(speaker, line, admission, &mut outcome, at);
            result.push(published);
        }
        self.deliver();
        if speaker.origin() == Origin::Viewer
            && let Some(mailbox) = self.seat.mailbox()
        {
            mailbox.arrived.notify_one();
        }
        self.save_status().await;
        Ok(result)
    }

    /// Gives everybody their part of a frame. `outcome` says what became of those that were to be
    /// stored, from this one on.
    fn hand_on(
        &mut self,
        speaker: Speaker<'_>,
        line: Line,
        admission: Admission,
        outcome: &mut impl Iterator<Item = Appended>,
        at: SystemTime,
    ) -> Published {
        let socket = speaker.socket();
        match admission {
            Admission::Store => match outcome.next() {
                Some(Appended::Stored(sequence)) => {
                    let uuid = line.uuid();
                    self.stored(speaker.origin(), line, sequence, at, socket);
                    Published::Stored(uuid)
                }
                Some(Appended::Duplicate) | None => Published::Duplicate(line.uuid()),
            },
            Admission::Settle(settlement) => {
                let uuid = line.uuid();
                if let Some(Appended::Stored(sequence)) = outcome.next() {
                    self.stored(Origin::Viewer, line, sequence, at, socket);
                }
                if let Some(Appended::Stored(sequence)) = outcome.next() {
                    self.stored(Origin::Relay, *settlement, sequence, at, None);
                }
                Published::Stored(uuid)
            }
            Admission::Live => match line.frame().uuid() {
                Some(uuid) if !self.live_uuids.insert(uuid) => Published::Duplicate(uuid.clone()),
                Some(_) | None => {
                    let item = Item::live_at(line, speaker.origin(), at);
                    self.fan_out(item, true, socket);
                    Published::Live
                }
            },
            Admission::Repeat(settlement) => {
                if let (Some(viewer), Some(settlement)) = (socket, settlement) {
                    self.tell(Some(viewer), settlement.frame().as_str());
                }
                Published::Duplicate(line.uuid())
            }
            Admission::Refuse(refused) => {
                self.metrics.refused("answer");
                if let Some(viewer) = socket {
                    self.tell(Some(viewer), &refused.to_frame());
                }
                Published::Refused(*refused)
            }
            Admission::Answer(text) => {
                self.tell(socket, &text);
                Published::Ignored
            }
            Admission::Drop => Published::Ignored,
        }
    }

    /// A frame is in the log now. `sender` knows it already.
    pub(super) fn stored(
        &mut self,
        origin: Origin,
        line: Line,
        sequence: u64,
        at: SystemTime,
        sender: Option<ViewerId>,
    ) {
        self.last_sequence = sequence;
        if let (Origin::Viewer, Some(uuid)) = (origin, line.frame().uuid()) {
            self.stored_for_worker(sequence, uuid);
            self.progress.add(sequence, line.frame());
        }
        self.weight.add(line.frame().as_str().len());
        self.conversation.observe(sequence, origin, &line);
        let concerned = origin != Origin::Viewer || concerns_viewers(&line);
        let item = Item::stored(line, sequence, origin, at);
        self.fan_out(item, concerned, sender);
    }

    pub(super) async fn append(
        &self,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> Result<Vec<Appended>, StoreError> {
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let for_agent: Vec<_> = frames
            .iter()
            .map(|frame| frame.origin == Origin::Viewer)
            .collect();
        let waiting = for_agent.iter().filter(|for_agent| **for_agent).count();
        // Counted first: the agent may read a frame as soon as it is in the store.
        self.backlog.fetch_add(waiting, Ordering::Relaxed);
        let sizes: Vec<_> = frames
            .iter()
            .map(|frame| (frame.origin, frame.text.len()))
            .collect();
        let start = Instant::now();
        let outcome = self.store.append(&self.id, frames, at).await;
        self.metrics.appended(start.elapsed());
        for (one, (origin, bytes)) in outcome.iter().flatten().zip(sizes) {
            if *one != Appended::Duplicate {
                self.metrics.stored(origin, bytes);
            }
        }
        let kept = outcome
            .iter()
            .flatten()
            .zip(for_agent)
            .filter(|(one, for_agent)| *for_agent && **one != Appended::Duplicate)
            .count();
        self.backlog
            .fetch_sub(waiting.saturating_sub(kept), Ordering::Relaxed);
        outcome
    }

    /// Has an item handed to every viewer that it concerns, with the next [`deliver`](Self::deliver).
    pub(super) fn fan_out(&mut self, item: Item, concerned: bool, sender: Option<ViewerId>) {
        self.untold.items.push(item);
        let audience = Audience { concerned, sender };
        self.untold.audiences.push(audience);
    }

    /// Hands out what came together, so that every viewer is woken once. Whoever follows the log gets all
    /// that is stored, so that nobody has to read it again for the sake of one number.
    pub(super) fn deliver(&mut self) {
        if self.untold.items.is_empty() {
            return;
        }
        let Untold { items, audiences } = mem::take(&mut self.untold);
        self.viewers.retain(|viewer| !viewer.is_gone());
        let for_everybody = audiences.iter().all(|one| *one == Audience::EVERYBODY);
        let everything = Run::from(items);
        let addressed = || everything.items().iter().zip(&audiences);
        for viewer in &self.viewers {
            let is_theirs = |(item, audience): &(&Item, &Audience)| audience.includes(viewer, item);
            let theirs = if for_everybody || addressed().all(|one| is_theirs(&one)) {
                everything.clone()
            } else {
                let theirs = addressed().filter(is_theirs);
                let theirs: Vec<_> = theirs.map(|(item, _)| item.clone()).collect();
                Run::from(theirs)
            };
            viewer.outgoing.push_all(theirs);
        }
    }

    /// The relay's own words to one viewer, or to all, behind what was said before.
    pub(super) fn tell(&mut self, viewer: Option<ViewerId>, text: &str) {
        let Ok(line) = Line::known(text) else { return };
        self.deliver();
        let item = Item::live(line, Origin::Relay);
        for one in &self.viewers {
            if viewer.is_none_or(|viewer| viewer == one.id) {
                one.outgoing.push(&item);
            }
        }
    }

    /// The stored status is for lists only; a session that starts derives its own. So trouble here
    /// can wait.
    pub(super) async fn save_status(&mut self) {
        let status = self.conversation.status();
        if status == self.status || self.status == SessionStatus::Archived {
            return;
        }
        self.status = status;
        let change = SessionChange::Status(status);
        if let Err(error) = self.store.update(&self.id, change, SystemTime::now()).await {
            tracing::warn!(session = %self.id, %error, "the session's status is not stored");
        }
    }
}

/// Whether the other viewers are to see what a viewer sent. What it asks of the agent is not for them:
/// they would take it for the agent's own question and answer it.
fn concerns_viewers(line: &Line) -> bool {
    match line.frame().kind() {
        FrameKind::Message { .. } | FrameKind::ControlResponse { .. } => true,
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::UnknownControl { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth => false,
    }
}
