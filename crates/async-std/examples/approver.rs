//! Answers permission prompts on async-std, allowing some tools and nothing else:
//! `ATTACHE_TOKEN=… cargo run -p attache-async-std --example async-std-approver -- https://relay.example session_01ab Read Grep`

use std::{env, error::Error, io};

use async_std::task;
use attache_async_std::{BaseUrl, Options, Plaintext, StaticToken};
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
    task::block_on(approve(&base_url, &session, &token, &tools, io::stdout()))
}

pub(crate) async fn approve(
    base_url: &str,
    session: &str,
    token: &str,
    tools: &[String],
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = ViewerConfig::new(SessionId::parse(session)?);

    let (session, mut events, driver) =
        attache_async_std::spawn(config, options, StaticToken::new(token))?;
    while let Some(event) = events.next().await {
        if let Event::PermissionRequested(prompt) = event {
            let (decision, verdict) = if tools.iter().any(|tool| tool == prompt.tool_name()) {
                (Decision::allow(), "allowed")
            } else {
                (Decision::deny("not on the list"), "denied")
            };
            writeln!(output, "{} {verdict}", prompt.tool_name())?;
            let request = prompt.request_id().clone();
            if let Err(error) = session.decide(request, decision).await {
                eprintln!("not answered: {error}");
            }
        }
    }
    driver.await;
    Ok(())
}
