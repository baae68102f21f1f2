//! Talks with an agent, on smol:
//! `ATTACHE_TOKEN=… cargo run -p attache-async-std --example async-std-chat -- https://relay.example session_01ab`

use std::{env, error::Error, io};

use attache_async_std::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Content, Event, ViewerConfig},
};
use smol::{
    Unblock, io::AsyncBufReadExt as _, io::BufReader, stream::Stream, stream::StreamExt as _,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat BASE_URL SESSION".into());
    };
    let token = env::var("ATTACHE_TOKEN")?;
    let lines = BufReader::new(Unblock::new(io::stdin())).lines();
    smol::block_on(chat(&base_url, &session, &token, lines, io::stdout()))
}

/// Says every line, shows every answer, and leaves when there are no more lines.
pub(crate) async fn chat(
    base_url: &str,
    session: &str,
    token: &str,
    mut lines: impl Stream<Item = io::Result<String>> + Send + Unpin + 'static,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = ViewerConfig::new(SessionId::parse(session)?);

    let (session, mut events, driver) =
        attache_async_std::connect(config, options, StaticToken::new(token))?;
    let driver = smol::spawn(driver);
    let typing = smol::spawn(async move {
        while let Some(Ok(line)) = lines.next().await {
            if let Err(error) = session.send(Content::text(&line)).await {
                eprintln!("not sent: {error}");
            }
        }
        session.close().await
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
    driver.await;
    drop(typing);
    Ok(())
}
