//! Everything that may go wrong.

use attache_protocol::{
    io::{NetworkFailure, Refusal, TokenRefusal},
    viewer::Status,
};

use super::Schedule;
use crate::{HttpPlan, TokenPlan, Upgrade, millis, secs};

/// What may go wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The link is reset.
    Cut,
    /// The link ends otherwise.
    Lost,
    /// The link falls silent.
    Frozen,
    /// The server closes the link with a code, or ends the stream.
    Closed,
    /// The server restarts, and says so.
    Restart,
    /// The session can't be found while it compacts.
    Compaction,
    /// The next attempt does not reach the server.
    Unreachable,
    /// The next attempt is refused with a status.
    Refused,
    /// The next attempt has no answer.
    NoAnswer,
    /// The next link is closed at once.
    ClosedAtOnce,
    /// The next link is reset at once.
    ResetAtOnce,
    /// The next post is carried out, but its answer is lost.
    PostAnswerLost,
    /// The next post fails.
    PostFailed,
    /// The next post is refused with a status.
    PostRefused,
    /// The next post has no answer.
    PostNeverAnswered,
    /// The next page fails, and perhaps some more.
    ListFailed,
    /// The next page is refused with a status.
    ListRefused,
    /// The next page has no answer.
    ListNeverAnswered,
    /// The next page can't be read.
    ListUnreadable,
    /// The token source has none at the moment.
    NoToken,
    /// The token source does not answer.
    TokenNever,
    /// The person is signed out.
    SignedOut,
    /// The server accepts another token from now on, and the source may know it or not.
    TokenRotated,
    /// Nobody can reach the server for a while.
    Down,
    /// The oldest of the log is no longer retained.
    Retention,
    /// Everything takes longer.
    Latency,
    /// Answers to calls take longer.
    SlowCalls,
    /// Pings are not answered any more.
    PongsStop,
    /// Streams bring no comments any more.
    CommentsStop,
    /// The agent answers no requests any more.
    AgentMute,
    /// Echoes do not come, or come twice.
    Echoes,
    /// Open prompts are not asked again.
    PromptsNotRepeated,
    /// What is no frame comes.
    Garbage,
    /// A frame comes twice.
    Duplicate,
    /// Another question comes under the id of a prompt.
    PromptConflict,
    /// Bytes come in small pieces.
    Pieces,
    /// The machine sleeps.
    Sleep,
}

impl Fault {
    pub(super) const ALL: [Self; 37] = [
        Self::Cut,
        Self::Lost,
        Self::Frozen,
        Self::Closed,
        Self::Restart,
        Self::Compaction,
        Self::Unreachable,
        Self::Refused,
        Self::NoAnswer,
        Self::ClosedAtOnce,
        Self::ResetAtOnce,
        Self::PostAnswerLost,
        Self::PostFailed,
        Self::PostRefused,
        Self::PostNeverAnswered,
        Self::ListFailed,
        Self::ListRefused,
        Self::ListNeverAnswered,
        Self::ListUnreadable,
        Self::NoToken,
        Self::TokenNever,
        Self::SignedOut,
        Self::TokenRotated,
        Self::Down,
        Self::Retention,
        Self::Latency,
        Self::SlowCalls,
        Self::PongsStop,
        Self::CommentsStop,
        Self::AgentMute,
        Self::Echoes,
        Self::PromptsNotRepeated,
        Self::Garbage,
        Self::Duplicate,
        Self::PromptConflict,
        Self::Pieces,
        Self::Sleep,
    ];
}

const FAILURES: [NetworkFailure; 9] = [
    NetworkFailure::Refused,
    NetworkFailure::Reset,
    NetworkFailure::Ended,
    NetworkFailure::Dns,
    NetworkFailure::Tls,
    NetworkFailure::TimedOut,
    NetworkFailure::Protocol,
    NetworkFailure::TooLarge,
    NetworkFailure::Other,
];

/// Codes after which it is tried again, and, at the end, those that are final or almost.
const CODES: [u16; 16] = [
    1006, 1011, 1001, 1012, 1013, 1005, 3000, 4999, 4001, 1000, 1008, 1009, 4003, 1002, 1007, 1003,
];

