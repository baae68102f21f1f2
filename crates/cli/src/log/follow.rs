//! `log --follow`: the log as it grows, over any number of connections.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use attache_protocol::{
    SessionId,
    frame::sse::{SseDecoder, SseItem},
    io::{NetworkFailure, Refusal, Token},
    policy::{CloseCause, Delays, Limit, Outcome, Profile, RetryRule, Verdict, verdict},
};
use attache_tokio::OpenStream;
use futures_util::FutureExt;
use serde::Deserialize;
use tokio::time::{sleep, timeout, timeout_at};

use super::{Printer, Stored, name, not_there, rest};
use crate::{
    api::Api,
    exit::{Exit, Failure},
};

/// A stream that says nothing for so long, not even that it is there, is dead.
const SILENCE: Duration = Duration::from_secs(45);

/// Follows one session's log.
pub(super) struct Follower<'a, O: Write, N> {
    api: Api,
    profile: Profile,
    session: &'a SessionId,
    printer: Printer<O, N>,
    /// Whether a stream was open at any time.
    met: bool,
    outage: Option<Outage>,
    refused: Option<Token>,
}

/// The attempts since a stream last said something.
#[derive(Copy, Clone, Debug)]
struct Outage {
    since: Instant,
    failures: u32,
}

impl<'a, O: Write, N: Write> Follower<'a, O, N> {
    pub(super) fn new(
        api: Api,
        profile: Profile,
        session: &'a SessionId,
        printer: Printer<O, N>,
    ) -> Self {
        Self {
            api,
            profile,
            session,
            printer,
            met: false,
            outage: None,
            refused: None,
        }
    }

