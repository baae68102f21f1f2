//! Requests of ours to the agent: each has a deadline and exactly one outcome.

use alloc::{collections::BTreeMap, vec::Vec};

use bytestring::ByteString;

use super::RequestOutcome;
use crate::{frame::RequestId, time::Timestamp};

/// The open requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, OpenRequest>,
    opened: u64,
}

#[derive(Clone, Debug)]
struct OpenRequest {
    order: u64,
    deadline: Option<Timestamp>,
    scope: Scope,
    audience: Audience,
    progress: Progress,
    text: ByteString,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Progress {
    Queued(Fate),
    Sent(Fate),
}

/// Whether a request may have arrived by an earlier try. One that is posted may be tried again, for the
/// server recognises it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    NotSent,
    Unknown,
}

/// What a request is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The session, whatever the agent is at.
    Session,
    /// The turn with this number; it must never touch another one.
    Turn(u64),
}

/// Who wants to know the outcome.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The application asked.
    Application,
    /// The viewer asked for itself.
    Viewer,
}

/// A request that is over.
pub(super) struct Finished {
    pub(super) request_id: RequestId,
    pub(super) outcome: RequestOutcome,
    pub(super) audience: Audience,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a request in; `deadline` is `None` past the end of time.
    pub(super) fn open(
        &mut self,
        request_id: RequestId,
        text: ByteString,
        deadline: Option<Timestamp>,
        scope: Scope,
        audience: Audience,
    ) {
        self.opened += 1;
        self.open.insert(
            request_id,
            OpenRequest {
                order: self.opened,
                deadline,
                scope,
                audience,
                progress: Progress::Queued(Fate::NotSent),
                text,
            },
        );
    }

    /// What can be sent now that the link is live and turn number `turn` is on, in the order asked
    /// for; requests for an earlier turn lapse instead.
    pub(super) fn send(&mut self, turn: u64) -> (Vec<ByteString>, Vec<Finished>) {
        let lapsed = self.lapse(turn);
        let mut texts = Vec::new();
        while let Some((_, text)) = self.next() {
            texts.push(text);
        }
        (texts, lapsed)
    }

    /// Ends what was meant for an earlier turn than number `turn` and is not on its way.
    pub(super) fn lapse(&mut self, turn: u64) -> Vec<Finished> {
        self.finish_all(|request| {
            matches!(request.progress, Progress::Queued(_))
                && matches!(request.scope, Scope::Turn(asked) if asked != turn)
        })
    }

    /// The next request to send, oldest first.
    pub(super) fn next(&mut self) -> Option<(RequestId, ByteString)> {
        let queued = |request: &OpenRequest| matches!(request.progress, Progress::Queued(_));
        let (id, request) = self
            .open
            .iter_mut()
            .filter(|(_, request)| queued(request))
            .min_by_key(|(_, request)| request.order)?;
        if let Progress::Queued(fate) = request.progress {
            request.progress = Progress::Sent(fate);
        }
        Some((id.clone(), request.text.clone()))
    }

    /// What was posted for `request_id` is to go again; this try has certainly not arrived.
    pub(super) fn not_sent(&mut self, request_id: &RequestId) {
        if let Some(request) = self.open.get_mut(request_id)
            && let Progress::Sent(fate) = request.progress
        {
            request.progress = Progress::Queued(fate);
        }
    }

    /// What was posted for `request_id` is to go again; it may have arrived.
    pub(super) fn perhaps_sent(&mut self, request_id: &RequestId) {
        if let Some(request) = self.open.get_mut(request_id) {
            request.progress = Progress::Queued(Fate::Unknown);
        }
    }

    /// The agent answered `request_id`; `None` when that is no open request of ours.
    pub(super) fn responded(
        &mut self,
        request_id: &RequestId,
        outcome: RequestOutcome,
    ) -> Option<Finished> {
        self.finish(request_id.clone(), outcome)
    }

    pub(super) fn contains(&self, request_id: &RequestId) -> bool {
        self.open.contains_key(request_id)
    }

