//! The runtimes that every test runs under.

use std::{pin::Pin, time::Duration};

use async_io::Timer;
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};

/// Longer than anything here takes, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(20);

/// Makes two tests of each function, which is given a [`Runtime`].
macro_rules! under_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[test]
            fn async_std() {
                $crate::runtime::Runtime::AsyncStd.run(super::$name);
            }

            #[test]
            fn smol() {
                $crate::runtime::Runtime::Smol.run(super::$name);
            }
        }
    )+ };
}
pub(crate) use under_both;

#[derive(Copy, Clone)]
pub(crate) enum Runtime {
    AsyncStd,
    Smol,
}

/// A future that runs. Dropping it is no more than letting it go.
pub(crate) enum Task<T> {
    AsyncStd(async_std::task::JoinHandle<T>),
    Smol(smol::Task<T>),
}

impl Runtime {
    pub(crate) fn run<Test: Future<Output = ()>>(self, test: impl FnOnce(Self) -> Test) {
        match self {
            Self::AsyncStd => async_std::task::block_on(within(test(self))),
            Self::Smol => smol::block_on(within(test(self))),
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        match self {
            Self::AsyncStd => Task::AsyncStd(async_std::task::spawn(future)),
            Self::Smol => Task::Smol(smol::spawn(future)),
        }
    }
}

impl<T: Send + 'static> Task<T> {
    pub(crate) async fn done(self) -> T {
        match self {
            Self::AsyncStd(handle) => within(handle).await,
            Self::Smol(task) => within(task).await,
        }
    }

    /// Drops the future.
    pub(crate) async fn abort(self) {
        match self {
            Self::AsyncStd(handle) => drop(within(handle.cancel()).await),
            Self::Smol(task) => drop(within(task.cancel()).await),
        }
    }
}

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let future: Pin<Box<_>> = Box::pin(future);
    match select(future, Timer::after(LIMIT).boxed()).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => panic!("took too long"),
    }
}
