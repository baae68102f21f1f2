//! The program, run to its end or not.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// No wait is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

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

/// What `command` writes to stdout, or why it failed.
pub(crate) async fn output(command: &mut Command) -> Result<String, String> {
    let output = timeout(LIMIT, command.output()).await;
    let output = output.expect("in time").expect("it starts");
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(format!("{output:?}"))
}
