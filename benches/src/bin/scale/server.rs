//! The process on the other side.

use std::{env, path::Path, process::Stdio, time::Duration};

use attache_benches::process::Process;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(20);

/// This program again, as a server. It ends when its standard input does, so with this process at the
/// latest.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    process: Process,
    port: u16,
}

impl Server {
    /// A relay with a store in `disk`, or in memory.
    pub(crate) async fn relay(port: u16, disk: Option<&Path>) -> Outcome<Self> {
        let mut arguments = vec!["relay".to_owned(), port.to_string()];
        if let Some(disk) = disk {
            let disk = disk
                .to_str()
                .ok_or("the store's folder has no readable name")?;
            arguments.push(disk.to_owned());
        }
        Self::start(&arguments).await
    }

    pub(crate) async fn start(arguments: &[String]) -> Outcome<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("the server has no input")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let pid = child.id().ok_or("the server is gone already")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??;
        let port = first.ok_or("the server did not start")?.parse()?;
        Ok(Self {
            child,
            input,
            process: Process::of(pid),
            port,
        })
    }

    pub(crate) fn process(&self) -> Process {
        self.process
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets a server that talks say so many times more.
    pub(crate) async fn grant(&mut self, turns: usize) -> Outcome<()> {
        self.input.write_all(&vec![b'.'; turns]).await?;
        Ok(self.input.flush().await?)
    }

    /// Has it end in order, and waits for that.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        drop(self.input);
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> Outcome<()> {
        Ok(self.child.kill().await?)
    }
}
