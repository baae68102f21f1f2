//! Who stands behind a token, and for how long.

use core::time::Duration;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::watch;

use super::{Credential, Identity, Limits, TokenRegistry, secret::may_be_shares};
use crate::{
    Credentials, Relay, RelayError, RelayOptions,
    store::TokenHash,
    worker_token::{self, BadToken},
};

/// How often a token file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a wait for an expiry may be before the clock is read again: it may be set, and machines
/// sleep.
const READ_CLOCK_EVERY: Duration = Duration::from_secs(30);

/// What a relay remembers about letting people in.
pub(crate) struct Gate {
    pub(crate) limits: Limits,
    /// Counts the shares that were taken back.
    revocations: watch::Sender<u64>,
    /// Whether a task looks at the token file.
    watched: AtomicBool,
}

/// Why nobody stands behind a token.
#[derive(Debug)]
pub(crate) enum Unidentified {
    /// It is a worker's, good or not any more.
    Worker,
    /// The relay does not know it, or not any more.
    Unknown,
    /// It was good once.
    Expired,
    /// It could not be found out.
    Failed(RelayError),
}

impl Gate {
    pub(crate) fn new(options: &RelayOptions) -> Self {
        let (revocations, _) = watch::channel(0);
        Self {
            limits: Limits::new(options),
            revocations,
            watched: AtomicBool::new(false),
        }
    }

    /// A share was taken back.
    pub(crate) fn share_revoked(&self) {
        self.revocations.send_modify(|count| *count += 1);
    }
}

impl Relay {
    /// Who stands behind `token`.
    pub(crate) async fn identify(&self, token: &str) -> Result<Arc<Identity>, Unidentified> {
        if self.is_workers(token).await? {
            return Err(Unidentified::Worker);
        }
        let hash = TokenHash::of(token);
        let identity = if may_be_shares(token) {
            let share = self.store().share_with(&hash).await;
            let share = share.map_err(RelayError::from)?;
            share.map(Identity::shared)
        } else {
            match &self.options().credentials {
                Credentials::Open if token.is_empty() => None,
                Credentials::Open => Some(Identity::fixed(hash)),
                Credentials::Tokens(known) => {
                    Credentials::contain(known, token).then(|| Identity::fixed(hash))
                }
                Credentials::Registry(registry) => {
                    self.watch(registry);
                    if registry.find(&hash).is_none() {
                        registry.look_again().await;
                    }
                    registry.find(&hash).map(|entry| Identity::listed(&entry))
                }
            }
        };
        match identity {
            None => Err(Unidentified::Unknown),
            Some(identity) if identity.is_expired(SystemTime::now()) => Err(Unidentified::Expired),
            Some(identity) => Ok(Arc::new(identity)),
        }
    }

    /// Waits until the credential that `who` came in with has expired or is taken back. Cancel safe.
    pub(crate) fn credential_watch(
        &self,
        who: &Arc<Identity>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (relay, who) = (self.clone(), who.clone());
        async move {
            tokio::select! {
                () = expiry(who.expires_at) => {}
                () = relay.revocation(&who.credential, &who) => {}
            }
        }
    }

    async fn revocation(&self, credential: &Credential, who: &Identity) {
        let mut changes = match (credential, &self.options().credentials) {
            (Credential::Shared(..), _) => self.gate().revocations.subscribe(),
            (Credential::Listed(_), Credentials::Registry(registry)) => registry.changes(),
            (
                Credential::Any
                | Credential::Fixed(_)
                | Credential::Listed(_)
                | Credential::Worker(_),
                _,
            ) => {
                return core::future::pending().await;
            }
        };
        loop {
            changes.mark_unchanged();
            if !self.is_still_good(credential, who).await || changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn is_still_good(&self, credential: &Credential, who: &Identity) -> bool {
        match (credential, &self.options().credentials) {
            // A store in trouble takes nobody's word back.
            (Credential::Shared(_, hash), _) => {
                !matches!(self.store().share_with(hash).await, Ok(None))
            }
            (Credential::Listed(hash), Credentials::Registry(registry)) => registry
                .find(hash)
                .is_some_and(|entry| Identity::listed(&entry) == *who),
            (
                Credential::Any
                | Credential::Fixed(_)
                | Credential::Listed(_)
                | Credential::Worker(_),
                _,
            ) => true,
        }
    }

    async fn is_workers(&self, token: &str) -> Result<bool, RelayError> {
        if !worker_token::may_be_workers(token) {
            return Ok(false);
        }
        let read = self.worker_tokens().await?.read(token, SystemTime::now());
        Ok(!matches!(read, Err(BadToken::Foreign)))
    }

    /// Has the registry's file looked at from now on.
    fn watch(&self, registry: &TokenRegistry) {
        if self.gate().watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (registry, killed) = (registry.clone(), self.killed().clone());
        tokio::spawn(killed.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                registry.look_again().await;
            }
        }));
    }
}

/// Waits until the clock shows `at`; for ever without one.
pub(crate) async fn expiry(at: Option<SystemTime>) {
    let Some(at) = at else {
        return core::future::pending().await;
    };
    while let Ok(left) = at.duration_since(SystemTime::now()) {
        // A hair more: timers and clocks round differently.
        let wait = left + Duration::from_millis(1);
        tokio::time::sleep(wait.min(READ_CLOCK_EVERY)).await;
    }
}

impl From<RelayError> for Unidentified {
    fn from(error: RelayError) -> Self {
        Self::Failed(error)
    }
}
