//! What the script and the agent's process say to each other beside the session: cues one way, and the
//! other way what the agent has been told, as evidence that owes nothing to the relay or the bridge.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::exit::{Exit, Failure};

/// What the agent has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message, by its `uuid`.
    Message(String),
    /// An answer to a prompt, by its id.
    Answer(String),
    /// An interrupt.
    Interrupt,
    /// Not heard, but said: the greeting, or a line it was cued to.
    Spoke,
}

/// The script's side.
#[derive(Debug)]
pub(super) struct Director {
    pub(super) cues: mpsc::UnboundedSender<String>,
    pub(super) heard: mpsc::UnboundedReceiver<Heard>,
}

/// The agent's side.
#[derive(Debug)]
pub(super) struct Directed {
    pub(super) cues: mpsc::UnboundedReceiver<String>,
    pub(super) record: mpsc::UnboundedSender<Heard>,
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
        let (recorder, heard) = mpsc::unbounded_channel();
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
                        let Some(heard) = Heard::parse(&line) else { return };
                        if recorder.send(heard).is_err() {
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
        Ok((Self { cues, heard }, address))
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
        let (record, mut heard) = mpsc::unbounded_channel::<Heard>();
        tokio::spawn(async move {
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(cue)) = lines.next_line().await {
                if prompter.send(cue).is_err() {
                    return;
                }
            }
        });
        let telling = tokio::spawn(async move {
            while let Some(heard) = heard.recv().await {
                if writer.write_all(heard.line().as_bytes()).await.is_err() {
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

impl Heard {
    fn line(&self) -> String {
        match self {
            Self::Message(uuid) => format!("message {uuid}\n"),
            Self::Answer(request_id) => format!("answer {request_id}\n"),
            Self::Interrupt => "interrupt\n".to_owned(),
            Self::Spoke => "spoke\n".to_owned(),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some(("message", uuid)) => Some(Self::Message(uuid.to_owned())),
            Some(("answer", request_id)) => Some(Self::Answer(request_id.to_owned())),
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
        for heard in [
            Heard::Message("u-1".to_owned()),
            Heard::Answer("r 1".to_owned()),
            Heard::Interrupt,
            Heard::Spoke,
        ] {
            assert_eq!(Heard::parse(heard.line().trim_end()), Some(heard));
        }
        assert_eq!(Heard::parse("applause"), None);
    }
}
