//! Polling, counted.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use attache_driver::{BaseUrl, Options, Plaintext};
use attache_testkit::conformance::SessionServer;
use tokio::time::{sleep, timeout};

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How often a look is taken at what can't be awaited.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Polls `future` so many times, whenever it wants it, and drops it then, done or not.
pub(crate) async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limited = timeout(LIMIT, Box::pin(future));
    limited.await.expect("took too long")
}

/// Waits until the server, whose threads nobody can await, has come so far.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "took too long");
        sleep(LOOK_EVERY).await;
    }
}

/// The way to `server`.
pub(crate) fn options(server: &SessionServer) -> Options {
    let url = format!("http://{}", server.address());
    Options::new(BaseUrl::parse(&url, Plaintext::LoopbackOnly).unwrap())
}
