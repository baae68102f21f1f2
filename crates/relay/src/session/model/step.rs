//! What can happen to a session, and what comes back.

use proptest::prelude::*;

use crate::{
    RelayError,
    session::{DeliveryStatus, Published},
};

#[derive(Clone, Debug)]
pub(super) enum Step {
    // Epochs count back from the newest one until the step is taken.
    Register,
    Attach,
    DropAgent,
    Upload {
        epoch: u64,
        uuid: u8,
    },
    Post {
        uuid: u8,
    },
    Acknowledge {
        epoch: u64,
        uuid: u8,
        status: DeliveryStatus,
    },
    Heartbeat {
        epoch: u64,
    },
    Listen {
        epoch: u64,
        after: Option<u64>,
    },
    Archive {
        epoch: u64,
    },
    Wait {
        seconds: u64,
    },
    Restart,
}

impl Step {
    /// The same with epochs counted from the first one instead of back from `newest`.
    pub(super) fn in_epoch(mut self, newest: u64) -> Self {
        match &mut self {
            Self::Upload { epoch, .. }
            | Self::Acknowledge { epoch, .. }
            | Self::Heartbeat { epoch }
            | Self::Listen { epoch, .. }
            | Self::Archive { epoch } => *epoch = newest.saturating_sub(*epoch),
            Self::Register
            | Self::Attach
            | Self::DropAgent
            | Self::Post { .. }
            | Self::Wait { .. }
            | Self::Restart => {}
        }
        self
    }
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just(DeliveryStatus::Received),
        Just(DeliveryStatus::Processing),
        Just(DeliveryStatus::Processed),
    ];
    // How many takeovers ago; mostly none.
    let epoch = prop_oneof![8 => Just(0_u64), 2 => 1..3_u64];
    let uuid = 0..8_u8;
    prop_oneof![
        3 => Just(Step::Register),
        1 => Just(Step::Attach),
        1 => Just(Step::DropAgent),
        6 => (epoch.clone(), uuid.clone()).prop_map(|(epoch, uuid)| Step::Upload { epoch, uuid }),
        6 => uuid.clone().prop_map(|uuid| Step::Post { uuid }),
        8 => (epoch.clone(), uuid, status)
            .prop_map(|(epoch, uuid, status)| Step::Acknowledge { epoch, uuid, status }),
        2 => epoch.clone().prop_map(|epoch| Step::Heartbeat { epoch }),
        6 => (epoch.clone(), prop::option::of(0..10_u64))
            .prop_map(|(epoch, after)| Step::Listen { epoch, after }),
        1 => (0..9_u64).prop_map(|epoch| Step::Archive { epoch }),
        3 => prop_oneof![Just(17_u64), Just(59), Just(61)].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// What a call is answered with, in a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Stored,
    Duplicate,
    Superseded,
    LeaseLost,
    Archived,
    Sent(Vec<u64>),
}

impl From<RelayError> for Answer {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Superseded => Self::Superseded,
            RelayError::LeaseLost => Self::LeaseLost,
            RelayError::Archived => Self::Archived,
            RelayError::SessionNotFound(_)
            | RelayError::Forbidden { .. }
            | RelayError::Refused(_)
            | RelayError::WorkerStateTooLarge(_)
            | RelayError::TooManyOpenRequests(_)
            | RelayError::AgentBehind(_)
            | RelayError::Stopped
            | RelayError::Store(_)
            | RelayError::NoRandomness => panic!("{error}"),
        }
    }
}

impl From<Published> for Answer {
    fn from(published: Published) -> Self {
        match published {
            Published::Stored(_) => Self::Stored,
            Published::Duplicate(_) => Self::Duplicate,
            Published::Live | Published::Ignored | Published::Refused(_) => panic!("{published:?}"),
        }
    }
}
