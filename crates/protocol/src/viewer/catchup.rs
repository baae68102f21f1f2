//! Catching up: the stored log first, then what arrived meanwhile. The log comes in pages of a list, or
//! over the stream itself.

mod following;
mod held;
mod page;
mod paging;
mod position;
mod run;
mod sequence;
mod tail;

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;

use held::HeldFrames;
use position::{GoOn, Position};
use run::{Filled, Goal, Page, Pass, Run};
use sequence::Sequence;
use tail::Tail;

#[cfg(test)]
pub(super) use following::QUESTIONS;
pub(super) use following::{Arrived, Begin, Extent, read_last_event};
pub(super) use held::{Held, HeldFrom};
pub(super) use tail::Kept;

use super::{Cursor, GapCause, History, Limits, Source, phase::Subscription};
use crate::{
    frame::Frame,
    io::{HttpRequestId, Token},
    kept_id::KeptId,
};

/// The position in the log, and what is needed to get on from there.
#[derive(Clone, Debug)]
pub(super) struct CatchUp {
    position: Position,
    sequence: Sequence,
    opened: Opened,
    listed: Listed,
    run: Option<Box<Run>>,
    held: HeldFrames,
}

/// Whether a line has been open before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Opened {
    Never,
    Before,
}

/// Whether the server has ever answered the list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Listed {
    Never,
    Once,
}

/// What opening a link asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// There is something to load.
    Running,
    /// There is nothing to load.
    Nothing,
    /// Something may be missing and there is no position to load it from.
    NoPosition,
}

/// A page to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// The next one.
    Entries {
        /// The id it starts after; none for the beginning of the log.
        after: Option<ByteString>,
        /// How many entries to ask for.
        entries: usize,
    },
    /// The one that holds the last event.
    LastEvent,
}

/// What a page brought.
#[derive(Debug)]
pub(super) enum PageOutcome {
    /// The next frames of the log.
    Frames(Vec<ByteString>),
    /// Ask again after the delay.
    Again(Duration),
    /// Ask again with another token.
    NeedsToken,
    /// A hole after this frame.
    Gap(Option<ByteString>, GapCause),
}

impl CatchUp {
    pub(super) fn new() -> Self {
        Self {
            position: Position::default(),
            sequence: Sequence::default(),
            opened: Opened::Never,
            listed: Listed::Never,
            run: None,
            held: HeldFrames::default(),
        }
    }

