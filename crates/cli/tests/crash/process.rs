//! A process that is listened to until it is killed.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::program::LIMIT;

/// Who runs as a process.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Relay,
    Bridge,
    Viewer(usize),
    Follower,
}

/// Something that a process wrote.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) party: Party,
    /// Which of the party's processes.
    pub(crate) life: u32,
    pub(crate) what: Said,
}

#[derive(Debug)]
pub(crate) enum Said {
    /// A whole line on stdout.
    Line(String),
    /// A whole line on stderr.
    Note(String),
    /// Stdout has ended.
    Over,
}

pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    readers: [JoinHandle<()>; 2],
    name: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(
        command: &mut Command,
        party: Party,
        life: u32,
        heard: &mpsc::UnboundedSender<Heard>,
    ) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let tell = |what: fn(String) -> Said, last: Option<Said>| Ear {
            party,
            life,
            what,
            last,
            heard: heard.clone(),
            said: said.clone(),
        };
        let out = tell(Said::Line, Some(Said::Over)).listen(child.stdout.take().unwrap());
        let notes = tell(Said::Note, None).listen(child.stderr.take().unwrap());
        Self {
            stdin: child.stdin.take(),
            child,
            readers: [tokio::spawn(out), tokio::spawn(notes)],
            name: format!("{party:?} {life}"),
            said,
        }
    }

    /// Types a line. One that has ended does not read it.
    pub(crate) async fn type_line(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
        }
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends SIGKILL and does not wait for anything.
    pub(crate) fn strike(&mut self) {
        let _ = self.child.start_kill();
    }

    /// Waits for the end. Everything it wrote has been heard then.
    pub(crate) async fn end(mut self) -> ExitStatus {
        let ended = async {
            let status = self.child.wait().await.unwrap();
            for reader in self.readers {
                reader.await.unwrap();
            }
            status
        };
        let ended = timeout(LIMIT, ended).await;
        ended.unwrap_or_else(|_| {
            panic!(
                "{} does not end; it said\n{}",
                self.name,
                self.said.lock().unwrap().join("\n")
            )
        })
    }

    /// What it wrote last, for people.
    pub(crate) fn last_words(&self) -> String {
        let said = self.said.lock().unwrap();
        let from = said.len().saturating_sub(40);
        said.get(from..).unwrap_or_default().join("\n")
    }
}

struct Ear {
    party: Party,
    life: u32,
    what: fn(String) -> Said,
    last: Option<Said>,
    heard: mpsc::UnboundedSender<Heard>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    async fn listen(mut self, out: impl AsyncRead + Unpin) {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        // Whoever is killed may stop in the middle of a line. That part says nothing.
        while matches!(out.read_until(b'\n', &mut line).await, Ok(read) if read > 0)
            && line.pop() == Some(b'\n')
        {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            self.said.lock().unwrap().push(text.clone());
            self.tell((self.what)(text));
        }
        if let Some(last) = self.last.take() {
            self.tell(last);
        }
    }

    fn tell(&self, what: Said) {
        let (party, life) = (self.party, self.life);
        // The world may have ended.
        let _ = self.heard.send(Heard { party, life, what });
    }
}
