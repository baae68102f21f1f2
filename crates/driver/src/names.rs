//! Where the addresses of a name come from.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// What is known of names before anybody is asked. By default nothing is: the operating system is asked.
///
/// Servers and proxies are looked up alike. Only the address changes: the name stays what the server is
/// told and what its certificate is checked against.
///
/// ```
/// # fn main() -> Result<(), attache_driver::BaseUrlError> {
/// use attache_driver::{BaseUrl, Names, Options, Plaintext};
///
/// let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
/// let mut options = Options::new(base_url);
/// options.names = Names::fixed([("relay.example", [[127, 0, 0, 1]])]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Names {
    known: Option<Arc<Known>>,
}

type Known = dyn Fn(&str) -> Option<Vec<IpAddr>> + Send + Sync;

impl Names {
    /// Names that have these addresses, like curl's `--resolve`; the operating system is asked for all
    /// others.
    pub fn fixed<N, A>(table: impl IntoIterator<Item = (N, A)>) -> Self
    where
        N: Into<String>,
        A: IntoIterator<Item: Into<IpAddr>>,
    {
        let known: BTreeMap<String, Vec<IpAddr>> = table
            .into_iter()
            .map(|(name, addresses)| {
                let addresses = addresses.into_iter().map(Into::into).collect();
                (name.into().to_ascii_lowercase(), addresses)
            })
            .collect();
        Self::asking(move |name| known.get(name).cloned())
    }

    /// Asks this first, for each connection anew, with the name in lower case. `None` leaves the name to
    /// the operating system; no address at all means that there is no such name. It must answer at once:
    /// connections wait in it.
    pub fn asking(known: impl Fn(&str) -> Option<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self {
            known: Some(Arc::new(known)),
        }
    }

    /// Where `host` is, if the operating system need not be asked: because it is an address already, or
    /// because it is known. Empty if it is known that there is no such name.
    pub fn find(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let found = match (host.parse(), &self.known) {
            (Ok(address), _) => vec![address],
            (Err(_), Some(known)) => known(&host.to_ascii_lowercase())?,
            (Err(_), None) => return None,
        };
        let found = found.into_iter();
        Some(found.map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.known {
            Some(_) => "Names(some known)",
            None => "Names(as the system says)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_its_own_answer() {
        let names = Names::asking(|_| Some(Vec::new()));
        assert_eq!(names.find("::1", 9), Some(vec![address("[::1]:9")]));
        assert_eq!(
            Names::default().find("127.0.0.1", 9),
            Some(vec![address("127.0.0.1:9")])
        );
    }

    #[test]
    fn a_known_name_has_its_addresses_and_any_other_is_left_to_the_system() {
        let names = Names::fixed([("Relay.Example", vec![[127, 0, 0, 1], [127, 0, 0, 2]])]);
        let found = vec![address("127.0.0.1:9"), address("127.0.0.2:9")];
        assert_eq!(names.find("relay.example", 9), Some(found));
        assert_eq!(names.find("other.example", 9), None);
        assert_eq!(Names::default().find("relay.example", 9), None);
    }

    #[test]
    fn a_name_can_be_known_not_to_be() {
        let names = Names::asking(|name| (name == "gone.example").then(Vec::new));
        assert_eq!(names.find("gone.example", 9), Some(Vec::new()));
        assert_eq!(names.find("relay.example", 9), None);
    }
}
