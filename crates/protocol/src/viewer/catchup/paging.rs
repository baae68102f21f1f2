//! Pages of the list: what each answer means.

use alloc::vec::Vec;

use super::{
    CatchUp, Filled, Goal, Listed, Page, PageOutcome, Pass, Run,
    page::{ReadPage, read_page},
};
use crate::{
    io::{HttpResponse, NetworkFailure},
    policy::Profile,
    rng::Rng,
    viewer::{GapCause, Limits},
};

impl CatchUp {
    /// The page in flight was answered, or not.
    pub(in crate::viewer) fn answered(
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
        if run.goal != Goal::LastPage {
            return Some(self.last_event_answered(answer, token, profile, rng));
        }
        let status = answer.map(|response| response.status);
        if matches!(status, Ok(400 | 404))
            && let Some(after) = &run.after
            && let Some(anchor) = self.position.fall_back(after, limits.remembered)
        {
            run.after = Some(anchor);
            run.page = Page::Wanted;
            return Some(PageOutcome::Frames(Vec::new()));
        }
        Some(match (status, answer) {
            (Ok(200..=299), Ok(response)) => match read_page(response) {
                Some(page) => self.take_page(page),
                None => self.give_up(GapCause::Unreadable),
            },
            (Ok(401 | 403), _) if run.refused_with.is_none() => {
                run.refused_with = Some(token);
                run.page = Page::Wanted;
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

    /// The frames of a page have been looked at. A list without a single known frame is all new.
    pub(in crate::viewer) fn page_looked_at(&mut self) {
        let looking = |run: &Run| run.pass == Pass::Looking && run.filled == Filled::WithGap;
        if self.is_done() && self.run.as_deref().is_some_and(looking) {
            self.start_over(Pass::Delivering);
        }
    }
}
