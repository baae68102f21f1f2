//! What can be typed on the command line.

mod access;
mod bridge;
mod connection;
mod keep;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use attache_protocol::{
    SessionId,
    viewer::{Cursor, History, InvalidCursor},
};
use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use clap_complete::Shell;

use crate::{exit::EXIT_CODES, link::Target};

pub(crate) use access::{Share, ShareCommand, Shared, TokenCommand, TokenOptions};
pub(crate) use bridge::{Bridge, RestartPolicy, Variable};
pub(crate) use connection::{Connection, ProfileName, Server, Way};
pub(crate) use keep::Keep;

/// Attach to a remote AI agent: see what it says, answer its questions, interrupt it, talk to it.
#[derive(Parser, Debug)]
#[command(name = "attache", version, about, max_term_width = 100, after_help = EXIT_CODES)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Try it: a relay, a scripted agent behind a bridge, and you, attached to it
    Demo(Demo),
    /// Be the scripted agent of the demo, on stdin and stdout
    #[command(hide = true)]
    DemoAgent(crate::demo::DemoAgent),
    /// Run a relay that agents and viewers meet at
    Relay(Relay),
    /// Say who may come in at a relay: the tokens of a token file
    Token(TokenOptions),
    /// Let somebody else into a session for a while, with a link
    Share(Box<Share>),
    /// Run an agent here, for people to attach to from elsewhere
    Bridge(Bridge),
    /// List the sessions
    Ls(Ls),
    /// Attach to a session
    Attach(Attach),
    /// Send one message and wait until the server has it, or the agent is done with it
    Send(Send),
    /// Say yes to a permission prompt
    Approve(Approve),
    /// Say no to a permission prompt
    Deny(Deny),
    /// Interrupt what the agent is doing
    Interrupt(OneShot),
    /// Print a session's stored frames as JSON lines
    Log(Log),
    /// Say of each JSON line what it is and how much of it is understood
    Inspect(Inspect),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Play a whole conversation without a keyboard and check that nothing got lost
    #[arg(long)]
    pub(crate) script: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Relay {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Accept the tokens of this file, as it is at any time; `attache token add` writes it. Without
    /// it anyone on this machine may connect
    #[arg(
        long,
        value_name = "FILE",
        env = "ATTACHE_TOKENS",
        hide_env_values = true
    )]
    pub(crate) tokens: Option<PathBuf>,
    /// Keep everything in this folder, so that it outlives the relay; without it, in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Start with a session of this title, played by the demo agent; with --data, go on with the one there is
    #[arg(long, value_name = "TITLE")]
    pub(crate) demo_session: Option<String>,
    /// Give workers tokens that last so long; they ask for new ones in time
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) worker_token_ttl: u32,
}

/// How a session is named. Links hold a token, and arguments can be seen by everybody on a machine.
const SESSION_HELP: &str = "\
The session's id; or a link to it, which other people on this machine can see in the list of processes; \
or `-`, for the link in ATTACHE_LINK or else the first line of stdin";

/// A command that waits for one thing and ends.
#[derive(Args, Debug)]
pub(crate) struct OneShot {
    #[arg(help = SESSION_HELP, value_parser = target)]
    pub(crate) session: Target,
    #[command(flatten)]
    pub(crate) way: Way,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Give up after so many seconds, with exit code 6
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// What `ls` prints.
const LS_HELP: &str = "\
Each line has the id, the state, the time of the last change and the title. The state is idle, running,
needs action, disconnected (no agent is there) or archived.";

#[derive(Args, Debug)]
#[command(after_help = LS_HELP)]
pub(crate) struct Ls {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `--json` speaks.
const JSON_HELP: &str = r#"With --json, stdout has one object a line:
  {"event":"status","status":"connecting|catching_up|live|waiting|closing|closed",…}
  {"event":"message","source":"live|history|backfill","message":{the frame, unchanged}}
  {"event":"permission_requested","request_id":…,"tool_name":…,"tool_use_id":…,"input":{…},"request":{the frame}}
  {"event":"permission_withdrawn","request_id":…}
  {"event":"permission_settled","request_id":…,"by":"us|another_viewer","name":…,"behavior":"allow|deny|error"}
  {"event":"answer_refused","request_id":…,"reason":…}
  {"event":"send","id":…,"state":"queued|in_flight|unknown|accepted|delivered|processing|processed|rejected"}
  {"event":"request","request_id":…,"outcome":"succeeded|failed|unanswered|expired|closed"}
  {"event":"cursor","cursor":…}
    (everything up to here was printed; --resume goes on behind it)
  {"event":"gap","after":…,"cause":…}
  {"event":"malformed","error":…,"text":…}
  {"event":"unresponsive","waited_ms":…}
  {"event":"closed","cause":…,"reason":…}
and stdin takes one command a line:
  {"command":"send","content":"a text, or an array of blocks"}
  {"command":"decide","request_id":…,"behavior":"allow","updatedInput":{…}}
    (with "even_if_unverified":true also when a drop left it unclear whether it is still asked)
  {"command":"decide","request_id":…,"behavior":"deny","message":"why"}
  {"command":"request","subtype":…,any other fields}
  {"command":"interrupt"}
  {"command":"reconnect"}
  {"command":"close"}
The end of stdin detaches once everything before it is confirmed."#;

#[derive(Args, Debug)]
#[command(after_long_help = JSON_HELP)]
pub(crate) struct Attach {
    #[arg(help = SESSION_HELP, value_parser = target)]
    pub(crate) session: Target,
    /// Only watch: nothing is sent, answered or interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    /// One JSON object an event on stdout, one JSON command a line on stdin
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only a final line with messages, bytes and seconds
    #[arg(long, conflicts_with = "json")]
    pub(crate) count: bool,
    /// How much of the past to load first: a number of messages, `all` or `none`
    #[arg(long, value_name = "N", default_value = "100", value_parser = history)]
    pub(crate) history: History,
    /// Go on where an earlier `attach --json` got to, by the last `cursor` it printed
    #[arg(long, value_name = "CURSOR", conflicts_with = "history", value_parser = cursor)]
    pub(crate) resume: Option<Cursor>,
    #[command(flatten)]
    pub(crate) way: Way,
    /// What the connection runs on; nothing else changes
    #[arg(long, value_enum, default_value_t, help_heading = "Connection")]
    pub(crate) runtime: Runtime,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which of the library's adapters is used.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Futures on tokio
    #[default]
    Tokio,
    /// Futures on async-std, which is discontinued: for trying out what programs on it do
    AsyncStd,
    /// Plain threads
    Blocking,
}

#[derive(Args, Debug)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) one_shot: OneShot,
    /// The message; `-` reads it from stdin
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) text: String,
    /// What to wait for
    #[arg(long, value_name = "STATE", value_enum, default_value_t)]
    pub(crate) wait: Wait,
}

