//! Watches a session until it ends, or until Ctrl-C:
//! `ATTACHE_TOKEN=… cargo run -p attache-tokio --example tokio-watch -- https://relay.example session_01ab`

use std::{env, error::Error, io};

use attache_protocol::{
    SessionId,
    viewer::{Event, ViewerConfig},
};
use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: watch BASE_URL SESSION".into());
    };
    let token = env::var("ATTACHE_TOKEN")?;
    watch(&base_url, &session, &token, io::stdout()).await
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

    let (session, mut events, driver) =
        attache_tokio::spawn(config, options, StaticToken::new(token))?;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Message(message)) => writeln!(output, "{}", message.frame.as_str())?,
                Some(Event::Status(status)) => eprintln!("{status:?}"),
                Some(_) => {}
                None => break,
            },
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                session.close().await?;
            }
        }
    }
    writeln!(output, "{}", driver.await?)?;
    Ok(())
}
