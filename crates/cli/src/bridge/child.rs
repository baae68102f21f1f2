//! The agent as a child process.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use attache_protocol::{ByteString, frame::Frame};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{complaints::Complaints, output::Output};
use crate::{
    arguments::Variable,
    exit::{Exit, Failure},
    ls::on_one_line,
    token,
};

/// The longest line that is read, in bytes.
const LINE_LIMIT: usize = 64 << 20;
/// How long an agent may take to leave once it is told.
pub(super) const GRACE: Duration = Duration::from_millis(1500);

/// How the agent is started.
#[derive(Debug)]
pub(crate) struct AgentCommand {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) variables: Vec<Variable>,
}

/// A started agent, by its parts.
pub(super) struct Agent {
    pub(super) process: Process,
    pub(super) input: Input,
    pub(super) output: Output<ChildStdout>,
    pub(super) complaints: Complaints,
}

impl AgentCommand {
    /// Starts the agent in a process group of its own: what is pressed on our terminal is not for it.
    /// Neither is our token.
    pub(super) fn start(&self) -> Result<Agent, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_remove(token::VARIABLE)
            .envs(self.variables.iter().map(|it| (&it.name, &it.value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        let program = self.program.display();
        let mut child = command.spawn().map_err(|error| {
            Failure::usage(format!(
                "{program} can't be started: {error}; check --cwd and the command after --"
            ))
        })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            let message = format!("{program} was started without its pipes; try again");
            return Err(Failure::new(Exit::Failure, message));
        };
        Ok(Agent {
            process: Process(child),
            input: Input(stdin),
            output: Output::new(stdout, LINE_LIMIT),
            complaints: Complaints::forward(stderr),
        })
    }
}

/// The agent's stdin. Dropping it closes it, which tells the agent to leave.
#[derive(Debug)]
pub(super) struct Input(ChildStdin);

impl Input {
    /// Writes one line. Not cancel safe: a part of it may have been written.
    pub(super) async fn write(&mut self, frame: &Frame) -> io::Result<()> {
        self.write_text(frame.text()).await
    }

    /// Writes one frame's text as one line. Not cancel safe.
    pub(super) async fn write_text(&mut self, text: &ByteString) -> io::Result<()> {
        let text = text.trim();
        if text.contains(['\n', '\r']) {
            self.0.write_all(on_one_line(text).as_bytes()).await?;
        } else {
            self.0.write_all(text.as_bytes()).await?;
        }
        self.0.write_all(b"\n").await?;
        self.0.flush().await
    }
}

/// The agent's process.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    /// Waits until it has exited. Cancel safe.
    pub(super) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Waits for it to leave by itself, for a while, and then makes it.
    pub(super) async fn leave(&mut self) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(GRACE, self.0.wait()).await {
            return status;
        }
        self.kill();
        self.0.wait().await
    }

    /// Ends it and what it has started.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(group)
        {
            // It may have exited by itself in this moment.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.start_kill();
    }
}

/// What an exit is called.
pub(super) fn called(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exited with code {code}");
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {signal}");
    }
    "ended".to_owned()
}
