//! `log`: what a session's server has stored, frame by frame.

use std::io::{self, Write};

use crate::{api::Api, arguments::Log, exit::Failure, ls::on_one_line, token::Tokens};

pub(crate) async fn run(options: Log) -> Result<(), Failure> {
    let options = options.one_shot;
    let tokens = Tokens::choose(&options.connection.server)?;
    let api = Api::new(&options.connection, tokens, options.patience)?;
    let path = format!("/v1/sessions/{}/events", options.session.v1());
    let what = format!("the log of session {}", options.session);
    let mut frames = api.list(&path, &what);
    let mut out = io::BufWriter::new(io::stdout().lock());
    while let Some(frame) = frames.next().await? {
        writeln!(out, "{}", on_one_line(frame.get()))?;
    }
    Ok(out.flush()?)
}