    /// Ends what is due at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Finished> {
        self.finish_all(|request| request.deadline.is_some_and(|deadline| deadline <= now))
    }

    /// Ends everything; the session is closed.
    pub(super) fn close(&mut self) -> Vec<Finished> {
        let ids: Vec<RequestId> = self.open.keys().cloned().collect();
        ids.into_iter()
            .filter_map(|id| self.finish(id, RequestOutcome::Closed))
            .collect()
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open
            .values()
            .filter_map(|request| request.deadline)
            .min()
    }

    fn finish_all(&mut self, due: impl Fn(&OpenRequest) -> bool) -> Vec<Finished> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let mut due: Vec<(u64, RequestId, RequestOutcome)> = self
            .open
            .iter()
            .filter(|(_, request)| due(request))
            .map(|(id, request)| {
                let outcome = match request.progress {
                    Progress::Queued(Fate::NotSent) => RequestOutcome::Expired,
                    Progress::Queued(Fate::Unknown) | Progress::Sent(_) => {
                        RequestOutcome::Unanswered
                    }
                };
                (request.order, id.clone(), outcome)
            })
            .collect();
        due.sort_by_key(|(order, ..)| *order);
        due.into_iter()
            .filter_map(|(_, id, outcome)| self.finish(id, outcome))
            .collect()
    }

    fn finish(&mut self, request_id: RequestId, outcome: RequestOutcome) -> Option<Finished> {
        let request = self.open.remove(&request_id)?;
        Some(Finished {
            request_id,
            outcome,
            audience: request.audience,
        })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn id(text: &'static str) -> RequestId {
        RequestId::new(text).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_origin(Duration::from_secs(seconds))
    }

    fn open(requests: &mut Requests, name: &'static str, seconds: u64, scope: Scope) {
        requests.open(
            id(name),
            name.into(),
            Some(at(seconds)),
            scope,
            Audience::Application,
        );
    }

    #[test]
    fn requests_go_out_in_the_order_they_were_asked_for() {
        let mut requests = Requests::default();
        open(&mut requests, "z", 9, Scope::Session);
        open(&mut requests, "a", 9, Scope::Session);
        let (texts, lapsed) = requests.send(0);
        assert_eq!(texts, ["z", "a"]);
        assert!(lapsed.is_empty());
        assert!(requests.send(0).0.is_empty());
    }

    #[test]
    fn an_interrupt_lapses_when_its_turn_is_over() {
        let mut requests = Requests::default();
        open(&mut requests, "i", 9, Scope::Turn(3));
        let (texts, lapsed) = requests.send(4);
        assert!(texts.is_empty());
        assert_eq!(lapsed[0].outcome, RequestOutcome::Expired);
        assert_eq!(requests.len(), 0);
    }

    #[test]
    fn sent_and_unsent_requests_end_differently_at_their_deadline() {
        let mut requests = Requests::default();
        open(&mut requests, "sent", 5, Scope::Session);
        requests.send(0);
        open(&mut requests, "queued", 5, Scope::Session);
        assert!(requests.expire(at(4)).is_empty());
        let outcomes: Vec<RequestOutcome> = requests
            .expire(at(5))
            .into_iter()
            .map(|over| over.outcome)
            .collect();
        assert_eq!(
            outcomes,
            [RequestOutcome::Unanswered, RequestOutcome::Expired]
        );
    }

    #[test]
    fn an_answer_to_a_stranger_changes_nothing() {
        let mut requests = Requests::default();
        open(&mut requests, "mine", 5, Scope::Session);
        assert!(
            requests
                .responded(&id("other"), RequestOutcome::Succeeded(None))
                .is_none()
        );
        assert!(
            requests
                .responded(&id("mine"), RequestOutcome::Succeeded(None))
                .is_some()
        );
        assert!(
            requests
                .responded(&id("mine"), RequestOutcome::Succeeded(None))
                .is_none()
        );
    }
}
