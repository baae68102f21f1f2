//! What was measured: kept as JSON, shown as a table.

use std::{
    fmt::{self, Write as _},
    fs, io,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{client::Client, frames::Kind};

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where it ran, for people.
    pub(crate) machine: String,
    /// One line for each client and kind of frame.
    pub(crate) lines: Vec<Line>,
}

/// What one client took for one kind of frame, round by round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) kind: Kind,
    /// Messages in a round.
    pub(crate) messages: u64,
    /// From the first message to the end, in seconds.
    pub(crate) seconds: Vec<f64>,
    /// CPU time of the whole process for each message, in nanoseconds.
    pub(crate) cpu_ns: Vec<f64>,
}

/// The middle of some figures, and how far they lie apart.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Record {
    pub(crate) fn line(&self, client: Client, kind: Kind) -> Option<&Line> {
        let wanted = |line: &&Line| line.client == client && line.kind == kind;
        self.lines.iter().find(wanted)
    }

    /// CPU time for each message beside the bare loop's in the same round.
    pub(crate) fn ratio(&self, client: Client, kind: Kind) -> Option<Spread> {
        let line = self.line(client, kind)?;
        let bare = self.line(Client::Bare, kind)?;
        let ratios = line.cpu_ns.iter().zip(&bare.cpu_ns);
        Spread::of(ratios.map(|(ours, bare)| ours / bare).collect())
    }

    /// The ratios alone, as a table in Markdown.
    pub(crate) fn ratios(&self) -> String {
        let mut table = String::from("| CPU a message |");
        for kind in Kind::ALL {
            let _ = write!(table, " {} |", kind.title());
        }
        let columns = "--:|".repeat(Kind::ALL.len());
        let _ = writeln!(table, "\n|---|{columns}");
        for client in Client::ALL {
            let ratios: Vec<_> = Kind::ALL
                .into_iter()
                .filter_map(|kind| self.ratio(client, kind))
                .map(|ratio| format!(" {:.2}× |", ratio.median))
                .collect();
            if !ratios.is_empty() {
                let _ = writeln!(table, "| {} |{}", client.name(), ratios.concat());
            }
        }
        table
    }

    /// Reads a record from a file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Writes it to a file.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(
            path,
            serde_json::to_string(self)?.replace("},{", "},\n{") + "\n",
        )
    }
}

impl Line {
    pub(crate) fn cpu_ns(&self) -> Option<Spread> {
        Spread::of(self.cpu_ns.clone())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵²")]
    pub(crate) fn messages_a_second(&self) -> Option<Spread> {
        let messages = self.messages as f64;
        Spread::of(
            self.seconds
                .iter()
                .map(|seconds| messages / seconds)
                .collect(),
        )
    }
}

impl Spread {
    /// `None` of nothing.
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        Some(Self {
            median: *figures.get(figures.len() / 2)?,
            least: *figures.first()?,
            most: *figures.last()?,
        })
    }
}

/// The table, in Markdown.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "On {}.", self.machine)?;
        for kind in Kind::ALL {
            writeln!(f)?;
            writeln!(
                f,
                "| {} | messages/s | (least – most) | CPU ns/message | (least – most) | beside tokio-tungstenite | (least – most) |",
                kind.title()
            )?;
            writeln!(f, "|---|--:|--:|--:|--:|--:|--:|")?;
            for client in Client::ALL {
                let Some(line) = self.line(client, kind) else {
                    continue;
                };
                let figures = (
                    line.messages_a_second(),
                    line.cpu_ns(),
                    self.ratio(client, kind),
                );
                if let (Some(rate), Some(cpu), Some(ratio)) = figures {
                    writeln!(
                        f,
                        "| {} | {:.0} | ({:.0} – {:.0}) | {:.0} | ({:.0} – {:.0}) | {:.2}× | ({:.2} – {:.2}) |",
                        client.name(),
                        rate.median,
                        rate.least,
                        rate.most,
                        cpu.median,
                        cpu.least,
                        cpu.most,
                        ratio.median,
                        ratio.least,
                        ratio.most,
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let line = |client, cpu_ns| Line {
            client,
            kind: Kind::Delta,
            messages: 10,
            seconds: vec![1.0, 2.0, 4.0],
            cpu_ns,
        };
        let record = Record {
            machine: "a machine".into(),
            lines: vec![
                line(Client::Bare, vec![100.0, 200.0, 400.0]),
                line(Client::Tokio, vec![200.0, 300.0, 500.0]),
            ],
        };

        let ratio = record.ratio(Client::Tokio, Kind::Delta).unwrap();

        assert_eq!((ratio.median, ratio.least, ratio.most), (1.5, 1.25, 2.0));
        let rate = record.lines[1].messages_a_second().unwrap();
        assert_eq!((rate.median, rate.least, rate.most), (5.0, 2.5, 10.0));
        assert!(
            record
                .to_string()
                .contains("| attache-tokio | 5 | (2 – 10) | 300 |"),
            "{record}"
        );
    }
}
