//! The server's process, and how it is talked to: a word on its standard input, a line back.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Lines, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::ROLE;
use crate::conformance::server::SessionServer;

/// The process. Dropping it ends it, stopped or not.
pub(super) struct Process {
    child: Child,
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub(super) base_url: String,
}

impl Process {
    pub(super) fn start() -> Result<Self, String> {
        Self::try_start().map_err(|error| format!("the server's process does not start: {error}"))
    }

    fn try_start() -> io::Result<Self> {
        // A group of its own: the system ends it if this process is killed while that one is stopped.
        let mut child = Command::new(env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (Some(words), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut process = Self {
            child,
            words,
            answers: BufReader::new(answers).lines(),
            base_url: String::new(),
        };
        let address = process.answer()?;
        process.base_url = format!("http://{address}");
        Ok(process)
    }

    /// Stops it, and waits until it is.
    pub(super) fn stop(&self) -> Result<(), String> {
        self.signal(Signal::STOP)?;
        let pid = Pid::from_child(&self.child);
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED);
        match stopped.map_err(|error| error.to_string())? {
            Some((_, status)) if status.stopped() => Ok(()),
            other => Err(format!("the server's process did not stop: {other:?}")),
        }
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    /// Says a word and hears the answer, which is a list.
    pub(super) fn ask(&mut self, word: &str) -> Result<Vec<String>, String> {
        let answer = writeln!(self.words, "{word}").and_then(|()| self.answer());
        let answer = answer.map_err(|error| format!("the server's process is gone: {error}"))?;
        Ok(answer.split_whitespace().map(str::to_owned).collect())
    }

    fn answer(&mut self) -> io::Result<String> {
        self.answers
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| format!("the server's process takes no signal: {error}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the server until nobody talks any more.
pub(super) fn serve() -> ExitCode {
    match talk() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server's process can't go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn talk() -> io::Result<()> {
    let server = SessionServer::start()?;
    let mut out = io::stdout();
    writeln!(out, "{}", server.address())?;
    out.flush()?;
    for word in io::stdin().lines() {
        let answer = match word?.as_str() {
            "say" => {
                server.say();
                Vec::new()
            }
            "tell" => {
                server.tell();
                Vec::new()
            }
            "messages" => server.messages(),
            "told" => server.told(),
            "uploads" => server.uploads(),
            other => return Err(io::Error::other(format!("no such word: {other}"))),
        };
        writeln!(out, "{}", answer.join(" "))?;
        out.flush()?;
    }
    Ok(())
}