/// How far a message has to get.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The server has it, for good
    #[default]
    Accepted,
    /// The agent is done with it; not every server tells
    Processed,
}

#[derive(Args, Debug)]
pub(crate) struct Approve {
    #[command(flatten)]
    pub(crate) one_shot: OneShot,
    /// The prompt's id; not needed when only one is open
    pub(crate) request_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Deny {
    #[command(flatten)]
    pub(crate) one_shot: OneShot,
    /// The prompt's id; not needed when only one is open
    pub(crate) request_id: Option<String>,
    /// What the agent is told
    #[arg(long, value_name = "TEXT", default_value = "The user denied this.")]
    pub(crate) message: String,
}

/// What `log` prints.
const LOG_HELP: &str = "\
Each line is a frame as it was stored: messages, prompts, answers. Frames are numbered from 1 in the order
of the log, so the first line after `--since N` is frame N + 1. What the server no longer keeps is told on
stderr. With --follow the log goes on across lost connections and restarts of the server, and ends with
the session; --timeout is then for the first answer.";

#[derive(Args, Debug)]
#[command(after_help = LOG_HELP)]
pub(crate) struct Log {
    #[arg(help = SESSION_HELP, value_parser = target)]
    pub(crate) session: Target,
    /// Leave out the first N frames
    #[arg(long, value_name = "N")]
    pub(crate) since: Option<u64>,
    /// Go on with what is stored from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A file of JSON lines; `-` is stdin
    pub(crate) file: OsString,
    /// One JSON object a line, and one for the summary
    #[arg(long)]
    pub(crate) json: bool,
}

fn target(text: &str) -> Result<Target, String> {
    Target::parse(text)
}

fn session(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "a number of seconds above 0, such as 30 or 0.5";
    let seconds = text.parse::<f64>().map_err(|_| WRONG.to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| WRONG.to_owned())
}

fn cursor(text: &str) -> Result<Cursor, String> {
    text.parse()
        .map_err(|error: InvalidCursor| error.to_string())
}

fn history(text: &str) -> Result<History, String> {
    match text {
        "all" => Ok(History::All),
        "none" | "0" => Ok(History::None),
        number => number
            .parse()
            .map(History::Latest)
            .map_err(|_| "a number of messages, `all` or `none`".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    /// A server that nobody has named.
    pub(crate) fn server() -> Server {
        let parsed = parse("attache ls").unwrap();
        let Command::Ls(ls) = parsed.command else {
            panic!("ls was typed");
        };
        ls.connection.server
    }

    pub(crate) fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_token_is_never_a_flag_value() {
        let error = parse("attache ls --base-url http://127.0.0.1 --token abc").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn ids_that_would_need_escaping_are_refused() {
        for id in ["a/b", "a?b", "a&b"] {
            let line = format!("attache attach {id} --base-url http://127.0.0.1");
            assert_eq!(parse(&line).unwrap_err().kind(), ErrorKind::ValueValidation);
        }
    }

    #[test]
    fn a_link_stands_in_place_of_a_session() {
        let link = "https://relay.example/s/session_1#token";
        for command in ["attach", "log", "send", "approve", "deny", "interrupt"] {
            let text = if command == "send" { "hello" } else { "" };
            let mut parsed = parse(&format!("attache {command} {link} {text}")).unwrap();
            parsed.command.follow_link().unwrap();
            assert!(format!("{:?}", parsed.command).contains("https://relay.example"));
            assert!(!format!("{:?}", parsed.command).contains("#token"));
        }
    }

    #[test]
    fn a_timeout_is_positive() {
        for wrong in ["0", "-1", "x", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }
}
