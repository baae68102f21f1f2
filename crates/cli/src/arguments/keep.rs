//! How much of a log a relay keeps, as it is typed.

use std::time::Duration;

use attache_relay::store::Retention;
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Keep {
    /// Keep at most so many frames of each session [default: 100000]
    #[arg(long = "keep-frames", value_name = "N", help_heading = "What is kept")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Keep at most so many bytes of each session, such as 512M or 2G [default: 256M]
    #[arg(
        long = "keep-bytes",
        value_name = "BYTES",
        help_heading = "What is kept"
    )]
    #[arg(value_parser = bytes)]
    bytes: Option<u64>,
    /// Keep nothing for longer than this, such as 30d, 12h or 90m [default: for ever]
    #[arg(long = "keep-for", value_name = "TIME", help_heading = "What is kept")]
    #[arg(value_parser = time)]
    age: Option<Duration>,
}

impl Keep {
    /// The relay's setting.
    pub(crate) fn retention(&self) -> Retention {
        let mut retention = Retention::default();
        retention.frames = self.frames.unwrap_or(retention.frames);
        retention.bytes = self.bytes.unwrap_or(retention.bytes);
        retention.age = self.age.or(retention.age);
        retention
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    const WRONG: &str = "a number of bytes above 0, or one with K, M, G or T, such as 512M";
    let (number, unit) = with_unit(text).ok_or(WRONG)?;
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(WRONG.to_owned()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| WRONG.to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "a time above 0 with its unit, such as 30d, 12h, 90m or 45s";
    let (number, unit) = with_unit(text).ok_or(WRONG)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(WRONG.to_owned()),
    };
    let seconds = number.checked_mul(unit).ok_or(WRONG)?;
    Ok(Duration::from_secs(seconds))
}

/// A whole number above 0, and what stands behind it.
fn with_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().ok().filter(|&number| number > 0)?;
    Some((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("3K"), Ok(3 << 10));
        assert_eq!(bytes("2G"), Ok(2 << 30));
        for wrong in ["", "0", "M", "1.5G", "1g", "-1", "99999999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(time("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(time("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "30", "0s", "d", "1w", "1 h", "999999999999999999d"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_said_is_the_relays_default() {
        let keep = Keep {
            frames: Some(7),
            bytes: None,
            age: None,
        };
        let retention = keep.retention();
        assert_eq!(retention.frames, 7);
        assert_eq!(retention.bytes, Retention::default().bytes);
    }
}
