//! A session held against a simple model of what it promises its workers.

mod promise;
mod prompts;
mod step;

use core::time::Duration;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::time::sleep;

use self::{
    promise::Model,
    step::{Answer, Step, step},
};
use super::Epoch;
use crate::{
    Agent, Identity, MemoryStore, Relay, RelayError, RelayOptions, Store,
    line::Line,
    store::{After, Origin, SessionDetails, SessionRecord},
};

struct Real {
    store: Arc<MemoryStore>,
    relay: Relay,
    record: SessionRecord,
    agent: Option<Agent>,
}

impl Real {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let relay = Relay::new(store.clone(), RelayOptions::default());
        let created = relay.create(None, "a model", SessionDetails::default());
        let record = created.await.unwrap();
        Self {
            store,
            relay,
            record,
            agent: None,
        }
    }

    async fn run(&mut self, step: &Step) -> Result<Answer, RelayError> {
        let session = self.relay.session(&self.record.id).await?;
        match step {
            Step::Register => session.register(None).await.map(|_| Answer::Done),
            Step::Attach => {
                self.agent = Some(self.relay.attach_agent(&self.record.id).await?);
                Ok(Answer::Done)
            }
            Step::DropAgent => {
                self.agent = None;
                Ok(Answer::Done)
            }
            Step::Upload { epoch, uuid } => {
                let published = session.upload(Epoch(*epoch), vec![line(*uuid)]).await?;
                Ok(published.into_iter().next().unwrap().into())
            }
            Step::Post { uuid } => {
                let published = session
                    .post(vec![line(*uuid)], Arc::new(Identity::owner()))
                    .await?;
                Ok(published.into_iter().next().unwrap().into())
            }
            Step::Acknowledge {
                epoch,
                uuid,
                status,
            } => {
                let updates = vec![(uuid.to_string(), *status)];
                let acknowledged = session.acknowledge(Epoch(*epoch), updates).await;
                acknowledged.map(|()| Answer::Done)
            }
            Step::Heartbeat { epoch } => session
                .heartbeat(Epoch(*epoch))
                .await
                .map(|()| Answer::Done),
            Step::Listen { epoch, after } => {
                let listening = session.listen(Epoch(*epoch), *after).await?;
                let (after, only) = (After::Sequence(listening.after), Some(Origin::Viewer));
                let page = self.store.frames(&self.record.id, after, only, 100).await?;
                let sequences = page.frames.iter().map(|frame| frame.sequence);
                let sent = sequences.filter(|at| !listening.skip.contains(at));
                Ok(Answer::Sent(sent.collect()))
            }
            Step::Archive { epoch } => session
                .archive(Some(Epoch(*epoch)))
                .await
                .map(|()| Answer::Done),
            Step::Wait { seconds } => {
                sleep(Duration::from_secs(*seconds)).await;
                Ok(Answer::Done)
            }
            Step::Restart => {
                self.relay.kill();
                self.relay = Relay::new(self.store.clone(), RelayOptions::default());
                // Somebody asks for it at once.
                self.relay.session(&self.record.id).await?;
                Ok(Answer::Done)
            }
        }
    }
}

fn line(uuid: u8) -> Line {
    Line::accept(&format!(r#"{{"type":"user","uuid":"{uuid}"}}"#)).unwrap()
}

async fn compare(steps: Vec<Step>) {
    let mut real = Real::new().await;
    let mut model = Model::new(RelayOptions::default().worker_lease);
    for (at, step) in steps.into_iter().enumerate() {
        let step = &step.in_epoch(model.epoch);
        let answer = real.run(step).await.unwrap_or_else(Answer::from);
        assert_eq!(answer, model.expect(step), "step {at}: {step:?}");

        let id = &real.record.id;
        let page = real
            .store
            .frames(id, After::Sequence(0), None, 100)
            .await
            .unwrap();
        let log = page
            .frames
            .iter()
            .map(|frame| (frame.uuid.parse().unwrap(), frame.origin));
        assert_eq!(log.collect::<Vec<_>>(), model.log, "step {at}: {step:?}");
        let cursor = real.store.agent_cursor(id).await.unwrap();
        assert_eq!(cursor, model.cursor(), "step {at}: {step:?}");
        let epoch = real.store.session(id).await.unwrap().unwrap().worker.epoch;
        assert_eq!(epoch, model.epoch, "step {at}: {step:?}");
        let connected = model.is_connected(real.agent.as_ref());
        assert_eq!(
            real.relay.is_connected(id),
            connected,
            "step {at}: {step:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_session_keeps_what_it_promises_its_workers(steps in prop::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(compare(steps));
    }
}
