//! Commands that attach, do one thing, wait for its outcome, and end.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use attache_protocol::{
    SessionId,
    frame::RequestId,
    viewer::{
        Content, Decision, Event, History, RequestOutcome, SendRejection, SendState, SettledBy,
        Status,
    },
};
use attache_tokio::{Events, Session};
use tokio::time::timeout_at;

use crate::{
    api::Api,
    arguments::{Approve, Deny, OneShot, Send, Wait},
    exit::{Exit, Failure},
    prompts::OpenPrompts,
    render::{json_line, one_line},
    token::Tokens,
};

/// The longest line about one prompt of several, in characters.
const BRIEF: usize = 160;

pub(crate) async fn send(options: Send) -> Result<(), Failure> {
    let tokens = Tokens::choose(&options.one_shot.connection.server)?;
    let text = message_text(options.text)?;
    within(
        options.one_shot,
        tokens,
        History::None,
        match options.wait {
            Wait::Accepted => "the server to take the message",
            Wait::Processed => "the agent to be done with the message",
        },
        async move |attached: &mut Attached| attached.send(&text, options.wait).await,
    )
    .await
}

pub(crate) async fn approve(options: Approve) -> Result<(), Failure> {
    let decision = Decision::allow();
    decide(options.one_shot, options.request_id, decision).await
}

pub(crate) async fn deny(options: Deny) -> Result<(), Failure> {
    let decision = Decision::deny(options.message);
    decide(options.one_shot, options.request_id, decision).await
}

pub(crate) async fn interrupt(options: OneShot) -> Result<(), Failure> {
    let tokens = Tokens::choose(&options.connection.server)?;
    within(options, tokens, History::None, "the agent to stop", {
        async |attached: &mut Attached| attached.interrupt().await
    })
    .await
}

async fn decide(
    options: OneShot,
    request_id: Option<String>,
    decision: Decision,
) -> Result<(), Failure> {
    let request_id = request_id.map(|text| {
        RequestId::new(text).ok_or_else(|| Failure::usage("a prompt's id has 1 to 1024 bytes"))
    });
    let request_id = request_id.transpose()?;
    let tokens = Tokens::choose(&options.connection.server)?;
    // Open prompts may be as old as the session.
    within(options, tokens, History::All, "the prompt to be settled", {
        async move |attached: &mut Attached| attached.decide(request_id, decision).await
    })
    .await
}

fn message_text(argument: String) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!("reading the message from stdin failed: {error}"),
        )
    })?;
    let text = text.trim_end().to_owned();
    if text.is_empty() {
        return Err(Failure::usage(
            "the message on stdin is empty; nothing was sent",
        ));
    }
    Ok(text)
}

/// Attaches, lets `act` do its work within the time there is, and detaches.
async fn within(
    options: OneShot,
    tokens: Tokens,
    history: History,
    waiting_for: &str,
    act: impl AsyncFnOnce(&mut Attached) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let limit = options.patience.timeout.min(Duration::from_secs(1 << 30));
    let deadline = tokio::time::Instant::now() + limit;
    // A session that is not there may come back, so a viewer tries for a while. Here nobody wants to
    // wait for that.
    let api = Api::new(&options.connection, tokens.clone(), options.patience)?;
    let id = options.session.id()?.clone();
    let path = format!("/v1/sessions/{}", id.v1());
    api.check(path, &format!("session {id}")).await?;
    let mut config = options.connection.viewer_config(id.clone(), options.way);
    config.history = history;
    let (session, events, _driver) =
        attache_tokio::spawn(config, options.connection.server.options()?, tokens)?;
    let mut attached = Attached {
        id,
        session,
        events,
        prompts: OpenPrompts::default(),
    };
    let result = timeout_at(deadline, act(&mut attached)).await;
    let result = result.unwrap_or_else(|_| Err(attached.timed_out(waiting_for)));
    // The goodbye has a limit of its own, and changes nothing about the outcome.
    let _ = attached.session.close().await;
    result
}

struct Attached {
    id: SessionId,
    session: Session,
    events: Events,
    prompts: OpenPrompts,
}

impl Attached {
    async fn send(&mut self, text: &str, wait: Wait) -> Result<(), Failure> {
        let id = self.session.send(Content::text(text)).await;
        let sent = id.map_err(|error| self.refused("the message", &error))?;
        let name = self.id.clone();
        self.until(|event| match event {
            Event::Send { id, state } if *id == sent => match state {
                SendState::Accepted | SendState::Delivered | SendState::Processing => {
                    (wait == Wait::Accepted).then_some(Ok(()))
                }
                SendState::Processed => Some(Ok(())),
                SendState::Rejected(why) => Some(Err(Failure::new(
                    match why {
                        SendRejection::Unauthorized => Exit::Unauthorized,
                        _ => Exit::Failure,
                    },
                    format!("session {name} did not take the message: {why}"),
                ))),
                SendState::Queued | SendState::InFlight | SendState::Unknown => None,
            },
            _ => None,
        })
        .await
    }