/// Statuses after which it is tried again, and, at the end, those that are final or almost.
const STATUSES: [u16; 12] = [503, 500, 502, 429, 504, 408, 301, 404, 401, 403, 400, 422];

impl Schedule<'_> {
    pub(super) fn strike(&mut self, fault: Fault) {
        self.tally.faults += 1;
        match fault {
            Fault::Cut => self.world.cut(),
            Fault::Lost => {
                let failure = self.pick(&FAILURES);
                self.world.server().lose(failure);
            }
            Fault::Frozen => {
                self.muted();
                self.world.server().freeze();
            }
            Fault::Closed => {
                let code = self.code();
                self.world.server().close(code, "");
            }
            Fault::Restart => {
                let code = self.pick(&[1001, 1012]);
                self.world.server().close(code, "restart");
                let refusal = Refusal::Http {
                    status: 503,
                    retry_after: None,
                };
                for _ in 0..self.choices.below(3) {
                    self.world.server().next_upgrade(Upgrade::Refuse(refusal));
                }
            }
            Fault::Compaction => {
                self.world.server().close(4001, "");
                for _ in 0..self.choices.below(3) {
                    self.world.server().next_upgrade(Upgrade::AcceptThenClose(4001));
                }
            }
            Fault::Unreachable => {
                let refusal = Refusal::Network(self.pick(&FAILURES));
                self.world.server().next_upgrade(Upgrade::Refuse(refusal));
            }
            Fault::Refused => {
                let (status, retry_after) = self.status();
                let refusal = Refusal::Http {
                    status,
                    retry_after,
                };
                self.world.server().next_upgrade(Upgrade::Refuse(refusal));
            }
            Fault::NoAnswer => self.world.server().next_upgrade(Upgrade::Never),
            Fault::ClosedAtOnce => {
                let code = self.code();
                self.world.server().next_upgrade(Upgrade::AcceptThenClose(code));
            }
            Fault::ResetAtOnce => self.world.server().next_upgrade(Upgrade::AcceptThenReset),
            Fault::PostAnswerLost => self.world.server().next_post(HttpPlan::LoseAnswer),
            Fault::PostFailed => {
                let plan = HttpPlan::Fail(self.pick(&FAILURES));
                self.world.server().next_post(plan);
            }
            Fault::PostRefused => {
                let (status, retry_after) = self.status();
                self.world.server().next_post(HttpPlan::Status(status, retry_after));
            }
            Fault::PostNeverAnswered => self.world.server().next_post(HttpPlan::Never),
            Fault::ListFailed => {
                let plan = HttpPlan::Fail(self.pick(&FAILURES));
                for _ in 0..=self.choices.below(4) {
                    self.world.server().next_list(plan.clone());
                }
            }
            Fault::ListRefused => {
                let (status, retry_after) = self.status();
                self.world.server().next_list(HttpPlan::Status(status, retry_after));
            }
            Fault::ListNeverAnswered => self.world.server().next_list(HttpPlan::Never),
            Fault::ListUnreadable => self.world.server().next_list(HttpPlan::Garbage("{")),
            Fault::NoToken => {
                self.world.tokens().next(TokenPlan::Refuse(TokenRefusal::Unavailable));
            }
            Fault::TokenNever => self.world.tokens().next(TokenPlan::Never),
            Fault::SignedOut => {
                if self.rarely() {
                    self.world.tokens().next(TokenPlan::Refuse(TokenRefusal::SignedOut));
                }
            }
            Fault::TokenRotated => {
                let name = self.pick(&["first", "second", "third"]);
                self.world.server().accept_only(name);
                match self.choices.below(4) {
                    0 => {}
                    // It takes a while until the source has it.
                    1 => {
                        let none_yet = TokenPlan::Refuse(TokenRefusal::Unavailable);
                        self.world.tokens().next(none_yet);
                        self.world.tokens().always(TokenPlan::Give(name));
                    }
                    _ => self.world.tokens().always(TokenPlan::Give(name)),
                }
            }
            Fault::Down => self.world.server().go_down(),
            Fault::Retention => {
                let count = self.choices.below(30) as usize;
                // What was only just said is still there.
                if *self.world.status() != Status::CatchingUp {
                    self.world.server().forget(count);
                }
            }
            Fault::Latency => {
                let latency = self.choices.below(800);
                if latency > 300 {
                    self.muted();
                }
                self.world.set_latency(millis(1 + u64::from(latency)));
            }
            Fault::SlowCalls => {
                let delay = u64::from(self.choices.below(4000));
                self.world.server().http_delay = millis(delay);
            }
            Fault::PongsStop => {
                self.muted();
                self.mute = true;
                self.world.server().answers_pings = false;
            }
            Fault::CommentsStop => {
                self.muted();
                self.mute = true;
                self.world.server().comments = false;
            }
            Fault::AgentMute => self.world.server().answers_requests = false,
            Fault::Echoes => self.world.server().echoes = 2 * self.choices.below(2) as usize,
            Fault::PromptsNotRepeated => {
                self.prompts_unrepeated = true;
                self.world.server().repeats_prompts = false;
            }
            Fault::Garbage => match self.choices.below(5) {
                0 => self.world.server().blurt("broken"),
                1 => self.world.server().blurt_binary(b"\xff\xfe"),
                2 => self.world.server().blurt(r#"{"type":"control_request","request_id":"g1"}"#),
                3 => self.world.server().blurt(
                    r#"{"type":"control_request","request_id":"g2","request":{"subtype":"novelty"}}"#,
                ),
                _ => self.world.server().blurt_bytes(&b"event: novelty\ndata: x\n\n"[..]),
            },
            Fault::Duplicate => self.repeat_something(),
            Fault::PromptConflict => {
                if let Some(id) = self.some_prompt()
                    && self.owed.shows(&id)
                    && self.world.server().open_prompts().contains(&&*id)
                {
                    self.world.server().blurt(format!(
                        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"another"}},"tool_use_id":"t"}}}}"#
                    ));
                }
            }
            Fault::Pieces => {
                self.world.server().stream_chunk = 16 + self.choices.below(60) as usize;
            }
            Fault::Sleep => {
                self.muted();
                let time = secs(u64::from(self.choices.below(120)));
                self.world.sleep(time);
                self.muted();
                if self.choices.below(2) == 0 {
                    self.world.wake();
                }
            }
        }
    }

    /// Everything works again, and what hangs is known to.
    pub(super) fn mend(&mut self) {
        let server = self.world.server();
        server.come_up();
        server.forgive();
        server.answers_pings = true;
        server.comments = true;
        server.answers_requests = true;
        server.answers_close = true;
        server.echoes = 1;
        server.repeats_prompts = true;
        server.stream_chunk = 0;
        server.http_delay = millis(0);
        self.mute = false;
        self.muted();
        self.world.set_latency(millis(5));
        self.world.tokens().come_back();
        self.world.server().lose_frozen();
    }

    /// From now on silence may be the peer's fault.
    pub(super) fn muted(&mut self) {
        self.muted_at = self.world.elapsed();
    }

    fn code(&mut self) -> u16 {
        let code = self.pick(&CODES);
        let is_final = matches!(code, 4003 | 1002 | 1007 | 1003);
        if is_final && !self.rarely() {
            1006
        } else {
            code
        }
    }

    fn status(&mut self) -> (u16, Option<std::time::Duration>) {
        let status = self.pick(&STATUSES);
        let is_final = matches!(status, 400 | 401 | 403 | 422);
        let status = if is_final && !self.rarely() {
            503
        } else {
            status
        };
        let retry_after = match self.choices.below(3) {
            0 => None,
            1 => Some(secs(u64::from(self.choices.below(20)))),
            _ => Some(millis(0)),
        };
        (status, retry_after)
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        let count = u32::try_from(N).unwrap_or(1);
        let place = usize::try_from(self.choices.below(count)).unwrap_or_default();
        from.get(place).copied().unwrap_or(from[0])
    }

    /// Once in a while.
    fn rarely(&mut self) -> bool {
        self.choices.below(6) == 5
    }
}
