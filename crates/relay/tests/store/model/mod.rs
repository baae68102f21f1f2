//! Whatever is asked of a store, in whatever order, it answers as a list that forgets nothing would.

mod expected;
mod operation;

use std::time::{Duration, SystemTime};

use attache_protocol::SessionId;
use attache_relay::{MemoryStore, SqliteStore};
use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};

use self::{
    expected::Model,
    operation::{Operation, ask, operation},
};
use crate::{quick_folder, soon};

#[test]
fn every_store_answers_as_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let config = Config {
        cases: 384,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&vec(operation(), 1..50), |operations| {
            runtime.block_on(soon(compare(operations)))
        })
        .unwrap();
}

async fn compare(operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let folder = quick_folder();
    let memory = MemoryStore::new();
    let mut sqlite = SqliteStore::open(folder.path()).unwrap();
    let mut model = Model::default();
    for (step, operation) in operations.iter().enumerate() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + step as u64);
        if *operation == Operation::Reopen {
            drop(sqlite);
            sqlite = SqliteStore::open(folder.path()).unwrap();
        }
        let expected = model.answer(operation, now);
        for (name, answer) in [
            ("memory", ask(&memory, operation, now).await),
            ("sqlite", ask(&sqlite, operation, now).await),
        ] {
            if answer != expected {
                let told = format!(
                    "{name}, step {step}, {operation:?}: {answer:#?}, expected {expected:#?}"
                );
                return Err(TestCaseError::fail(told));
            }
        }
    }
    Ok(())
}

fn session_id(session: u8) -> SessionId {
    SessionId::parse(&format!("session_{session}")).unwrap()
}
