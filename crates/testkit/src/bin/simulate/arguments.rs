//! What is to be run.

use std::{str::FromStr, time::Duration};

use attache_testkit::schedule::{Record, Span};

use crate::run::Kind;

pub(crate) const USAGE: &str = "\
Usage: simulate [--seeds N] [--from S] [--replay RECORD] [--minutes M] [--threads N] [viewer|worker|both]...

Runs schedules of ten virtual minutes against a model server and checks every promise after every step.

  --seeds N        how many schedules of each kind (1000)
  --from S         the first seed (0)
  --replay RECORD  one schedule, as a failing run printed it
  --minutes M      how long a schedule lasts, in virtual minutes (10)
  --threads N      how many run at a time (one for each core)";

/// What the command line asks for.
pub(crate) enum Order {
    /// How to use it.
    Help,
    /// Schedules.
    Run(Arguments),
}

/// Which schedules.
pub(crate) struct Arguments {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) seeds: u64,
    pub(crate) from: u64,
    pub(crate) replay: Option<Record>,
    pub(crate) span: Span,
    pub(crate) threads: usize,
}

impl Arguments {
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Order, String> {
        let mut arguments = Self {
            kinds: Vec::new(),
            seeds: 1000,
            from: 0,
            replay: None,
            span: Span::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let mut given = given.into_iter();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "-h" | "--help" => return Ok(Order::Help),
                "--seeds" => arguments.seeds = value(&argument, given.next())?,
                "--from" => arguments.from = value(&argument, given.next())?,
                "--replay" => arguments.replay = Some(value(&argument, given.next())?),
                "--threads" => arguments.threads = value(&argument, given.next())?,
                "--minutes" => {
                    let minutes: u64 = value(&argument, given.next())?;
                    let steps = minutes.saturating_mul(40);
                    arguments.span = Span {
                        virtual_time: Duration::from_secs(minutes.saturating_mul(60)),
                        steps: u32::try_from(steps).unwrap_or(u32::MAX),
                    };
                }
                kind => arguments.kinds.push(kind.parse()?),
            }
        }
        if arguments.kinds.is_empty() {
            arguments.kinds = Kind::ALL.to_vec();
        }
        if arguments.replay.is_some() && arguments.kinds.len() != 1 {
            return Err("--replay needs to know of which kind the record is".to_owned());
        }
        Ok(Order::Run(arguments))
    }
}

fn value<T: FromStr>(name: &str, given: Option<String>) -> Result<T, String> {
    let given = given.ok_or_else(|| format!("{name} needs a value"))?;
    given
        .parse()
        .map_err(|_| format!("{name} can't be {given:?}"))
}
