//! A viewer's configuration as it is kept: what is left as usual takes no room.

use alloc::boxed::Box;
use core::ops::Deref;

use super::{CredentialPlacement, History, Limits, Liveness, Patience, Transport, ViewerConfig};
use crate::{
    ids::{OrganizationId, SessionId},
    policy::Profile,
};

/// What of a [`ViewerConfig`] is needed as long as the viewer lives. The fields are called the same there.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) session: SessionId,
    pub(super) organization: Option<OrganizationId>,
    pub(super) viewer_only: bool,
    pub(super) initialize: bool,
    pub(super) transport: Transport,
    pub(super) history: History,
    pub(super) credential: CredentialPlacement,
    pub(super) profile: Choice<Profile>,
    pub(super) liveness: Choice<Liveness>,
    pub(super) patience: Choice<Patience>,
    pub(super) limits: Choice<Limits>,
}

impl From<ViewerConfig> for Settings {
    fn from(config: ViewerConfig) -> Self {
        Self {
            session: config.session,
            organization: config.organization,
            viewer_only: config.viewer_only,
            initialize: config.initialize,
            transport: config.transport,
            history: config.history,
            credential: config.credential,
            profile: Choice::of(config.profile, &Profile::RESILIENT),
            liveness: Choice::of(config.liveness, &Liveness::USUAL),
            patience: Choice::of(config.patience, &Patience::USUAL),
            limits: Choice::of(config.limits, &Limits::USUAL),
        }
    }
}

/// Numbers that are the usual ones, or others.
#[derive(Clone, Debug)]
pub(super) enum Choice<T: 'static> {
    Usual(&'static T),
    Own(Box<T>),
}

impl<T: PartialEq> Choice<T> {
    fn of(chosen: T, usual: &'static T) -> Self {
        if chosen == *usual {
            Self::Usual(usual)
        } else {
            Self::Own(Box::new(chosen))
        }
    }
}

impl<T> Deref for Choice<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Usual(usual) => usual,
            Self::Own(own) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn what_was_changed_is_kept_and_what_was_not_takes_no_room() {
        let mut config = ViewerConfig::new(SessionId::parse("session_x").unwrap());
        config.liveness.ping_after = Duration::from_secs(7);
        config.limits.events = 7;
        let settings = Settings::from(config);

        assert_eq!(settings.liveness.ping_after, Duration::from_secs(7));
        assert_eq!(settings.limits.events, 7);
        assert!(matches!(settings.profile, Choice::Usual(_)));
        assert!(matches!(settings.patience, Choice::Usual(_)));
        assert_eq!(*settings.profile, Profile::resilient());
        assert_eq!(*settings.patience, Patience::default());
    }
}
