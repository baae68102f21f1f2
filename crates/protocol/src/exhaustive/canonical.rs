//! A state's text without what makes no difference.
//!
//! A machine's fields are written out as their `Debug` shows them, and then:
//!
//! - a time becomes its distance from now, for a machine only compares times with now and adds delays; what
//!   lies further back than the longest age anybody asks about is as good as that age;
//! - an id or a minted `uuid` becomes the number of its first appearance in the text: a machine compares them
//!   for equality and orders them only inside tables, which are written in that order;
//! - the number of a ping or a turn becomes whether it is the latest: a machine asks whether a turn is the
//!   present one, and whether a ping came before one that was answered, which is always the latest here;
//! - a count of failures that only lengthens delays, which are fixed here, ends at the last one that anybody
//!   asks about; a place in an order becomes its rank, and the next place to give, the last of all, nothing.
//!
//! So two states with one text differ by a shift of time, a renaming and a shift of counters, and whatever
//! happens to one happens to the other, shifted and renamed. The generator of chances is left out: it feeds
//! names only, for the searched configurations have fixed delays.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
};
use core::{fmt::Write as _, time::Duration};

use crate::time::Timestamp;

/// How texts are made canonical.
#[derive(Debug)]
pub(crate) struct Canonical {
    /// What time it is.
    pub(crate) now: Timestamp,
    /// The longest age that makes a difference.
    pub(crate) oldest: Duration,
    /// Times closer together than this are the same.
    pub(crate) grain: Duration,
    /// What is counted.
    pub(crate) counters: &'static [Counter],
    /// Where the counters are.
    pub(crate) counted: Counted,
}

/// A word before a number, and what of the number makes a difference.
pub(crate) type Counter = (&'static str, Matters);

/// What of a number makes a difference.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Matters {
    /// Whether it is the latest one.
    Latest(fn(&Counted) -> u64),
    /// How high it is, up to here.
    UpTo(u64),
    /// Which of the others are smaller.
    Rank,
}

/// The latest numbers of what is counted.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) pings: u64,
    pub(crate) turn: u64,
}

/// Words before the numbers that are names.
const IDS: [&str; 4] = [
    "SocketId(",
    "HttpRequestId(",
    "StreamId(",
    "TokenRequestId(",
];
const TIME: &str = "Timestamp(";
const UUID_LENGTH: usize = 36;

impl Canonical {
    /// The canonical form of `text`.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let ranks = self.ranked(text);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(place) = rest.find(|sign: char| sign.is_ascii_alphanumeric()) {
            let (before, word) = rest.split_at(place);
            out.push_str(before);
            let taken = self.word(word, &mut names, &ranks, &mut out);
            rest = word.get(taken..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    /// Writes the word that `text` begins with; how long it was.
    fn word<'a>(
        &self,
        text: &'a str,
        names: &mut BTreeMap<&'a str, usize>,
        ranks: &BTreeMap<&str, BTreeSet<u64>>,
        out: &mut String,
    ) -> usize {
        if let Some(uuid) = text.get(..UUID_LENGTH).filter(|name| is_uuid(name)) {
            let _ = write!(out, "${}", number(uuid, names));
            return UUID_LENGTH;
        }
        let end = text
            .find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
            .unwrap_or(text.len());
        // With the bracket or the colon behind it.
        let word = text.get(..end + 1).unwrap_or(text);
        if word == TIME {
            let (span, length) = inside(text, word.len());
            let at = Timestamp::from_origin(read_duration(span));
            let _ = match at.checked_add(Duration::ZERO) {
                Some(at) if at > self.now => {
                    write!(out, "in {:?}", self.rounded(at.saturating_since(self.now)))
                }
                _ => write!(
                    out,
                    "ago {:?}",
                    self.now.saturating_since(at).min(self.oldest)
                ),
            };
            return length;
        }
        if IDS.contains(&word) {
            let (id, length) = inside(text, word.len());
            let _ = write!(out, "#{}", number(id, names));
            return length;
        }
        if let Some((_, matters)) = self.counters.iter().find(|(before, _)| *before == word)
            && let Some((count, end)) = count(text, word.len())
        {
            let _ = match matters {
                Matters::Latest(latest) if count >= latest(&self.counted) => {
                    write!(out, "{word}latest")
                }
                Matters::Latest(_) => write!(out, "{word}earlier"),
                Matters::UpTo(most) => write!(out, "{word}{}", count.min(*most)),
                Matters::Rank => {
                    let known = ranks.get(word);
                    let rank = known.map_or(0, |known| known.range(..count).count());
                    write!(out, "{word}{rank}")
                }
            };
            return end;
        }
        let word = text.get(..end).unwrap_or(text);
        out.push_str(word);
        word.len()
    }
}

impl Canonical {
    /// The numbers that stand in an order, by the word before them.
    fn ranked(&self, text: &str) -> BTreeMap<&'static str, BTreeSet<u64>> {
        let mut ranks = BTreeMap::new();
        for (word, matters) in self.counters {
            if let Matters::Rank = matters {
                let counts = text
                    .match_indices(word)
                    .filter_map(|(place, _)| count(text, place + word.len()));
                ranks.insert(*word, counts.map(|(count, _)| count).collect());
            }
        }
        ranks
    }

    fn rounded(&self, span: Duration) -> Duration {
        let grain = self.grain.max(Duration::from_nanos(1)).as_nanos();
        let grains = span.as_nanos().div_ceil(grain);
        Duration::from_nanos(u64::try_from(grains * grain).unwrap_or(u64::MAX))
    }
}