    /// Prints the log until the session is over.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        loop {
            let ending = match self.open().await? {
                Ok(stream) => self.read(stream).await?,
                Err(outcome) => outcome,
            };
            if ending == Outcome::Network(NetworkFailure::Ended) && self.is_over().await {
                rest(&self.api, self.session, &mut self.printer).await?;
                return Ok(self.printer.flush()?);
            }
            self.wait(ending).await?;
        }
    }

    async fn open(&mut self) -> Result<Result<OpenStream, Outcome>, Failure> {
        let path = format!(
            "/v1/code/sessions/{}/events/stream?from_sequence_num={}",
            self.session.v2(),
            self.printer.last()
        );
        let request = self.api.request(path)?;
        let token = request.bearer.clone();
        if self.met {
            self.api.start_over();
        }
        let opening = timeout_at(self.api.deadline(), self.api.http().open(request));
        let outcome = match opening.await {
            Ok(Ok(stream)) => return Ok(Ok(stream)),
            Ok(Err(Refusal::Http {
                status,
                retry_after,
            })) => Outcome::Http {
                status,
                retry_after,
            },
            Ok(Err(Refusal::Network(failure))) => Outcome::Network(failure),
            Err(_) => Outcome::ConnectDeadline,
        };
        if verdict(outcome) == Verdict::NewToken
            && self.refused.replace(token.clone()) == Some(token)
        {
            return Err(self.closed(CloseCause::Unauthorized));
        }
        Ok(Err(outcome))
    }

    /// Prints what comes, and says how it ended.
    async fn read(&mut self, mut stream: OpenStream) -> Result<Outcome, Failure> {
        let mut decoder = SseDecoder::default();
        loop {
            let bytes = if let Some(bytes) = stream.next().now_or_never() {
                bytes
            } else {
                self.printer.flush()?;
                match timeout(SILENCE, stream.next()).await {
                    Ok(bytes) => bytes,
                    Err(_) => return Ok(Outcome::Silence),
                }
            };
            match bytes {
                Ok(bytes) => decoder.push(bytes),
                Err(failure) => return Ok(Outcome::Network(failure)),
            }
            self.is_heard()?;
            for item in decoder.by_ref() {
                self.item(item)?;
            }
        }
    }

    fn is_heard(&mut self) -> Result<(), Failure> {
        self.met = true;
        self.refused = None;
        if self.outage.take().is_some() {
            self.printer.note("connected again")?;
        }
        Ok(())
    }

    fn item(&mut self, item: SseItem) -> Result<(), Failure> {
        let event = match item {
            SseItem::Event(event) if &*event.event == "client_event" => event,
            SseItem::TooLarge { .. } => {
                return Ok(self.printer.note("a frame is too large to be read")?);
            }
            // What has no number is not in the log.
            SseItem::Event(_) | SseItem::Retry(_) => return Ok(()),
        };
        let stored: Stored<'_> = serde_json::from_str(&event.data).map_err(|_| {
            Failure::new(
                Exit::Failure,
                format!(
                    "{}: the server's stream can't be read; check --base-url",
                    name(self.session)
                ),
            )
        })?;
        self.printer
            .stored(stored.sequence_num, stored.payload.get())?;
        Ok(())
    }

    /// Waits before the next attempt, if there is one.
    async fn wait(&mut self, ending: Outcome) -> Result<(), Failure> {
        self.printer.flush()?;
        let (rule, asked) = match verdict(ending) {
            Verdict::Stop(CloseCause::Rejected { status: 410 }) => return Err(self.no_position()),
            Verdict::Stop(cause) => return Err(self.closed(cause)),
            Verdict::Retry(_) if is_missing(ending) => {
                let failure = self.closed(CloseCause::SessionNotFound);
                return Err(not_there(&self.api, self.session, failure).await);
            }
            // Another token may be there by now.
            Verdict::NewToken | Verdict::Free | Verdict::Retry(_) => {
                (self.profile.drops, Duration::ZERO)
            }
            Verdict::Restart { retry_after } => {
                let asked = retry_after.unwrap_or_default();
                (self.profile.drops, asked.min(self.profile.retry_after_cap))
            }
        };
        let first = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage {
            since: Instant::now(),
            failures: 0,
        });
        outage.failures = outage.failures.saturating_add(1);
        let Some(delay) = delay(rule, *outage) else {
            return Err(self.closed(CloseCause::Exhausted { last: ending }));
        };
        if first {
            self.printer
                .note(&format!("not connected: {ending}; trying again"))?;
        }
        let pause = sleep(delay.max(asked));
        if self.met {
            pause.await;
            return Ok(());
        }
        timeout_at(self.api.deadline(), pause).await.map_err(|_| {
            Failure::timed_out(format!("{}: not connected, {ending}", name(self.session)))
        })
    }

    /// Whether nothing can be added to the log any more.
    async fn is_over(&mut self) -> bool {
        #[derive(Deserialize)]
        struct Session {
            session_status: String,
        }
        self.api.start_over();
        let path = format!("/v1/sessions/{}", self.session.v1());
        let Ok(body) = self.api.get(path, "").await else {
            return false;
        };
        serde_json::from_slice::<Session>(&body)
            .is_ok_and(|session| session.session_status == "archived")
    }

    fn closed(&self, cause: CloseCause) -> Failure {
        Failure::closed(self.session, cause)
    }

    fn no_position(&self) -> Failure {
        let (what, last) = (name(self.session), self.printer.last());
        Failure::new(
            Exit::Failure,
            format!("{what} does not reach frame {last}; start with a lower --since"),
        )
    }
}

fn is_missing(ending: Outcome) -> bool {
    matches!(ending, Outcome::Http { status: 404, .. })
}

/// How long to wait after a failure; `None` when there were too many. Half of a growing delay is left
/// to chance, so that not everybody comes back at once.
fn delay(rule: RetryRule, outage: Outage) -> Option<Duration> {
    match rule.limit {
        Limit::Retries(retries) if outage.failures > retries => return None,
        Limit::SlowDown { after, every } if outage.since.elapsed() >= after => return Some(every),
        Limit::Retries(_) | Limit::SlowDown { .. } => {}
    }
    let bound = rule.delays.bound(outage.failures);
    Some(match rule.delays {
        Delays::Constant(_) | Delays::Linear { .. } => bound,
        Delays::Exponential { .. } => {
            let chance = attache_driver::seed().map_or(0, |[chance, ..]| chance);
            bound.mul_f64(0.5 + f64::from(chance) / 512.0)
        }
    })
}