    /// A socket opened.
    pub(super) fn open(&mut self, history: History, limits: &Limits) -> Start {
        if self.run.is_some() {
            return Start::Running;
        }
        let first = self.opened == Opened::Never;
        self.opened = Opened::Before;
        let (source, after, tail) = match (first, history, self.position.go_on()) {
            (true, History::None, _) => return Start::Nothing,
            (true, History::All, _) => (Source::History, None, None),
            (true, History::Latest(limit), _) => {
                let tail = Tail::new(limit, limits.event_bytes);
                (Source::History, None, Some(tail))
            }
            (false, _, GoOn::Nowhere) => return Start::NoPosition,
            (false, _, GoOn::After(after)) => (Source::Backfill, after, None),
        };
        let run = Run::new(source, Goal::LastPage, after, tail, limits);
        self.run = Some(Box::new(run));
        Start::Running
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// The source of the frames this run loads.
    pub(super) fn source(&self) -> Source {
        self.run.as_ref().map_or(Source::Backfill, |run| run.source)
    }

    /// Whether a page may be asked for now with `token`.
    pub(super) fn wants_page(&self, token: &Token) -> bool {
        match self.run.as_ref().map(|run| &run.page) {
            Some(Page::Wanted) => self.refused_token() != Some(token),
            Some(Page::InFlight { .. } | Page::Pausing | Page::Done) | None => false,
        }
    }

    /// Which page is next, if one may be asked for now with `token`.
    pub(super) fn next_page(&self, token: &Token) -> Option<NextPage> {
        let run = self.run.as_ref().filter(|_| self.wants_page(token))?;
        Some(match run.goal {
            Goal::LastPage => NextPage::Entries {
                after: run.after.clone(),
                entries: run.entries,
            },
            Goal::LastEvent | Goal::Number(_) | Goal::Quiet => NextPage::LastEvent,
        })
    }

    /// A page is on its way as call `id`.
    pub(super) fn page_sent(&mut self, id: HttpRequestId, token: Token) {
        if let Some(run) = &mut self.run {
            run.page = Page::InFlight { id, token };
        }
    }

    /// The call a page is on its way with.
    pub(super) fn in_flight(&self) -> Option<HttpRequestId> {
        match &self.run.as_ref()?.page {
            Page::InFlight { id, .. } => Some(*id),
            Page::Wanted | Page::Pausing | Page::Done => None,
        }
    }

    /// The token that the next page may not be asked for with, when it could be asked for now.
    pub(super) fn wants_other_than(&self) -> Option<&Token> {
        match &self.run.as_ref()?.page {
            Page::Wanted => self.refused_token(),
            Page::InFlight { .. } | Page::Pausing | Page::Done => None,
        }
    }

    /// The token that was refused for the next page, on this link.
    pub(super) fn refused_token(&self) -> Option<&Token> {
        self.run.as_ref()?.refused_with.as_ref()
    }

    /// The pause before the next try is over.
    pub(super) fn resume(&mut self) {
        if let Some(run) = &mut self.run
            && matches!(run.page, Page::Pausing)
        {
            run.page = Page::Wanted;
        }
    }

    /// Gives the rest of the run up.
    pub(super) fn give_up(&mut self, cause: GapCause) -> PageOutcome {
        let outcome = self.tell(cause);
        if let Some(run) = &mut self.run {
            run.page = Page::Done;
            run.pass = Pass::Delivering;
        }
        outcome
    }

    /// Whether everything there is has been loaded.
    pub(super) fn is_done(&self) -> bool {
        let Some(run) = &self.run else { return false };
        match run.goal {
            Goal::LastPage => matches!(run.page, Page::Done),
            Goal::Number(last) => {
                run.pass == Pass::Delivering
                    && (matches!(run.page, Page::Done) || self.sequence.reached() >= Some(last))
            }
            Goal::LastEvent | Goal::Quiet => {
                run.pass == Pass::Delivering && matches!(run.page, Page::Done)
            }
        }
    }

    /// The last frame delivered before whatever comes next.
    pub(super) fn edge(&self) -> Option<ByteString> {
        if let Some(after) = self.run.as_ref().and_then(|run| run.after.clone()) {
            return Some(after);
        }
        let last = self.sequence.last_id().or(self.position.last());
        last.map(KeptId::text)
    }

    /// Keeps a message of a history that is shown in part; gives it back when it is to be shown now.
    pub(super) fn keep_for_tail(&mut self, frame: Frame) -> Option<Frame> {
        let cursor = self.cursor_at(&frame);
        match self.run.as_mut().and_then(|run| run.tail.as_mut()) {
            Some(tail) => {
                tail.push(frame, cursor);
                None
            }
            None => Some(frame),
        }
    }

    /// Keeps a hole in a history that is shown in part, in its place; gives it back when it is to be told now.
    pub(super) fn keep_hole_for_tail(
        &mut self,
        after: Option<ByteString>,
        cause: GapCause,
    ) -> Option<(Option<ByteString>, GapCause)> {
        match self.run.as_mut().and_then(|run| run.tail.as_mut()) {
            Some(tail) => {
                tail.push_hole(after, cause);
                None
            }
            None => Some((after, cause)),
        }
    }

    /// Whether messages of the log are kept instead of shown.
    pub(super) fn keeps_tail(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.tail.is_some())
    }

