//! Runs the program, never for longer than [`LIMIT`].

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// The program with `arguments`, in an environment that says nothing.
pub(crate) fn attache(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs `command` to its end.
pub(crate) async fn finish(command: &mut Command) -> Finished {
    let output = timeout(LIMIT, command.output()).await;
    output.expect("in time").expect("it starts").into()
}

/// Runs `command` to its end with `input` on stdin.
pub(crate) async fn finish_with(command: &mut Command, input: &[u8]) -> Finished {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().unwrap();
    let work = async {
        let write = async {
            // It may end without reading everything.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        output.unwrap()
    };
    timeout(LIMIT, work).await.expect("in time").into()
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Finished {
    /// Asserts the exit code, and that a failure is told in one line.
    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn fails_in_one_line(&self, code: i32, mentions: &str) {
        self.ends_with(code);
        assert!(self.stdout.is_empty(), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(mentions), "{self:?}");
    }
}

/// A run that is talked to.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
    notes: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            stderr: BufReader::new(child.stderr.take().unwrap()).lines(),
            notes: String::new(),
            child,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) async fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("still open");
        stdin.write_all(line.as_bytes()).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
    }

    /// Ends the input, as Ctrl-D does.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads lines of stdout until one that `wanted` likes.
    pub(crate) async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        find(&mut self.stdout, wanted).await.0
    }

    /// Reads lines of stderr until one that `wanted` likes.
    pub(crate) async fn note(&mut self, wanted: impl Fn(&str) -> bool) {
        let (line, before) = find(&mut self.stderr, wanted).await;
        self.notes.push_str(&before);
        self.notes.push_str(&line);
        self.notes.push('\n');
    }

    /// Presses Ctrl-C.
    #[cfg(unix)]
    pub(crate) async fn ctrl_c(&self) {
        self.signal("-INT").await;
    }

    /// Sends `signal`, as `kill` names it.
    #[cfg(unix)]
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Sends SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for the end: exit code, what is left on stdout, and all of stderr.
    pub(crate) async fn end(mut self) -> Finished {
        let work = async {
            let (status, stdout, stderr) = tokio::join!(
                self.child.wait(),
                rest(&mut self.stdout),
                rest(&mut self.stderr)
            );
            Finished {
                code: status.unwrap().code(),
                stdout,
                stderr: self.notes + &stderr,
            }
        };
        timeout(LIMIT, work).await.expect("in time")
    }
}

/// The first line that `wanted` likes, and what came before it.
async fn find<R: AsyncRead + Unpin>(
    lines: &mut Lines<BufReader<R>>,
    wanted: impl Fn(&str) -> bool,
) -> (String, String) {
    let mut before = String::new();
    let search = async {
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended after {before}"));
            if wanted(&line) {
                return line;
            }
            before.push_str(&line);
            before.push('\n');
        }
    };
    let found = timeout(LIMIT, search).await.ok();
    match found {
        Some(line) => (line, before),
        None => panic!("only this came in time: {before}"),
    }
}

async fn rest<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>) -> String {
    let mut text = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
