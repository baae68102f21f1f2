//! An agent that repeats what it is told until somebody says "bye":
//! `ATTACHE_TOKEN=… cargo run -p attache-tokio --example tokio-worker -- https://relay.example`

use std::{env, error::Error, io};

use attache_protocol::worker::{
    AgentState, Delivery, NewSession, SessionChoice, WorkerConfig, WorkerEvent,
};
use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let base_url = env::args().nth(1).ok_or("usage: worker BASE_URL")?;
    let token = env::var("ATTACHE_TOKEN")?;
    work(&base_url, &token, io::stdout()).await
}

pub(crate) async fn work(
    base_url: &str,
    token: &str,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));

    let (session, mut events, driver) =
        attache_tokio::spawn_worker(config, options, StaticToken::new(token))?;
    while let Some(event) = events.next().await {
        if let WorkerEvent::Registered(id) = event {
            writeln!(output, "{id}")?;
        } else if let WorkerEvent::Inbound(inbound) = event
            && let Some(said) = inbound.frame.as_user()
        {
            session.report(AgentState::Running).await?;
            let words: Vec<&str> = said.message.content.words().collect();
            // A `Debug` string of plain text is a JSON string.
            let answer = format!(
                r#"{{"type":"assistant","uuid":"{}-answer","message":{{"role":"assistant","content":[{{"type":"text","text":{:?}}}]}}}}"#,
                inbound.event_id.as_str(),
                words.join(" "),
            );
            session.upload(answer.into()).await?;
            let processed = Delivery::Processed;
            session.acknowledge(inbound.event_id, processed).await?;
            session.report(AgentState::Idle).await?;
            if words == ["bye"] {
                session.close().await?;
            }
        }
    }
    writeln!(output, "{}", driver.await?)?;
    Ok(())
}
