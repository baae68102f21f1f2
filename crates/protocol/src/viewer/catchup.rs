//! Loading what was missed: pages of the stored log first, then what arrived meanwhile.

mod held;
mod page;
mod position;
mod tail;

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;

use held::HeldFrames;
use page::{ReadPage, read_page};
use position::{GoOn, Position};
use tail::Tail;

pub(super) use held::{Held, HeldFrom};

use super::{GapCause, History, Limits, Source};
use crate::{
    frame::Frame,
    io::{HttpRequestId, HttpResponse, NetworkFailure, Token},
    policy::Profile,
    rng::Rng,
};

/// The position in the log, and what is needed to get on from there.
#[derive(Clone, Debug)]
pub(super) struct CatchUp {
    position: Position,
    opened: Opened,
    listed: Listed,
    run: Option<Run>,
    held: HeldFrames,
}

/// Whether a socket has been open before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Opened {
    Never,
    Before,
}

/// One catch-up; it survives a drop of the link and goes on where it was.
#[derive(Clone, Debug)]
struct Run {
    source: Source,
    after: Option<ByteString>,
    /// How many entries to ask for; fewer once a page was too large.
    entries: usize,
    pass: Pass,
    page: Page,
    tail: Option<Tail>,
    failures: u32,
    refused_with: Option<Token>,
    filled: Filled,
}

#[derive(Clone, Debug)]
enum Page {
    Wanted,
    InFlight {
        id: HttpRequestId,
        token: Token,
    },
    Pausing,
    NeedsToken {
        refused: Token,
    },
    /// Nothing is left to load.
    Done,
}

/// Whether this run has told of a hole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Filled {
    Completely,
    WithGap,
}

/// Whether the server has ever answered the list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Listed {
    Never,
    Once,
}

