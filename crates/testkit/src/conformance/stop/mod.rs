//! A server that is stopped for real: in a process of its own, with `SIGSTOP`.

#[cfg(unix)]
mod process;
#[cfg(unix)]
mod viewer;
#[cfg(unix)]
mod worker;

use std::{env, process::ExitCode};

use super::{adapter::Adapter, trial::Side};

/// What a program is started with to be the server.
const ROLE: &str = "--be-the-server-that-is-stopped";

/// A server in a process of its own is stopped while a client is live, and later goes on: the client
/// notices, tries again, is live again, and nothing is lost or comes twice. Then it is stopped once more,
/// and closing takes no longer than [`CLOSE_LIMIT`](super::CLOSE_LIMIT) nevertheless. Says how long it
/// took, or that there is no such signal here.
///
/// The process is this program once more: its `main` must begin with [`be_the_server`].
///
/// # Errors
/// What went wrong, or what is left in the end.
pub fn stop_the_server(adapter: &dyn Adapter, side: Side) -> Result<String, String> {
    #[cfg(unix)]
    {
        let before = super::leaks::Census::take(adapter.tasks());
        let told = match side.transport() {
            Some(transport) => viewer::tell(adapter, transport),
            None => worker::tell(adapter),
        }?;
        before.settles(|| adapter.tasks())?;
        Ok(told)
    }
    #[cfg(not(unix))]
    {
        let _ = (adapter, side);
        Ok("skipped: processes can't be stopped here".to_owned())
    }
}

/// Is the server that [`stop_the_server`] stops, if that started this process: then there is nothing else
/// to do for it.
pub fn be_the_server() -> Option<ExitCode> {
    if !env::args().any(|argument| argument == ROLE) {
        return None;
    }
    #[cfg(unix)]
    {
        Some(process::serve())
    }
    #[cfg(not(unix))]
    {
        Some(ExitCode::FAILURE)
    }
}
