//! Prompts on a terminal: how they are shown, and what is typed at them.

use std::{
    io::{self, Write},
    time::Duration,
};

use attache_protocol::{
    frame::{JsonShape, RawJson, RequestId},
    viewer::{Allow, Decision, PromptState, Standing},
};

use super::{Terminal, Typing, Watching};
use crate::{
    attach::{command::Command, face::Moment},
    prompts::OpenPrompt,
    render::{ASKING, DIM, json_line, one_line},
};

/// A bare `y`, `n` or `e` this soon after a prompt went away was meant for it.
const AFTERTHOUGHT: Duration = Duration::from_secs(5);
/// The longest input of a prompt that is shown whole, in characters.
const INPUT: usize = 10_000;
/// The longest name of a tool, in characters.
const NAME: usize = 200;

/// What a typed line says to a prompt.
pub(super) enum Answer {
    Understood(Option<Command>),
    SomethingElse,
}

impl<O: Write, N: Write> Terminal<O, N> {
    /// Shows the oldest open prompt unless it is on display already.
    pub(super) fn show_prompt(&mut self) -> io::Result<()> {
        let Some(open) = self.prompts.current().cloned() else {
            self.shown = None;
            return Ok(());
        };
        let id = open.request.request_id();
        if self.shown.as_ref() == Some(id) {
            return Ok(());
        }
        self.shown = Some(id.clone());
        let waiting = self.prompts.unanswered().count() - 1;
        self.prompt(&open, waiting)
    }

    fn prompt(&mut self, open: &OpenPrompt, waiting: usize) -> io::Result<()> {
        let request = &open.request;
        let texts = request.texts();
        let tool = one_line(
            texts.display_name.as_deref().unwrap_or(request.tool_name()),
            NAME,
        );
        self.transcript
            .line(ASKING, &format!("? May the agent use {tool}"))?;
        let input = json_line(request.input().as_str(), INPUT);
        self.transcript.line(DIM, &format!("  {input}"))?;
        for (title, text) in [
            ("", &texts.title),
            ("", &texts.description),
            ("why: ", &texts.decision_reason),
            ("path: ", &texts.blocked_path),
        ] {
            if let Some(text) = text {
                let text = one_line(text, INPUT);
                self.transcript.line(DIM, &format!("  {title}{text}"))?;
            }
        }
        if self.watching == Watching::Only {
            return Ok(());
        }
        let more = match waiting {
            0 => String::new(),
            more => format!(" ({more} more after this one)"),
        };
        let keys = "  y allows, n denies, e edits the input; then Enter";
        self.transcript.line(ASKING, &format!("{keys}{more}"))
    }

    pub(super) fn prompt_gone(&mut self, request_id: &RequestId, now: Moment) {
        if self.shown.as_ref() == Some(request_id) {
            self.shown = None;
            self.prompt_gone_at = Some(now.instant);
        }
        if self.typing == Typing::Input(request_id.clone()) {
            self.typing = Typing::Message;
        }
    }

    /// The line after `e`: a new input, or nothing to leave the prompt as it is.
    pub(super) fn edited(
        &mut self,
        request_id: RequestId,
        line: &str,
    ) -> io::Result<Option<Command>> {
        let line = line.trim();
        if line.is_empty() {
            self.typing = Typing::Message;
            self.note("nothing changed; answer with y or n")?;
            return Ok(None);
        }
        match RawJson::parse(line.to_owned()) {
            Ok(input) if input.shape() == JsonShape::Object => {
                self.typing = Typing::Message;
                Ok(Some(Command::Decide {
                    request_id,
                    decision: Decision::Allow(Allow {
                        updated_input: Some(input),
                        ..Allow::default()
                    }),
                }))
            }
            Ok(_) => {
                self.note("the input is a JSON object; type it again, or nothing to go back")?;
                Ok(None)
            }
            Err(error) => {
                self.note(&format!(
                    "no JSON: {error}; type it again, or nothing to go back"
                ))?;
                Ok(None)
            }
        }
    }

    /// What `line` says to the prompt on display, if it is an answer.
    pub(super) fn answer(&mut self, open: &OpenPrompt, line: &str) -> io::Result<Answer> {
        let request_id = open.request.request_id().clone();
        let decision = match line.trim() {
            "y" | "yes" if open.state == PromptState::Unverified => {
                self.note("since the drop it is not known whether this is still asked; y! allows it anyway")?;
                return Ok(Answer::Understood(None));
            }
            "y" | "yes" => Decision::allow(),
            "y!" => Decision::Allow(Allow {
                standing: Standing::EvenIfUnverified,
                ..Allow::default()
            }),
            "n" | "no" => Decision::deny("The user denied this."),
            "e" => {
                let input = json_line(open.request.input().as_str(), INPUT);
                self.note("type the new input as JSON on one line; it was")?;
                self.note(&input)?;
                self.typing = Typing::Input(request_id);
                return Ok(Answer::Understood(None));
            }
            other => match other.strip_prefix("n ") {
                Some(reason) => Decision::deny(reason.trim()),
                None => return Ok(Answer::SomethingElse),
            },
        };
        Ok(Answer::Understood(Some(Command::Decide {
            request_id,
            decision,
        })))
    }

    pub(super) fn is_afterthought(&self, line: &str, now: Moment) -> bool {
        matches!(line.trim(), "y" | "n" | "e" | "y!")
            && self
                .prompt_gone_at
                .is_some_and(|gone| now.instant.saturating_duration_since(gone) < AFTERTHOUGHT)
    }
}
