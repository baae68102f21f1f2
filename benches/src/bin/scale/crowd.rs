//! Many viewers of one session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use attache_protocol::{
    SessionId,
    viewer::{Event, Status, ViewerConfig},
};
use attache_tokio::{BaseUrl, Options, Plaintext, ProxyOptions, Session, StaticToken};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use crate::Outcome;

/// How many connect at the same time.
const AT_ONCE: usize = 128;
/// How long it may take until all are live, and until all are closed.
const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const TOKEN: &str = "anybody";

pub(crate) struct Crowd {
    viewers: Vec<Session>,
    drops: Arc<AtomicUsize>,
}

/// Connections to the relay at `url`.
pub(crate) fn options(url: &str) -> Outcome<Options> {
    let mut options = Options::new(BaseUrl::parse(url, Plaintext::LoopbackOnly)?);
    options.proxy = ProxyOptions::Direct;
    Ok(options)
}

/// Somebody who watches.
pub(crate) fn watcher(session: &str) -> Outcome<ViewerConfig> {
    let mut config = ViewerConfig::new(SessionId::parse(session)?);
    config.viewer_only = true;
    Ok(config)
}

impl Crowd {
    /// Opens `count` viewers and waits until all of them are live. Each tells its events to its own
    /// listener, which `listener` makes.
    pub(crate) async fn open<L>(
        count: usize,
        config: &ViewerConfig,
        options: &Options,
        listener: impl Fn() -> L,
    ) -> Outcome<Self>
    where
        L: FnMut(&Event) + Send + 'static,
    {
        let token = StaticToken::new(TOKEN);
        let drops = Arc::new(AtomicUsize::new(0));
        let open = async || -> Outcome<Session> {
            let (mut session, mut events, _driver) =
                attache_tokio::spawn(config.clone(), options.clone(), token.clone())?;
            let (drops, mut hear) = (Arc::clone(&drops), listener());
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if let Event::Status(Status::Waiting { .. }) = event {
                        drops.fetch_add(1, Ordering::Relaxed);
                    }
                    hear(&event);
                }
            });
            while session.status() != Status::Live {
                session.status_changed().await?;
            }
            Ok(session)
        };
        let opening = stream::iter(0..count)
            .map(|_| open())
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>();
        Ok(Self {
            viewers: timeout(PATIENCE, opening).await??,
            drops,
        })
    }

    /// How many are live.
    pub(crate) fn live(&self) -> usize {
        let live = |viewer: &&Session| viewer.status() == Status::Live;
        self.viewers.iter().filter(live).count()
    }

    /// How often one of them lost its connection, or did not get one.
    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::Relaxed)
    }

    pub(crate) async fn close(self) -> Outcome<()> {
        let closing = stream::iter(self.viewers).for_each_concurrent(None, async |viewer| {
            let _ = viewer.close().await;
        });
        Ok(timeout(PATIENCE, closing).await?)
    }
}
