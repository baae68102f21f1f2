//! One catch-up, from its first link to its end.

use bytestring::ByteString;

use super::{Source, Tail};
use crate::{
    attention::Attention,
    io::{HttpRequestId, Token},
    viewer::Limits,
};

/// One catch-up; it survives a drop of the link and goes on where it was.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) source: Source,
    pub(super) goal: Goal,
    pub(super) after: Option<ByteString>,
    /// How many entries to ask for; fewer once a page was too large.
    pub(super) entries: usize,
    pub(super) pass: Pass,
    pub(super) page: Page,
    pub(super) tail: Option<Tail>,
    pub(super) failures: u32,
    pub(super) refused_with: Option<Token>,
    pub(super) filled: Filled,
    /// Whether everything was read since the stream moved last.
    pub(super) attention: Attention,
    /// The last frame before the hole that was told last.
    pub(super) told_after: Option<ByteString>,
}

#[derive(Clone, Debug)]
pub(super) enum Page {
    Wanted,
    InFlight {
        id: HttpRequestId,
        token: Token,
    },
    Pausing,
    /// Nothing is left to load.
    Done,
}

/// What a run is over with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The last page of the list.
    LastPage,
    /// The event of the stream that is the last one by now; which that is, is being asked.
    LastEvent,
    /// This number, or a later one.
    Number(u64),
    /// A moment in which the stream brings no event. Nobody says which the last one is.
    Quiet,
}

/// Whether this run has told of a hole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Completely,
    WithGap,
}

/// What is done with the frames of the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// They come next.
    Delivering,
    /// The log was begun anew: what stands before the first known frame was delivered long ago.
    Looking,
}

impl Run {
    pub(super) fn new(
        source: Source,
        goal: Goal,
        after: Option<ByteString>,
        tail: Option<Tail>,
        limits: &Limits,
    ) -> Self {
        Self {
            source,
            goal,
            after,
            entries: limits.page.max(1),
            pass: Pass::Delivering,
            page: Page::Wanted,
            tail,
            failures: 0,
            refused_with: None,
            filled: Filled::Completely,
            attention: Attention::Undivided,
            told_after: None,
        }
    }
}
