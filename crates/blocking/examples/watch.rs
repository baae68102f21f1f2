//! Watches a session:
//! `ATTACHE_TOKEN=… cargo run -p attache-blocking --example blocking-watch -- https://relay.example session_01ab`

use std::{env, error::Error, io};

use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Event, ViewerConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: watch BASE_URL SESSION".into());
    };
    watch(
        &base_url,
        &session,
        &env::var("ATTACHE_TOKEN")?,
        io::stdout(),
    )
}

pub(crate) fn watch(
    base_url: &str,
    session: &str,
    token: &str,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let mut config = ViewerConfig::new(SessionId::parse(session)?);
    config.viewer_only = true;

    let (_session, events, driver) =
        attache_blocking::spawn(config, options, StaticToken::new(token))?;
    for event in events {
        if let Event::Message(message) = event {
            writeln!(output, "{}", message.frame.as_str())?;
        } else if let Event::Status(status) = event {
            eprintln!("{status:?}");
        }
    }
    let cause = driver.join().map_err(|_| "the driver panicked")?;
    writeln!(output, "{cause}")?;
    Ok(())
}
