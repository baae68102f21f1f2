//! What is kept of a session's worker.

use attache_protocol::ByteString;

/// What is known of a session's worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Who may act as the session's agent: the holder of the newest epoch. 0 when there was none.
    pub epoch: u64,
    /// Which process that is, in its own words, when it said so: the same process may register
    /// again, and then it still waits for what it asked before.
    pub instance: Option<ByteString>,
    /// What it last said of itself.
    pub report: WorkerReport,
}

/// What a worker says of itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// What it is doing; `None` when it never said.
    pub status: Option<WorkerStatus>,
    /// What it waits for, when a person has to act: a JSON object.
    pub requires_action_details: Option<ByteString>,
    /// What it wants to find again later: a JSON object, or empty.
    pub external_metadata: ByteString,
}

impl core::fmt::Debug for WorkerReport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let metadata = self.external_metadata.len();
        write!(f, "WorkerReport({:?}, {metadata} bytes)", self.status)
    }
}

/// What a worker is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WorkerStatus {
    /// Nothing; it waits for a person.
    Idle,
    /// The agent works.
    Running,
    /// A person has to act.
    RequiresAction,
}

impl WorkerStatus {
    /// The status in the wire's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::RequiresAction => "requires_action",
        }
    }
}

/// A secret key.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Takes the key's bytes, which have to come from a source of randomness.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SigningKey(<redacted>)")
    }
}
