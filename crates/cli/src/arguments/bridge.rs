//! What can be typed after `bridge`.

use std::{ffi::OsString, path::PathBuf};

use attache_protocol::SessionId;
use clap::{Args, ValueEnum};

use super::{ProfileName, Server, session};

/// How `bridge` is used.
const BRIDGE_HELP: &str = "\
The agent speaks newline-delimited JSON on stdin and stdout. Its flags are yours to choose:
  attache bridge --title 'my project' -- some-agent --input-format stream-json \\
      --output-format stream-json --permission-prompt-tool stdio --verbose

stdout has one line, `session ID`; what the agent writes to stderr comes out on stderr.
The agent has this program's environment, but for ATTACHE_TOKEN.
On Ctrl-C or SIGTERM the agent's stdin is closed and the session archived, within 5 seconds.";

#[derive(Args, Debug)]
#[command(after_help = BRIDGE_HELP)]
pub(crate) struct Bridge {
    /// What the session is called in lists
    #[arg(long, value_name = "TITLE", conflicts_with = "session")]
    pub(crate) title: Option<String>,
    /// Take this session over instead of starting a new one; a bridge that has it stops
    #[arg(long, value_name = "ID", value_parser = session)]
    pub(crate) session: Option<SessionId>,
    /// The folder the agent runs in
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Set a variable in the agent's environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<Variable>,
    /// What to do when the agent fails
    #[arg(long, value_enum, default_value_t)]
    pub(crate) restart: RestartPolicy,
    /// How to retry after a lost connection
    #[arg(long, value_enum, default_value_t, help_heading = "Connection")]
    pub(crate) profile: ProfileName,
    #[command(flatten)]
    pub(crate) server: Server,
    /// The agent's command line
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// A variable for the agent's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RestartPolicy {
    /// Tell the viewers and end the session
    #[default]
    Never,
    /// Tell the viewers and start it again after a while, unless it keeps failing
    OnFailure,
}

fn variable(text: &str) -> Result<Variable, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => Ok(Variable {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        Some(_) | None => Err("a variable is NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Command, tests::parse};

    #[test]
    fn everything_after_the_dashes_is_the_agents() {
        let parsed =
            parse("attache bridge --env A=b=c --base-url http://127.0.0.1 -- agent --env X --help")
                .unwrap();
        let Command::Bridge(bridge) = parsed.command else {
            panic!("bridge was typed");
        };
        assert_eq!(bridge.command, ["agent", "--env", "X", "--help"]);
        let variable = Variable {
            name: "A".to_owned(),
            value: "b=c".to_owned(),
        };
        assert_eq!(bridge.env, [variable]);
        for wrong in [
            "",
            "--env =x -- agent",
            "--env x -- agent",
            "--title a --session b -- agent",
        ] {
            let line = format!("attache bridge --base-url http://127.0.0.1 {wrong}");
            assert!(parse(&line).is_err(), "{wrong}");
        }
    }
}
