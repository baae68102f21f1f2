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
            field(row.session_status.as_deref()),
            field(row.updated_at.as_deref()),
            field(row.title.as_deref()),
        )?;
    }
    Ok(out.flush()?)
}

/// A JSON value on one line. Bare line breaks in it are only space.
pub(crate) fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
