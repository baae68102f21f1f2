//! Frames that arrive while what came before them is still being loaded.

use alloc::collections::{BTreeSet, VecDeque};

use bytestring::ByteString;

use crate::{
    frame::{Frame, FrameKind},
    viewer::Limits,
};

use super::position::is_surely_stored;

/// The held frames, in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldFrames {
    frames: VecDeque<Held>,
    uuids: BTreeSet<ByteString>,
    bytes: usize,
}

/// A frame that arrived while the catch-up was running.
#[derive(Clone, Debug)]
pub(in crate::viewer) struct Held {
    pub(in crate::viewer) frame: Frame,
    pub(in crate::viewer) link: HeldFrom,
}

/// Whether a held frame's link is still up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum HeldFrom {
    ThisLink,
    EarlierLink,
}

impl HeldFrames {
    pub(super) fn push(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.as_str().len());
        if let Some(uuid) = frame.uuid() {
            self.uuids.insert(ByteString::from(&**uuid));
        }
        self.frames.push_back(Held {
            frame,
            link: HeldFrom::ThisLink,
        });
    }

    /// Whether so many times the limits are used up.
    pub(super) fn is_full(&self, limits: &Limits, times: usize) -> bool {
        let most = |limit: usize| limit.max(1).saturating_mul(times);
        self.frames.len() >= most(limits.held) || self.bytes >= most(limits.held_bytes)
    }

    /// The log contains `frame`: the copy that is held is superfluous. A request is kept, for being
    /// asked again says something.
    pub(super) fn drop_copy_of(&mut self, frame: &Frame) {
        let Some(uuid) = frame.uuid() else { return };
        if matches!(frame.kind(), FrameKind::ControlRequest { .. }) || !self.uuids.remove(&**uuid) {
            return;
        }
        let copy = |held: &Held| held.frame.uuid() == Some(uuid);
        if let Some(place) = self.frames.iter().position(copy)
            && let Some(held) = self.frames.remove(place)
        {
            self.bytes = self.bytes.saturating_sub(held.frame.as_str().len());
        }
    }

    /// What the server has stored for sure is loaded, in its place, on the next link. What is not there any
    /// more by then belongs to no place.
    pub(super) fn link_lost(&mut self) {
        for held in &mut self.frames {
            held.link = HeldFrom::EarlierLink;
        }
        let (uuids, bytes) = (&mut self.uuids, &mut self.bytes);
        self.frames.retain(|held| {
            let Some(uuid) = held.frame.uuid().filter(|_| is_surely_stored(&held.frame)) else {
                return true;
            };
            uuids.remove(&**uuid);
            *bytes = bytes.saturating_sub(held.frame.as_str().len());
            false
        });
    }

    pub(super) fn take(&mut self) -> VecDeque<Held> {
        core::mem::take(self).frames
    }
}
