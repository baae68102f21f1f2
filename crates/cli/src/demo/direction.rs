//! What the script and the agent's process say to each other beside the session: cues one way, and the
//! other way what the agent has heard and said, as evidence that owes nothing to the relay or the bridge.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::exit::{Exit, Failure};

/// What the agent has heard or said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It has heard a message, by its `uuid`.
    Message(String),
    /// It has heard an answer to a prompt, by its id.
    Answer(String),
    /// It has heard an interrupt.
    Interrupt,
    /// It has said this, by its `uuid`; what is only live does not count.
    Said(String),
    /// It has said its greeting, or a line it was cued to.
    Spoke,
}

/// The script's side.
#[derive(Debug)]
pub(super) struct Director {
    pub(super) cues: mpsc::UnboundedSender<String>,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
}

/// The agent's side.
#[derive(Debug)]
pub(super) struct Directed {
    pub(super) cues: mpsc::UnboundedReceiver<String>,
    pub(super) record: mpsc::UnboundedSender<Report>,
    /// Ends when the record is closed and everything in it has been told.
    pub(super) telling: JoinHandle<()>,
}

impl Director {
    /// Waits for an agent at the address it returns. What it tells ends when its process does.
    pub(super) async fn wait() -> Result<(Self, SocketAddr), Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|error| broken(&error))?;
        let address = listener.local_addr().map_err(|error| broken(&error))?;
        let (cues, mut waiting_cues) = mpsc::unbounded_channel::<String>();
        let (recorder, reports) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            loop {
                tokio::select! {
                    line = lines.next_line() => {
                        let Ok(Some(line)) = line else { return };
                        let Some(report) = Report::parse(&line) else { return };
                        if recorder.send(report).is_err() {
                            return;
                        }
                    }
                    Some(cue) = waiting_cues.recv() => {
                        if writer.write_all(format!("{cue}\n").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok((Self { cues, reports }, address))
    }
}

impl Directed {
    /// Turns to the director at `address`.
    pub(super) async fn by(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| broken(&error))?;
        let (reader, mut writer) = stream.into_split();
        let (prompter, cues) = mpsc::unbounded_channel();
        let (record, mut reports) = mpsc::unbounded_channel::<Report>();
        tokio::spawn(async move {
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(cue)) = lines.next_line().await {
                if prompter.send(cue).is_err() {
                    return;
                }
            }
        });
        let telling = tokio::spawn(async move {
            while let Some(report) = reports.recv().await {
                if writer.write_all(report.line().as_bytes()).await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        });
        Ok(Self {
            cues,
            record,
            telling,
        })
    }

    /// Plays without a script: nothing is cued, and nobody keeps the record.
    pub(super) fn by_nobody() -> Self {
        let (_, cues) = mpsc::unbounded_channel();
        let (record, _) = mpsc::unbounded_channel();
        Self {
            cues,
            record,
            telling: tokio::spawn(async {}),
        }
    }
}

impl Report {
    fn line(&self) -> String {
        match self {
            Self::Message(uuid) => format!("message {uuid}\n"),
            Self::Answer(request_id) => format!("answer {request_id}\n"),
            Self::Said(uuid) => format!("said {uuid}\n"),
            Self::Interrupt => "interrupt\n".to_owned(),
            Self::Spoke => "spoke\n".to_owned(),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some(("message", uuid)) => Some(Self::Message(uuid.to_owned())),
            Some(("answer", request_id)) => Some(Self::Answer(request_id.to_owned())),
            Some(("said", uuid)) => Some(Self::Said(uuid.to_owned())),
            None if line == "interrupt" => Some(Self::Interrupt),
            None if line == "spoke" => Some(Self::Spoke),
            _ => None,
        }
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("the script and its agent can't talk on 127.0.0.1: {error}; try again"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        for report in [
            Report::Message("u-1".to_owned()),
            Report::Answer("r 1".to_owned()),
            Report::Said("u-2".to_owned()),
            Report::Interrupt,
            Report::Spoke,
        ] {
            assert_eq!(Report::parse(report.line().trim_end()), Some(report));
        }
        assert_eq!(Report::parse("applause"), None);
    }
}
