//! The words that the agent obeys.

use std::time::Duration;

/// The pause of `slow` unless another is asked for.
const PAUSE: Duration = Duration::from_millis(50);
/// The most that `big` says, in MiB.
const BIG_LIMIT: usize = 1024;

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// So many words, with a pause after each.
    Say { words: u32, pause: Option<Duration> },
    /// Ask for this tool.
    Tool(String),
    /// So many MiB in one line.
    Big { mebibytes: usize },
    /// The value of this variable.
    Env(String),
    /// What is no frame.
    Garbage,
    /// Die with this code.
    Crash(u8),
    /// Leave in good order.
    Exit,
    /// Nothing that is known.
    Echo,
}

impl Order {
    pub(super) fn of(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let found = match *words.as_slice() {
            ["say", count] => say(count, None),
            ["slow", count] => say(count, Some(PAUSE)),
            ["slow", count, millis] => millis
                .parse()
                .ok()
                .and_then(|millis| say(count, Some(Duration::from_millis(millis)))),
            ["tool"] => Some(Self::Tool("Bash".to_owned())),
            ["tool", name] => Some(Self::Tool(name.to_owned())),
            ["big", count] => count
                .parse()
                .ok()
                .filter(|mebibytes| (0..=BIG_LIMIT).contains(mebibytes))
                .map(|mebibytes| Self::Big { mebibytes }),
            ["env", name] => Some(Self::Env(name.to_owned())),
            ["garbage"] => Some(Self::Garbage),
            ["crash"] => Some(Self::Crash(1)),
            ["crash", code] => code.parse().ok().map(Self::Crash),
            ["exit"] => Some(Self::Exit),
            _ => None,
        };
        found.unwrap_or(Self::Echo)
    }
}

fn say(count: &str, pause: Option<Duration>) -> Option<Order> {
    let words = count.parse().ok()?;
    Some(Order::Say { words, pause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_understood_whole_or_not_at_all() {
        let millis = Duration::from_millis;
        let say = |words, pause| Order::Say { words, pause };
        assert_eq!(Order::of(" say  3\n"), say(3, None));
        assert_eq!(Order::of("slow 3"), say(3, Some(PAUSE)));
        assert_eq!(Order::of("slow 3 7"), say(3, Some(millis(7))));
        assert_eq!(Order::of("tool"), Order::Tool("Bash".to_owned()));
        assert_eq!(Order::of("tool Write"), Order::Tool("Write".to_owned()));
        assert_eq!(Order::of("big 16"), Order::Big { mebibytes: 16 });
        assert_eq!(Order::of("env HOME"), Order::Env("HOME".to_owned()));
        assert_eq!(Order::of("garbage"), Order::Garbage);
        assert_eq!(Order::of("crash"), Order::Crash(1));
        assert_eq!(Order::of("crash 42"), Order::Crash(42));
        assert_eq!(Order::of("exit"), Order::Exit);
        for text in [
            "",
            "say",
            "say it",
            "say 3 4",
            "say -1",
            "big 1025",
            "crash 256",
            "Exit",
            "exit now",
        ] {
            assert_eq!(Order::of(text), Order::Echo, "{text}");
        }
    }
}
