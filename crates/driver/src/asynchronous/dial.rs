//! Which of a server's addresses is taken.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use attache_protocol::io::NetworkFailure;
use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream::FuturesUnordered,
};

use crate::{
    addresses::{HEAD_START, take_turns},
    failure,
};

/// Connects to the first of the addresses that answers, IPv6 and IPv4 in turn. Each has a head start
/// before the next one is tried as well; attempts that are not needed any more are dropped.
///
/// # Errors
/// [`NetworkFailure`] of the last attempt, [`NetworkFailure::Dns`] when there is no address.
pub async fn first_to_answer<S, Attempt, Pause>(
    found: impl IntoIterator<Item = SocketAddr>,
    connect: impl Fn(SocketAddr) -> Attempt,
    pause: impl Fn(Duration) -> Pause,
) -> Result<S, NetworkFailure>
where
    Attempt: Future<Output = io::Result<S>>,
    Pause: Future,
{
    let mut untried = take_turns(found);
    let mut attempts = FuturesUnordered::new();
    let mut last = NetworkFailure::Dns;
    loop {
        if let Some(address) = untried.pop_front() {
            attempts.push(connect(address));
        } else if attempts.is_empty() {
            return Err(last);
        }
        match select(attempts.next(), pin!(pause(HEAD_START))).await {
            Either::Left((Some(Ok(stream)), _)) => return Ok(stream),
            Either::Left((Some(Err(error)), _)) => last = failure::io(&error),
            Either::Left((None, _)) | Either::Right(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        future::{pending, ready},
    };

    use futures_util::{FutureExt as _, future::Either};

    use super::*;

    #[test]
    fn a_silent_address_does_not_hold_up_the_next_one() {
        let [silent, refusing, good] =
            ["[::1]:1", "127.0.0.1:2", "127.0.0.1:3"].map(|address| address.parse().unwrap());
        let tried = RefCell::new(Vec::new());
        let connect = |address| {
            tried.borrow_mut().push(address);
            if address == silent {
                Either::Left(pending())
            } else if address == refusing {
                Either::Right(ready(Err(io::ErrorKind::ConnectionRefused.into())))
            } else {
                Either::Right(ready(Ok("connected")))
            }
        };

        let connected = first_to_answer([refusing, good, silent], connect, |_| ready(()));

        assert_eq!(connected.now_or_never(), Some(Ok("connected")));
        assert_eq!(*tried.borrow(), [silent, refusing, good]);
    }

    #[test]
    fn the_last_failure_is_told() {
        let refused = |_| ready(io::Result::<()>::Err(io::ErrorKind::ConnectionReset.into()));
        let address = "127.0.0.1:2".parse().unwrap();

        let none = first_to_answer([], refused, |_| pending::<()>());
        assert_eq!(none.now_or_never(), Some(Err(NetworkFailure::Dns)));
        let one = first_to_answer([address], refused, |_| pending::<()>());
        assert_eq!(one.now_or_never(), Some(Err(NetworkFailure::Reset)));
    }
}
