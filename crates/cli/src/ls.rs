//! `ls`: the sessions there are.

use std::io::{self, Write};

use serde::Deserialize;

use crate::{api::Api, arguments::Ls, exit::Failure, render::one_line, token::Tokens};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Row {
    id: String,
    title: Option<String>,
    session_status: Option<String>,
    connection_status: Option<String>,
    updated_at: Option<String>,
}

pub(crate) async fn run(options: Ls) -> Result<(), Failure> {
    let tokens = Tokens::choose(&options.connection.server)?;
    let api = Api::new(&options.connection, tokens, options.patience)?;
    let mut sessions = api.list("/v1/sessions", "the list of sessions");
    let mut out = io::stdout().lock();
    while let Some(session) = sessions.next().await? {
        if options.json {
            writeln!(out, "{}", on_one_line(session.get()))?;
            continue;
        }
        let row: Row = serde_json::from_str(session.get()).unwrap_or_default();
        let field = |text: Option<&str>| one_line(text.unwrap_or("-"), 120);
        writeln!(
            out,
            "{}  {:<15}  {}  {}",
            one_line(&row.id, 140),
            one_line(row.state(), 120),
            field(row.updated_at.as_deref()),
            field(row.title.as_deref()),
        )?;
    }
    Ok(out.flush()?)
}

impl Row {
    /// What the session's agent is at, as far as it is there to be at anything.
    fn state(&self) -> &str {
        match (
            self.session_status.as_deref(),
            self.connection_status.as_deref(),
        ) {
            (Some("archived"), _) => "archived",
            (_, Some("disconnected")) => "disconnected",
            (Some("requires_action"), _) => "needs action",
            (Some(status), _) => status,
            (None, _) => "-",
        }
    }
}

/// A JSON value on one line. Bare line breaks in it are only space.
pub(crate) fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_away_is_at_nothing() {
        let state = |json: &str| {
            serde_json::from_str::<Row>(json)
                .unwrap()
                .state()
                .to_owned()
        };
        for (json, expected) in [
            (
                r#"{"session_status":"idle","connection_status":"connected"}"#,
                "idle",
            ),
            (r#"{"session_status":"running"}"#, "running"),
            (
                r#"{"session_status":"requires_action","connection_status":"connected"}"#,
                "needs action",
            ),
            (
                r#"{"session_status":"requires_action","connection_status":"disconnected"}"#,
                "disconnected",
            ),
            (
                r#"{"session_status":"archived","connection_status":"disconnected"}"#,
                "archived",
            ),
            (r#"{"session_status":"novel"}"#, "novel"),
            ("{}", "-"),
        ] {
            assert_eq!(state(json), expected, "{json}");
        }
    }
}
