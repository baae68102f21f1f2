//! The name of the server, which resolves or does not.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::Shared;
use crate::conformance::fault::Fault;

/// The server's name. An adapter that asks the system for it is told the truth, and misses the fault.
pub(super) const NAME: &str = "localhost";

/// What names resolve to. By default, the system is to be asked.
#[derive(Clone, Debug, Default)]
pub struct Names {
    proxy: Option<Arc<Shared>>,
}

impl Names {
    pub(super) fn of(proxy: &Arc<Shared>) -> Self {
        Self {
            proxy: Some(Arc::clone(proxy)),
        }
    }

    /// The addresses of `host`: to be asked at once before each connection, and whatever the answer is, it
    /// holds for this connection only. `None` leaves it to the system; no address at all means that the
    /// name does not resolve.
    pub fn find(&self, host: &str) -> Option<Vec<IpAddr>> {
        let proxy = self.proxy.as_ref()?;
        if host != NAME {
            return None;
        }
        if proxy.weather.is_out(Fault::Nameless) {
            return Some(Vec::new());
        }
        proxy.poke_if_refusing();
        proxy.weather.sought();
        Some(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        thread,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::conformance::{
        Way,
        proxy::{ChaosProxy, Reach},
    };

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_name_resolves_again_after_a_while() {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let faults = [Fault::Nameless];
        let proxy = ChaosProxy::start(nowhere, Way::Plain, &faults, Reach::Link, 1).unwrap();
        let names = proxy.place().names;

        assert_eq!(names.find("other.example"), None);
        assert_eq!(names.find(NAME), Some(Vec::new()));
        assert!(!proxy.is_fine());
        let began = Instant::now();
        while names.find(NAME) == Some(Vec::new()) {
            assert!(began.elapsed() < LIMIT);
            thread::yield_now();
        }
        assert!(proxy.is_fine());
        assert_eq!(
            names.find(NAME),
            Some(vec![IpAddr::from(Ipv4Addr::LOCALHOST)])
        );
    }
}
