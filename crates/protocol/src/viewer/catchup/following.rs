//! A stream that brings the log itself: where it begins, and when it has caught up.

use alloc::{boxed::Box, vec::Vec};

use bytestring::ByteString;
use serde::Deserialize;

use super::{CatchUp, Cursor, Filled, Goal, Opened, Page, PageOutcome, Pass, Run, Start, Tail};
use crate::{
    attention::Attention,
    frame::Frame,
    io::{HttpResponse, NetworkFailure, Token},
    kept_id::KeptId,
    number::Number,
    policy::Profile,
    rng::Rng,
    viewer::{GapCause, History, Limits, Source},
};

/// After so many failures to learn which event is the last one, a quiet moment has to do.
pub(in crate::viewer) const QUESTIONS: u32 = 5;

/// Where a stream is to begin.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Begin {
    /// After this number.
    After(u64),
    /// At the log's end, wherever that is.
    AtEnd,
    /// Wherever the server likes.
    Anywhere,
}

/// What the number of an event says about it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Arrived {
    /// It was here before.
    Before,
    /// It is the next one.
    Next,
    /// It is the next one there is, and something is missing before it.
    AfterHole,
}

/// How far a hole goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Extent {
    /// Up to the event that came last, without it.
    UpToHere,
    /// Up to this number, and with it.
    UpTo(u64),
    /// Nobody knows.
    Unknown,
}

/// A hole in the stream.
pub(in crate::viewer) struct Hole {
    /// The last frame before it.
    pub(in crate::viewer) after: Option<ByteString>,
    pub(in crate::viewer) cause: GapCause,
}

impl CatchUp {
    /// Goes on after `cursor` from the first link on.
    pub(in crate::viewer) fn resume_from(&mut self, cursor: &Cursor) {
        self.opened = Opened::Before;
        match cursor {
            Cursor::Sequence(number) => self.sequence.begin_after(*number),
            Cursor::Event(id) => self.position.resume_after(id),
        }
    }

    /// Where a stream that is opened now is to begin.
    pub(in crate::viewer) fn begin(&mut self, history: History, limits: &Limits) -> Begin {
        match (self.sequence.reached(), self.opened, history) {
            (Some(number), _, _) => Begin::After(number),
            (None, Opened::Never, History::None) => Begin::AtEnd,
            (None, Opened::Never, History::Latest(_) | History::All) => {
                self.sequence.begin_after(0);
                Begin::After(0)
            }
            // Only an id is known: everything up to it was delivered before.
            (None, Opened::Before, _) if self.position.last().is_some() => {
                let mut run = Run::new(Source::Backfill, Goal::LastEvent, None, None, limits);
                run.pass = Pass::Looking;
                self.run = Some(Box::new(run));
                self.sequence.start_over();
                Begin::After(0)
            }
            (None, Opened::Before, _) => Begin::Anywhere,
        }
    }

    /// The log ends with `number`, and nothing up to there is wanted.
    pub(in crate::viewer) fn located(&mut self, number: u64) {
        self.sequence.begin_after(number);
    }

    /// A stream opened.
    pub(in crate::viewer) fn open_stream(&mut self, history: History, limits: &Limits) -> Start {
        if let Some(run) = &mut self.run {
            run.goal = Goal::LastEvent;
            run.page = Page::Wanted;
            return Start::Running;
        }
        let first = self.opened == Opened::Never;
        self.opened = Opened::Before;
        let (source, tail) = match (first, history, self.sequence.reached()) {
            (true, History::None, _) => return Start::Nothing,
            (true, History::All, _) => (Source::History, None),
            (true, History::Latest(limit), _) => {
                let tail = Tail::new(limit, limits.event_bytes);
                (Source::History, Some(tail))
            }
            (false, _, None) => return Start::NoPosition,
            (false, _, Some(_)) => (Source::Backfill, None),
        };
        let run = Run::new(source, Goal::LastEvent, None, tail, limits);
        self.run = Some(Box::new(run));
        Start::Running
    }

