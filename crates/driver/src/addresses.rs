//! In which order the addresses of a name are tried (Happy Eyeballs, RFC 8305).

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

/// The head start that each address has before the next one is tried as well.
pub const HEAD_START: Duration = Duration::from_millis(250);

/// IPv6 and IPv4 in turn, IPv6 first, otherwise as they were found.
pub fn take_turns(found: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let (v6, v4): (VecDeque<_>, VecDeque<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut turns = VecDeque::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [old, older] = ["1.1.1.1:1", "2.2.2.2:1"].map(address);
        let [new, newer, newest] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);

        let found = [old, new, older, newer, newest];
        let turns = [new, old, newer, older, newest];
        assert_eq!(take_turns(found), turns);
        assert!(take_turns([]).is_empty());
    }
}
