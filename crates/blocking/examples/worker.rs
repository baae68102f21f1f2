//! An agent that repeats what it is told:
//! `ATTACHE_TOKEN=… cargo run -p attache-blocking --example blocking-worker -- https://relay.example`

use std::{env, error::Error, io};

use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
use attache_protocol::worker::{
    AgentState, Delivery, NewSession, SessionChoice, WorkerConfig, WorkerEvent,
};

fn main() -> Result<(), Box<dyn Error>> {
    let base_url = env::args().nth(1).ok_or("usage: worker BASE_URL")?;
    work(&base_url, &env::var("ATTACHE_TOKEN")?, io::stdout())
}

/// Works until somebody says "bye".
pub(crate) fn work(
    base_url: &str,
    token: &str,
    mut output: impl io::Write,
) -> Result<(), Box<dyn Error>> {
    let options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly)?);
    let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));

    let (session, events, driver) =
        attache_blocking::spawn_worker(config, options, StaticToken::new(token))?;
    for event in events {
        if let WorkerEvent::Registered(id) = event {
            writeln!(output, "{id}")?;
        } else if let WorkerEvent::Inbound(inbound) = event
            && let Some(said) = inbound.frame.as_user()
        {
            session.report(AgentState::Running)?;
            let words: Vec<&str> = said.message.content.words().collect();
            // A `Debug` string of plain text is a JSON string.
            let answer = format!(
                r#"{{"type":"assistant","uuid":"{}-answer","message":{{"role":"assistant","content":[{{"type":"text","text":{:?}}}]}}}}"#,
                inbound.event_id.as_str(),
                words.join(" "),
            );
            session.upload(answer.into())?;
            session.acknowledge(inbound.event_id, Delivery::Processed)?;
            session.report(AgentState::Idle)?;
            if words == ["bye"] {
                session.close()?;
            }
        }
    }
    let cause = driver.join().map_err(|_| "the driver panicked")?;
    writeln!(output, "{cause}")?;
    Ok(())
}
