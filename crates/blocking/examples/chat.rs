//! Talks with an agent:
//! `ATTACHE_TOKEN=… cargo run -p attache-blocking --example blocking-chat -- https://relay.example session_01ab`

use std::{env, error::Error, io, iter, thread};

use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Content, Event, ViewerConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat BASE_URL SESSION".into());
    };
    let token = env::var("ATTACHE_TOKEN")?;
    let lines = iter::from_fn(|| io::stdin().lines().next()?.ok());
    chat(&base_url, &session, &token, lines, io::stdout())
}

/// Says every line, shows every answer, and leaves when there are no more lines.
pub(crate) fn chat(
    base_url: &str,
    session: &str,
    token: &str,
    lines: impl Iterator<Item = String> + Send + 'static,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = ViewerConfig::new(SessionId::parse(session)?);

    let (session, events, driver) =
        attache_blocking::spawn(config, options, StaticToken::new(token))?;
    thread::spawn(move || {
        for line in lines {
            if let Err(error) = session.send(Content::text(&line)) {
                eprintln!("not sent: {error}");
            }
        }
        session.close()
    });
    for event in events {
        if let Event::Message(message) = event
            && let Some(answer) = message.frame.as_assistant()
        {
            for words in answer.message.content.words() {
                writeln!(output, "{words}")?;
            }
        }
    }
    driver.join().map_err(|_| "the driver panicked")?;
    Ok(())
}