    /// The position is gone and the log is read from its beginning: what is known already is looked for
    /// there. Brings the hole unless it has been told; `None` when that was the beginning.
    pub(in crate::viewer) fn position_gone(&mut self, limits: &Limits) -> Option<PageOutcome> {
        if self.sequence.reached().unwrap_or_default() == 0 {
            return None;
        }
        self.opened = Opened::Before;
        let new = || {
            Box::new(Run::new(
                Source::Backfill,
                Goal::LastEvent,
                None,
                None,
                limits,
            ))
        };
        let run = self.run.get_or_insert_with(new);
        run.pass = Pass::Looking;
        run.page = Page::Wanted;
        run.goal = Goal::LastEvent;
        let outcome = self.tell(GapCause::NotRetained);
        self.sequence.start_over();
        Some(outcome)
    }

    /// A stored event with this number came.
    pub(in crate::viewer) fn arrived(&mut self, number: u64) -> Arrived {
        match self.sequence.step(number) {
            super::sequence::Step::Old => Arrived::Before,
            super::sequence::Step::Next => Arrived::Next,
            super::sequence::Step::Jump => Arrived::AfterHole,
        }
    }

    /// The event that came last is called `id`.
    pub(in crate::viewer) fn named(&mut self, id: &KeptId) {
        self.sequence.named(id);
    }

    /// Whether event `number` has not come yet.
    pub(in crate::viewer) fn is_ahead(&self, number: u64) -> bool {
        self.sequence
            .reached()
            .is_none_or(|reached| number > reached)
    }

    /// Something is missing in the stream. Returns the hole unless it is told already, or to be told later,
    /// between the messages that are kept.
    pub(in crate::viewer) fn hole(&mut self, extent: Extent, cause: GapCause) -> Option<Hole> {
        let after = self.sequence.last_id().map(KeptId::text);
        match extent {
            Extent::UpToHere => {}
            Extent::UpTo(number) => self.sequence.skip_to(number),
            Extent::Unknown => self.sequence.expect_hole(),
        }
        let Some(run) = &mut self.run else {
            return Some(Hole { after, cause });
        };
        // What was begun anew has its hole told.
        if run.pass == Pass::Looking {
            return None;
        }
        run.filled = Filled::WithGap;
        match &mut run.tail {
            Some(tail) => {
                tail.push_hole(after, cause);
                None
            }
            None => Some(Hole { after, cause }),
        }
    }

    /// How far the log has come with `frame` of it.
    pub(super) fn cursor_at(&self, frame: &Frame) -> Option<Cursor> {
        match self.run.as_ref().map(|run| run.goal) {
            Some(Goal::LastPage) | None => {
                let id = frame.uuid()?;
                Some(Cursor::Event(id.into()))
            }
            Some(Goal::LastEvent | Goal::Number(_) | Goal::Quiet) => self.sequence_cursor(),
        }
    }

    /// How far the stream has been read, unless what it brings is only looked through.
    pub(in crate::viewer) fn sequence_cursor(&self) -> Option<Cursor> {
        let looking = |run: &Run| run.pass == Pass::Looking;
        if self.run.as_deref().is_some_and(looking) {
            return None;
        }
        self.sequence.reached().map(Cursor::Sequence)
    }

    /// Whether the stream has to be begun anew: all of it was looked through and nothing is known.
    /// Brings the hole unless it has been told.
    pub(in crate::viewer) fn nothing_known(&mut self) -> Option<PageOutcome> {
        let reached = self.sequence.reached();
        let run = self.run.as_mut()?;
        let over = match run.goal {
            Goal::LastPage | Goal::LastEvent => false,
            Goal::Number(last) => reached >= Some(last) || matches!(run.page, Page::Done),
            Goal::Quiet => matches!(run.page, Page::Done),
        };
        if run.pass == Pass::Delivering || !over {
            return None;
        }
        run.pass = Pass::Delivering;
        run.goal = Goal::LastEvent;
        run.page = Page::Wanted;
        let outcome = self.tell(GapCause::NotRetained);
        self.sequence.start_over();
        Some(outcome)
    }

