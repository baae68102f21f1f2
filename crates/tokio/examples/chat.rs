//! Talks with an agent:
//! `ATTACHE_TOKEN=… cargo run -p attache-tokio --example tokio-chat -- https://relay.example session_01ab`

use std::{env, error::Error, io, iter, thread};

use attache_protocol::{
    SessionId,
    viewer::{Content, Event, ViewerConfig},
};
use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};
use tokio::runtime::Handle;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat BASE_URL SESSION".into());
    };
    let token = env::var("ATTACHE_TOKEN")?;
    let lines = iter::from_fn(|| io::stdin().lines().next()?.ok());
    chat(&base_url, &session, &token, lines, io::stdout()).await
}

/// Says every line, shows every answer, and leaves when there are no more lines.
pub(crate) async fn chat(
    base_url: &str,
    session: &str,
    token: &str,
    lines: impl Iterator<Item = String> + Send + 'static,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = ViewerConfig::new(SessionId::parse(session)?);

    let (session, mut events, driver) =
        attache_tokio::spawn(config, options, StaticToken::new(token))?;
    // A thread: a runtime could not end while one of its own waits for the keyboard.
    let runtime = Handle::current();
    thread::spawn(move || {
        for line in lines {
            if let Err(error) = runtime.block_on(session.send(Content::text(&line))) {
                eprintln!("not sent: {error}");
            }
        }
        runtime.block_on(session.close())
    });
    while let Some(event) = events.next().await {
        if let Event::Message(message) = event
            && let Some(answer) = message.frame.as_assistant()
        {
            for words in answer.message.content.words() {
                writeln!(output, "{words}")?;
            }
        }
    }
    driver.await?;
    Ok(())
}
