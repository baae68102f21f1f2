//! Answers permission prompts, allowing some tools and nothing else:
//! `ATTACHE_TOKEN=… cargo run -p attache-blocking --example blocking-approver -- https://relay.example session_01ab Read Grep`

use std::{env, error::Error, io};

use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Decision, Event, ViewerConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: approver BASE_URL SESSION TOOL...".into());
    };
    let tools: Vec<String> = arguments.collect();
    let token = env::var("ATTACHE_TOKEN")?;
    approve(&base_url, &session, &token, &tools, io::stdout())
}

pub(crate) fn approve(
    base_url: &str,
    session: &str,
    token: &str,
    tools: &[String],
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = ViewerConfig::new(SessionId::parse(session)?);

    let (session, events, driver) =
        attache_blocking::spawn(config, options, StaticToken::new(token))?;
    for event in events {
        if let Event::PermissionRequested(prompt) = event {
            let is_allowed = tools.iter().any(|tool| tool == prompt.tool_name());
            let decision = if is_allowed {
                Decision::allow()
            } else {
                Decision::deny("not on the list")
            };
            let verdict = if is_allowed { "allowed" } else { "denied" };
            writeln!(output, "{} {verdict}", prompt.tool_name())?;
            if let Err(error) = session.decide(prompt.request_id().clone(), decision) {
                eprintln!("not answered: {error}");
            }
        }
    }
    driver.join().map_err(|_| "the driver panicked")?;
    Ok(())
}