    async fn decide(
        &mut self,
        request_id: Option<RequestId>,
        decision: Decision,
    ) -> Result<(), Failure> {
        self.caught_up().await?;
        let request_id = self.pick(request_id)?;
        self.session
            .decide(request_id.clone(), decision)
            .await
            .map_err(|error| self.refused("the answer", &error))?;
        let gone = |what: &str| {
            Failure::new(
                Exit::Failure,
                format!(
                    "prompt {}: {what}; your answer had no effect",
                    shown(&request_id)
                ),
            )
        };
        self.until(|event| match event {
            Event::PermissionSettled {
                request_id: id, by, ..
            } if *id == request_id => Some(match by {
                SettledBy::Us => Ok(()),
                SettledBy::AnotherViewer { name } => Err(gone(&match name {
                    Some(name) => format!("{} was faster", one_line(name, 200)),
                    None => "another viewer was faster".to_owned(),
                })),
            }),
            Event::AnswerRefused {
                request_id: id,
                why,
            } if *id == request_id => Some(Err(Failure::new(
                Exit::Unauthorized,
                format!(
                    "prompt {}: the answer was refused: {}",
                    shown(&request_id),
                    one_line(why, 200)
                ),
            ))),
            Event::PermissionWithdrawn { request_id: id } if *id == request_id => {
                Some(Err(gone("the agent no longer asks")))
            }
            _ => None,
        })
        .await
    }

    async fn interrupt(&mut self) -> Result<(), Failure> {
        // An interrupt that is asked for offline lapses soon.
        self.caught_up().await?;
        let asked = self.session.interrupt().await;
        let asked = asked.map_err(|error| self.refused("the interrupt", &error))?;
        let name = self.id.clone();
        self.until(|event| match event {
            Event::Request {
                request_id,
                outcome,
            } if *request_id == asked => Some(match outcome {
                RequestOutcome::Succeeded(_) => Ok(()),
                RequestOutcome::Failed(error) => Err(Failure::new(
                    Exit::Failure,
                    format!(
                        "the agent of session {name} did not stop: {}",
                        one_line(error, 200)
                    ),
                )),
                RequestOutcome::Unanswered | RequestOutcome::Expired | RequestOutcome::Closed => {
                    Err(Failure::timed_out(format!(
                        "the agent of session {name} to answer the interrupt"
                    )))
                }
            }),
            _ => None,
        })
        .await
    }

    async fn caught_up(&mut self) -> Result<(), Failure> {
        self.until(|event| matches!(event, Event::CaughtUp).then_some(Ok(())))
            .await
    }

    /// The prompt with this id, or the only one there is.
    fn pick(&self, request_id: Option<RequestId>) -> Result<RequestId, Failure> {
        let open: Vec<_> = self
            .prompts
            .unanswered()
            .map(|open| &open.request)
            .collect();
        if let Some(wanted) = request_id {
            if open.iter().any(|request| *request.request_id() == wanted) {
                return Ok(wanted);
            }
            let (session, id) = (&self.id, shown(&wanted));
            return Err(Failure::new(
                Exit::Failure,
                format!(
                    "session {session}: no prompt {id} is open; leave the id out to answer the only one"
                ),
            ));
        }
        match open.as_slice() {
            [] => Err(Failure::new(
                Exit::Failure,
                format!("session {}: no prompt is open; nothing to answer", self.id),
            )),
            [only] => Ok(only.request_id().clone()),
            several => {
                let mut notes = io::stderr();
                for request in several {
                    let input = json_line(request.input().as_str(), BRIEF);
                    let tool = one_line(request.tool_name(), BRIEF);
                    let id = shown(request.request_id());
                    let _ = writeln!(notes, "{id}  {tool} {input}");
                }
                Err(Failure::usage(format!(
                    "session {}: {} prompts are open; name one of them by its id",
                    self.id,
                    several.len()
                )))
            }
        }
    }

    /// Reads events until one of them decides.
    async fn until<T>(
        &mut self,
        mut decides: impl FnMut(&Event) -> Option<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        while let Some(event) = self.events.next().await {
            self.prompts.event(&event);
            if let Some(result) = decides(&event) {
                return result;
            }
            if let Event::Closed(cause) = event {
                return Err(Failure::closed(&self.id, cause));
            }
        }
        Err(Failure::new(
            Exit::ConnectionLost,
            format!("session {}: the connection ended; try again", self.id),
        ))
    }

    fn timed_out(&self, waiting_for: &str) -> Failure {
        let waiting = format!("session {}: {waiting_for}", self.id);
        match self.session.status() {
            Status::Waiting { cause, .. } => Failure::new(
                Exit::TimedOut,
                format!(
                    "timed out waiting for {waiting}: not connected, {cause}; check the network and --base-url"
                ),
            ),
            _ => Failure::timed_out(waiting),
        }
    }

    fn refused(&self, what: &str, error: &dyn std::error::Error) -> Failure {
        Failure::new(
            Exit::Failure,
            format!("session {}: {what} was refused: {error}", self.id),
        )
    }
}

fn shown(request_id: &RequestId) -> String {
    one_line(request_id.as_str(), 200)
}