/// The number that stands at `start`, perhaps after a space, and where it ends.
fn count(text: &str, start: usize) -> Option<(u64, usize)> {
    let digits = text.get(start..)?.trim_start();
    let start = text.len() - digits.len();
    let length = digits
        .find(|sign: char| !sign.is_ascii_digit())
        .unwrap_or(digits.len());
    let count = digits.get(..length)?.parse().ok()?;
    Some((count, start + length))
}

/// What stands up to the next closing bracket, and where that ends.
fn inside(text: &str, start: usize) -> (&str, usize) {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.find(')').unwrap_or(rest.len());
    (rest.get(..length).unwrap_or_default(), start + length + 1)
}

fn number<'a>(name: &'a str, names: &mut BTreeMap<&'a str, usize>) -> usize {
    let next = names.len();
    *names.entry(name).or_insert(next)
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Reads what `Debug` writes for a duration.
fn read_duration(text: &str) -> Duration {
    let unit = text
        .find(|sign: char| !sign.is_ascii_digit() && sign != '.')
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(unit);
    let digits = match unit {
        "s" => 9,
        "ms" => 6,
        "µs" => 3,
        "ns" => 0,
        _ => panic!("{text} is no duration"),
    };
    let (whole, part) = count.split_once('.').unwrap_or((count, ""));
    let nanos: u128 = format!("{whole}{part:0<digits$}").parse().expect("digits");
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    Duration::new(
        u64::try_from(seconds).expect("as it was"),
        u32::try_from(nanos).expect("less than a second"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(now_millis: u64, pings: u64, text: &str) -> String {
        let canonical = Canonical {
            now: Timestamp::from_origin(Duration::from_millis(now_millis)),
            oldest: Duration::from_secs(5),
            grain: Duration::ZERO,
            counters: &[
                ("ping:", Matters::Latest(|counted| counted.pings)),
                ("failures:", Matters::UpTo(2)),
                ("order:", Matters::Rank),
            ],
            counted: Counted { pings, turn: 0 },
        };
        canonical.text(text)
    }

    #[test]
    fn what_debug_writes_of_a_duration_is_read_back() {
        for nanos in [0, 1, 1_001, 1_500_000, 1_000_000_001, 61_500_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(read_duration(&format!("{duration:?}")), duration);
        }
        assert_eq!(
            read_duration(&format!("{:?}", Duration::MAX)),
            Duration::MAX
        );
    }

    #[test]
    fn a_shift_of_time_and_a_renaming_make_no_difference() {
        let early = "Waiting { since: Timestamp(1s) } SocketId(3), SocketId(4), SocketId(3) Timestamp(2.5s)";
        let late = "Waiting { since: Timestamp(2s) } SocketId(7), SocketId(1), SocketId(7) Timestamp(3.5s)";
        assert_eq!(canonical(1500, 0, early), canonical(2500, 0, late));
        assert_eq!(
            canonical(1500, 0, early),
            "Waiting { since: ago 500ms } #0, #1, #0 in 1s"
        );
    }

    #[test]
    fn what_makes_a_difference_is_kept() {
        let one = "SocketId(3), SocketId(4)";
        assert_ne!(
            canonical(0, 0, one),
            canonical(0, 0, "SocketId(3), SocketId(3)")
        );
        assert_ne!(
            canonical(0, 0, "Timestamp(1s)"),
            canonical(0, 0, "Timestamp(2s)")
        );
        assert_ne!(canonical(0, 3, "ping: 3"), canonical(0, 3, "ping: 2"));
        assert_eq!(canonical(0, 4, "ping: 3"), canonical(0, 9, "ping: 2"));
        assert_eq!(canonical(0, 4, "bytes: 3"), "bytes: 3");
    }

    #[test]
    fn a_count_ends_where_nobody_asks_any_more() {
        let failures = |count: u32| canonical(0, 0, &format!("Pausing {{ failures: {count} }}"));
        assert_ne!(failures(1), failures(2));
        assert_eq!(failures(2), failures(3));
        assert_eq!(canonical(0, 0, "failures: None"), "failures: None");
    }

    #[test]
    fn of_a_place_in_an_order_only_the_rank_is_left() {
        let orders = |text| canonical(0, 0, text);
        assert_eq!(orders("order: 3, order: 9"), orders("order: 4, order: 5"));
        assert_ne!(orders("order: 3, order: 9"), orders("order: 9, order: 3"));
    }

    #[test]
    fn old_is_old() {
        assert_eq!(
            canonical(60_000, 0, "Timestamp(1s)"),
            canonical(60_000, 0, "Timestamp(20s)")
        );
    }

    #[test]
    fn minted_names_are_renamed() {
        let text = "MessageId(01234567-89ab-4def-8123-456789abcdef) r1";
        assert_eq!(canonical(0, 0, text), "MessageId($0) r1");
    }
}
