//! Watches a session, on async-std:
//! `ATTACHE_TOKEN=… cargo run -p attache-async-std --example async-std-watch -- https://relay.example session_01ab`

use std::{env, error::Error, io};

use async_std::task;
use attache_async_std::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Event, ViewerConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: watch BASE_URL SESSION".into());
    };
    let token = env::var("ATTACHE_TOKEN")?;
    task::block_on(watch(&base_url, &session, &token, io::stdout()))
}

pub(crate) async fn watch(
    base_url: &str,
    session: &str,
    token: &str,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let mut config = ViewerConfig::new(SessionId::parse(session)?);
    config.viewer_only = true;

    let (_session, mut events, driver) =
        attache_async_std::spawn(config, options, StaticToken::new(token))?;
    while let Some(event) = events.next().await {
        if let Event::Message(message) = event {
            writeln!(output, "{}", message.frame.as_str())?;
        } else if let Event::Status(status) = event {
            eprintln!("{status:?}");
        }
    }
    writeln!(output, "{}", driver.await)?;
    Ok(())
}