    /// Keeps a frame that arrived while the run is on. A stream is not kept waiting for what it does not
    /// store: what is beyond the bound comes back.
    pub(super) fn hold(&mut self, frame: Frame, limits: &Limits) -> Option<Frame> {
        if self.follows() && self.held.is_full(limits, 1) {
            return Some(frame);
        }
        self.held.push(frame);
        None
    }

    /// Whether one more frame may arrive. What is held over a drop does not keep the pong waiting for which the
    /// next page waits: until it is there, there is room for as much again.
    pub(super) fn has_room(&self, limits: &Limits, subscription: Subscription) -> bool {
        let times = match subscription {
            Subscription::AwaitsPong(_) => 2,
            Subscription::Made => 1,
        };
        self.run.is_none() || self.follows() || !self.held.is_full(limits, times)
    }

    /// The log contains `frame`.
    pub(super) fn loaded(&mut self, frame: &Frame) {
        self.held.drop_copy_of(frame);
    }

    /// A frame was delivered live. Whether that is a place in the log.
    pub(super) fn delivered(&mut self, frame: &Frame, id: &KeptId) -> bool {
        self.position.delivered(frame, id)
    }

    /// The link is gone. Returns the call that is no longer wanted.
    pub(super) fn link_lost(&mut self) -> Option<HttpRequestId> {
        self.held.link_lost();
        let call = self.in_flight();
        self.renew();
        call
    }

    /// A new link is there: a page that was under way or waiting is asked for again.
    fn renew(&mut self) {
        if let Some(run) = &mut self.run
            && !matches!(run.page, Page::Done)
        {
            run.page = Page::Wanted;
            run.refused_with = None;
        }
    }

    /// Ends the run: the messages of the history's end, what was held, and whether there is a hole.
    pub(super) fn finish(&mut self) -> Option<Finished> {
        let run = *self.run.take()?;
        let cursor = match run.goal {
            Goal::LastPage => run.after.as_ref().map(|id| Cursor::Event(id.into())),
            Goal::LastEvent | Goal::Number(_) | Goal::Quiet => {
                self.sequence.reached().map(Cursor::Sequence)
            }
        };
        if run.goal == Goal::LastPage && (run.after.is_some() || run.filled == Filled::Completely) {
            self.position.listed(run.after.as_ref());
        }
        Some(Finished {
            tail: run.tail.map(Tail::into_kept).unwrap_or_default(),
            cursor,
            held: self.held.take(),
            source: run.source,
            is_complete: run.filled == Filled::Completely,
        })
    }

    /// Whether a frame of the log is to be delivered; `is_known` tells whether it has been before.
    pub(super) fn admits(&mut self, is_known: bool) -> bool {
        let Some(run) = &mut self.run else {
            return true;
        };
        match run.pass {
            Pass::Delivering => true,
            Pass::Looking => {
                if is_known {
                    run.pass = Pass::Delivering;
                }
                false
            }
        }
    }

    /// A hole is told where it is, once: not again until something has been delivered behind it.
    fn tell(&mut self, cause: GapCause) -> PageOutcome {
        let edge = self.edge();
        let Some(run) = &mut self.run else {
            return PageOutcome::Frames(Vec::new());
        };
        let is_news = match run.filled {
            Filled::Completely => true,
            Filled::WithGap => run.pass == Pass::Delivering && run.told_after != edge,
        };
        if !is_news {
            return PageOutcome::Frames(Vec::new());
        }
        run.filled = Filled::WithGap;
        run.told_after.clone_from(&edge);
        PageOutcome::Gap(edge, cause)
    }
}

/// A run that is over.
pub(super) struct Finished {
    pub(super) tail: VecDeque<Kept>,
    /// How far the log has been read.
    pub(super) cursor: Option<Cursor>,
    pub(super) held: VecDeque<Held>,
    pub(super) source: Source,
    pub(super) is_complete: bool,
}

#[cfg(test)]
mod tests;
