//! Answers permission prompts, allowing some tools and nothing else:
//! `ATTACHE_TOKEN=… cargo run -p attache-tokio --example tokio-approver -- https://relay.example session_01ab Read Grep`

use std::{env, error::Error, io};

use attache_protocol::{
    SessionId,
    viewer::{Decision, Event, ViewerConfig},
};
use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(base_url), Some(session)) = (arguments.next(), arguments.next()) else {
        return Err("usage: approver BASE_URL SESSION TOOL...".into());
    };
    let tools: Vec<String> = arguments.collect();
    let token = env::var("ATTACHE_TOKEN")?;
    approve(&base_url, &session, &token, &tools, io::stdout()).await
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
        attache_tokio::spawn(config, options, StaticToken::new(token))?;
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
    driver.await?;
    Ok(())
}
