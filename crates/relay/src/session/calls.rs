//! What a worker asks of its session.

use std::{collections::HashSet, sync::Arc};

use attache_protocol::ByteString;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{Command, DeliveryStatus, Epoch, Mailbox, Published, SessionHandle};
use crate::{
    RelayError,
    line::Line,
    store::{WorkerReport, WorkerStatus},
};

type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

/// What the holder of an epoch can ask of the session's task.
pub(super) enum WorkerCall {
    Upload {
        lines: Vec<Line>,
        reply: Reply<Vec<Published>>,
    },
    Report {
        change: ReportChange,
        reply: Reply<()>,
    },
    Describe {
        reply: Reply<WorkerReport>,
    },
    Acknowledge {
        updates: Vec<(String, DeliveryStatus)>,
        reply: Reply<()>,
    },
    Heartbeat {
        reply: Reply<()>,
    },
    Listen {
        after: Option<u64>,
        reply: Reply<Listening>,
    },
}

/// What a worker says anew of itself; what is absent stays.
#[derive(Default)]
pub(crate) struct ReportChange {
    pub(crate) status: Option<WorkerStatus>,
    /// A JSON object. Goes with a status, or alone.
    pub(crate) requires_action_details: Option<ByteString>,
    /// Replaces what stands under its names; `None` takes it away.
    pub(crate) external_metadata: Vec<(String, Option<Box<RawValue>>)>,
}

/// A worker's open stream.
pub(crate) struct Listening {
    pub(crate) mailbox: Arc<Mailbox>,
    /// The last sequence number that is not sent.
    pub(crate) after: u64,
    /// Later ones that need not be sent either.
    pub(crate) skip: HashSet<u64>,
}

impl SessionHandle {
    /// Seats a new worker, which may name the process that it is, and ends whoever was there.
    pub(crate) async fn register(&self, instance: Option<ByteString>) -> Result<Epoch, RelayError> {
        self.ask(|reply| Command::Register { instance, reply })
            .await?
    }

    pub(crate) async fn upload(
        &self,
        by: Epoch,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        self.call(by, |reply| WorkerCall::Upload { lines, reply })
            .await
    }

    pub(crate) async fn report(&self, by: Epoch, change: ReportChange) -> Result<(), RelayError> {
        self.call(by, |reply| WorkerCall::Report { change, reply })
            .await
    }

    pub(crate) async fn describe(&self, by: Epoch) -> Result<WorkerReport, RelayError> {
        self.call(by, |reply| WorkerCall::Describe { reply }).await
    }

    pub(crate) async fn acknowledge(
        &self,
        by: Epoch,
        updates: Vec<(String, DeliveryStatus)>,
    ) -> Result<(), RelayError> {
        self.call(by, |reply| WorkerCall::Acknowledge { updates, reply })
            .await
    }

    pub(crate) async fn heartbeat(&self, by: Epoch) -> Result<(), RelayError> {
        self.call(by, |reply| WorkerCall::Heartbeat { reply }).await
    }

    pub(crate) async fn listen(
        &self,
        by: Epoch,
        after: Option<u64>,
    ) -> Result<Listening, RelayError> {
        self.call(by, |reply| WorkerCall::Listen { after, reply })
            .await
    }

    async fn call<T>(
        &self,
        by: Epoch,
        call: impl FnOnce(Reply<T>) -> WorkerCall,
    ) -> Result<T, RelayError> {
        self.ask(|reply| Command::AsWorker {
            by,
            call: call(reply),
        })
        .await?
    }
}