/// What is done with the frames of a page.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Pass {
    /// They come next.
    Delivering,
    /// The list was begun anew: what stands before the first known frame was delivered long ago.
    Looking,
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
pub(super) struct NextPage<'a> {
    /// The id it starts after; none for the beginning of the log.
    pub(super) after: Option<&'a ByteString>,
    /// How many entries to ask for.
    pub(super) entries: usize,
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
            opened: Opened::Never,
            listed: Listed::Never,
            run: None,
            held: HeldFrames::default(),
        }
    }

    /// A link opened.
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
        self.run = Some(Run {
            source,
            after,
            entries: limits.page.max(1),
            pass: Pass::Delivering,
            page: Page::Wanted,
            tail,
            failures: 0,
            refused_with: None,
            filled: Filled::Completely,
        });
        Start::Running
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// The source of the frames this run loads.
    pub(super) fn source(&self) -> Source {
        self.run.as_ref().map_or(Source::Backfill, |run| run.source)
    }

    /// Where the next page starts, if one may be asked for now with `token`.
    pub(super) fn next_page(&self, token: &Token) -> Option<NextPage<'_>> {
        let run = self.run.as_ref()?;
        match &run.page {
            Page::Wanted => {}
            Page::NeedsToken { refused } if refused != token => {}
            Page::InFlight { .. } | Page::Pausing | Page::NeedsToken { .. } | Page::Done => {
                return None;
            }
        }
        Some(NextPage {
            after: run.after.as_ref(),
            entries: run.entries,
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
            Page::Wanted | Page::Pausing | Page::NeedsToken { .. } | Page::Done => None,
        }
    }

    /// The token that was refused, when the next page waits for another one.
    pub(super) fn wants_other_than(&self) -> Option<&Token> {
        match &self.run.as_ref()?.page {
            Page::NeedsToken { refused } => Some(refused),
            Page::Wanted | Page::InFlight { .. } | Page::Pausing | Page::Done => None,
        }
    }

    /// The page in flight was answered, or not.
    pub(super) fn answered(
        &mut self,
        answer: Result<&HttpResponse, NetworkFailure>,
        profile: &Profile,
        limits: &Limits,
        rng: &mut Rng,
    ) -> Option<PageOutcome> {
        let run = self.run.as_mut()?;
        let Page::InFlight { token, .. } = core::mem::replace(&mut run.page, Page::Pausing) else {
            return None;
        };
        let status = answer.map(|response| response.status);
        if matches!(status, Ok(400 | 404))
            && let Some(after) = &run.after
            && let Some(anchor) = self.position.fall_back(after, limits.remembered)
        {
            run.after = Some(anchor.clone());
            run.page = Page::Wanted;
            return Some(PageOutcome::Frames(Vec::new()));
        }
        Some(match (status, answer) {
            (Ok(200..=299), Ok(response)) => match read_page(response) {
                Some(page) => self.take_page(page),
                None => self.give_up(GapCause::Unreadable),
            },
            (Ok(401 | 403), _) if run.refused_with.is_none() => {
                run.refused_with = Some(token.clone());
                run.page = Page::NeedsToken { refused: token };
                PageOutcome::NeedsToken
            }
            (Ok(404 | 405), _) => {
                let cause = match (self.listed, &run.after) {
                    (Listed::Once, Some(_)) => GapCause::NotRetained,
                    (Listed::Once, None) | (Listed::Never, _) => GapCause::NoHistory,
                };
                self.give_up(cause)
            }
            (Ok(410), _) if run.after.is_some() && run.filled == Filled::Completely => {
                let outcome = self.tell(GapCause::NotRetained);
                self.start_over(Pass::Looking);
                outcome
            }
            (Ok(410), _) => self.give_up(GapCause::NotRetained),
            (Err(NetworkFailure::TooLarge), _) if run.entries > 1 => {
                run.entries = (run.entries / 4).max(1);
                run.page = Page::Wanted;
                PageOutcome::Frames(Vec::new())
            }
            (Err(NetworkFailure::TooLarge), _) => self.give_up(GapCause::Unreadable),
            (Err(_) | Ok(408 | 425 | 429 | 500..=599), answer) => {
                run.failures = run.failures.saturating_add(1);
                let asked = answer
                    .ok()
                    .and_then(|response| response.retry_after)
                    .unwrap_or_default()
                    .min(profile.retry_after_cap);
                let delay = profile.drops.delays.draw(run.failures, rng);
                PageOutcome::Again(delay.max(asked))
            }
            (Ok(status), _) => self.give_up(GapCause::Refused { status }),
        })
    }

    /// The pause before the next try is over.
    pub(super) fn resume(&mut self) {
        if let Some(run) = &mut self.run
            && matches!(run.page, Page::Pausing)
        {
            run.page = Page::Wanted;
        }
    }

    /// Another token may come later: a page that waits for one pauses for the returned delay.
    pub(super) fn pause(&mut self, profile: &Profile, rng: &mut Rng) -> Option<Duration> {
        self.wants_other_than()?;
        let run = self.run.as_mut()?;
        run.page = Page::Pausing;
        run.failures = run.failures.saturating_add(1);
        Some(profile.drops.delays.draw(run.failures, rng))
    }

    /// Gives the rest of the run up. The hole is told once a run.
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
        matches!(&self.run, Some(run) if matches!(run.page, Page::Done))
    }

    /// The last frame delivered before whatever comes next.
    pub(super) fn edge(&self) -> Option<ByteString> {
        if let Some(after) = self.run.as_ref().and_then(|run| run.after.clone()) {
            return Some(after);
        }
        self.position.last().cloned()
    }

    /// Keeps a message of a history that is shown in part; gives it back when it is to be shown now.
    pub(super) fn keep_for_tail(&mut self, frame: Frame) -> Option<Frame> {
        match self.run.as_mut().and_then(|run| run.tail.as_mut()) {
            Some(tail) => {
                tail.push(frame);
                None
            }
            None => Some(frame),
        }
    }

    /// Keeps a frame that arrived while the run is on.
    pub(super) fn hold(&mut self, frame: Frame) {
        self.held.push(frame);
    }

    /// Whether no more can be held.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.held.is_full(limits)
    }

    /// The log contains `frame`.
    pub(super) fn loaded(&mut self, frame: &Frame) {
        self.held.drop_copy_of(frame);
    }

    /// A frame was delivered live.
    pub(super) fn delivered(&mut self, frame: &Frame) {
        self.position.delivered(frame);
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
        let run = self.run.take()?;
        if run.after.is_some() || run.filled == Filled::Completely {
            self.position.listed(run.after);
        }
        Some(Finished {
            tail: run.tail.map(Tail::into_messages).unwrap_or_default(),
            held: self.held.take(),
            source: run.source,
            is_complete: run.filled == Filled::Completely,
        })
    }

    fn take_page(&mut self, page: ReadPage) -> PageOutcome {
        self.listed = Listed::Once;
        let Some(run) = &mut self.run else {
            return PageOutcome::Frames(Vec::new());
        };
        run.failures = 0;
        run.refused_with = None;
        let moved = page.last_id.is_some() && page.last_id != run.after;
        if let Some(last) = page.last_id {
            run.after = Some(last);
        }
        run.page = match (page.has_more, moved) {
            (true, true) => Page::Wanted,
            (false, _) => Page::Done,
            // A page that says there is more and does not get on would be asked for for ever.
            (true, false) => return self.give_up(GapCause::Unreadable),
        };
        PageOutcome::Frames(page.frames)
    }

    fn start_over(&mut self, pass: Pass) {
        if let Some(run) = &mut self.run {
            run.after = None;
            run.pass = pass;
            run.page = Page::Wanted;
        }
    }

    /// Whether `frame` of a page is to be delivered; `is_known` tells whether it has been before.
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

    /// The frames of a page have been looked at. A list without a single known frame is all new.
    pub(super) fn page_looked_at(&mut self) {
        let looking = |run: &Run| run.pass == Pass::Looking && run.filled == Filled::WithGap;
        if self.is_done() && self.run.as_ref().is_some_and(looking) {
            self.start_over(Pass::Delivering);
        }
    }

    fn tell(&mut self, cause: GapCause) -> PageOutcome {
        let edge = self.edge();
        match &mut self.run {
            Some(run) if run.filled == Filled::Completely => {
                run.filled = Filled::WithGap;
                PageOutcome::Gap(edge, cause)
            }
            Some(_) | None => PageOutcome::Frames(Vec::new()),
        }
    }
}

/// A run that is over.
pub(super) struct Finished {
    pub(super) tail: VecDeque<Frame>,
    pub(super) held: VecDeque<Held>,
    pub(super) source: Source,
    pub(super) is_complete: bool,
}

#[cfg(test)]
mod tests;
