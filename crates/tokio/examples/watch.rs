//! Watches a session: `ATTACHE_TOKEN=… cargo run --example watch -- https://relay.example session_01ab`

use std::{env, error::Error};

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
    let base_url = BaseUrl::parse(&base_url, Plaintext::LoopbackOnly)?;
    let token = StaticToken::new(env::var("ATTACHE_TOKEN")?);
    let mut config = ViewerConfig::new(SessionId::parse(&session)?);
    config.viewer_only = true;

    let (session, mut events, driver) =
        attache_tokio::spawn(config, Options::new(base_url), token)?;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Message(message)) => println!("{}", message.frame.as_str()),
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
    eprintln!("{}", driver.await?);
    Ok(())
}