    /// Whether a run on a stream is on.
    pub(in crate::viewer) fn follows(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.goal != Goal::LastPage)
    }

    /// Whether a quiet moment ends the run.
    pub(in crate::viewer) fn awaits_quiet(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.goal == Goal::Quiet)
    }

    /// Nothing is read now: that nothing comes does not mean that there is nothing.
    pub(in crate::viewer) fn looks_away(&mut self) {
        if let Some(run) = &mut self.run {
            run.attention = Attention::Elsewhere;
        }
    }

    /// Whether everything was read in the moment that is over; from here on, everything is if `reading`.
    pub(in crate::viewer) fn has_listened(&mut self, reading: bool) -> bool {
        let Some(run) = &mut self.run else {
            return reading;
        };
        let has = reading && run.attention == Attention::Undivided;
        if reading {
            run.attention = Attention::Undivided;
        }
        has
    }

    /// The quiet moment came.
    pub(in crate::viewer) fn quiet(&mut self) {
        if let Some(run) = &mut self.run
            && run.goal == Goal::Quiet
        {
            run.page = Page::Done;
        }
    }

    /// The stream has brought nothing for too long: what there is has to do.
    pub(in crate::viewer) fn stop_following(&mut self) -> PageOutcome {
        match self.run.as_ref().map(|run| run.goal) {
            Some(Goal::Number(_)) => {
                let cause = GapCause::Unreachable;
                let looking = |run: &Run| run.pass == Pass::Looking;
                if self.run.as_deref().is_some_and(looking) {
                    return self.give_up(cause);
                }
                let hole = self.hole(Extent::Unknown, cause);
                if let Some(run) = &mut self.run {
                    run.page = Page::Done;
                }
                match hole {
                    Some(hole) => PageOutcome::Gap(hole.after, hole.cause),
                    None => PageOutcome::Frames(Vec::new()),
                }
            }
            Some(Goal::LastEvent | Goal::Quiet) => {
                self.go_quiet();
                self.quiet();
                PageOutcome::Frames(Vec::new())
            }
            Some(Goal::LastPage) | None => PageOutcome::Frames(Vec::new()),
        }
    }

    /// The question for the last event was answered, or not.
    pub(super) fn last_event_answered(
        &mut self,
        answer: Result<&HttpResponse, NetworkFailure>,
        token: Token,
        profile: &Profile,
        rng: &mut Rng,
    ) -> PageOutcome {
        let nothing = PageOutcome::Frames(Vec::new());
        let Some(run) = &mut self.run else {
            return nothing;
        };
        let status = answer.map(|response| response.status);
        match (status, answer) {
            (Ok(200..=299), Ok(response)) => match read_last_event(&response.body) {
                Some(number) => run.goal = Goal::Number(number),
                None => self.go_quiet(),
            },
            (Ok(401 | 403), _) if run.refused_with.is_none() => {
                run.refused_with = Some(token);
                run.page = Page::Wanted;
                return PageOutcome::NeedsToken;
            }
            (Err(_) | Ok(408 | 425 | 429 | 500..=599), answer) if run.failures < QUESTIONS => {
                run.failures += 1;
                let asked = answer
                    .ok()
                    .and_then(|response| response.retry_after)
                    .unwrap_or_default()
                    .min(profile.retry_after_cap);
                let delay = profile.drops.delays.draw(run.failures, rng);
                return PageOutcome::Again(delay.max(asked));
            }
            _ => self.go_quiet(),
        }
        nothing
    }

    /// Nobody says which event is the last one.
    pub(in crate::viewer) fn go_quiet(&mut self) {
        if let Some(run) = &mut self.run {
            run.goal = Goal::Quiet;
            run.page = Page::Pausing;
        }
    }
}

/// The number of the last event there is, or was, in a page that holds only that one.
pub(in crate::viewer) fn read_last_event(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wire {
        data: Vec<Entry>,
        #[serde(default)]
        first_sequence_num: Option<Number>,
    }
    #[derive(Deserialize)]
    struct Entry {
        sequence_num: Number,
    }
    let page: Wire = serde_json::from_slice(body).ok()?;
    let first = page.first_sequence_num.as_ref().and_then(Number::get);
    let before_first = first.unwrap_or_default().saturating_sub(1);
    page.data.iter().try_fold(before_first, |last, entry| {
        Some(entry.sequence_num.get()?.max(last))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_read_from_a_page_of_one_or_none() {
        for (body, last) in [
            (r#"{"data":[{"sequence_num":7,"more":1}]}"#, Some(7)),
            (r#"{"data":[{"sequence_num":"7"}]}"#, Some(7)),
            (r#"{"data":[]}"#, Some(0)),
            (r#"{"data":[],"first_sequence_num":5}"#, Some(4)),
            (r#"{"data":[{}]}"#, None),
            (r#"{"data":[{"sequence_num":"x"}]}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(read_last_event(body.as_bytes()), last, "{body}");
        }
    }
}
