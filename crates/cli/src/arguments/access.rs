//! What can be typed after `token` and `share`.

use std::{path::PathBuf, time::Duration};

use attache_protocol::SessionId;
use attache_relay::Role;
use clap::{Args, Subcommand};

use super::{Connection, Patience, session};

/// How tokens are used.
const TOKEN_HELP: &str = "\
A role may do what the ones before it may:
  view     watch
  approve  answer permission prompts
  drive    send messages, interrupt
  own      start, rename, share and archive sessions, and run their agents
A running relay notices changes of its token file within a second. The file holds no tokens, only
their hashes.";

#[derive(Args, Debug)]
#[command(after_help = TOKEN_HELP)]
pub(crate) struct TokenOptions {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
    /// The token file, the one that the relay is started with
    #[arg(
        long,
        value_name = "FILE",
        env = "ATTACHE_TOKENS",
        hide_env_values = true
    )]
    #[arg(global = true)]
    pub(crate) tokens: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this one time
    Add {
        /// Whose it is; answers to prompts are signed with it
        name: String,
        /// What its holder may do: view, approve, drive or own
        #[arg(long, value_parser = role)]
        role: Role,
        /// How long it is good, such as 30d or 12h; for ever if not given
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        ttl: Option<Duration>,
    },
    /// List the tokens: name, role and expiry
    List,
    /// Take a token away; whoever came in with it is thrown out
    Revoke {
        /// Its name
        name: String,
    },
}

/// How sharing is used.
const SHARE_HELP: &str = "\
The link opens this one session, for whoever has it, until it expires or is revoked:
  attache share SESSION --role view --ttl 1h
  attache share list SESSION
  attache share revoke SESSION SHARE_ID";

#[derive(Args, Debug)]
#[command(after_help = SHARE_HELP, subcommand_negates_reqs = true)]
pub(crate) struct Share {
    #[command(subcommand)]
    pub(crate) command: Option<ShareCommand>,
    /// The session's id
    #[arg(value_parser = session, required = true)]
    pub(crate) session: Option<SessionId>,
    /// What the link's holder may do: view, approve or drive
    #[arg(long, value_parser = role, required = true)]
    pub(crate) role: Option<Role>,
    /// How long it is good, such as 1h or 7d
    #[arg(long, value_name = "TIME", value_parser = lifetime, required = true)]
    pub(crate) ttl: Option<Duration>,
    /// Who it is for; answers to prompts are signed with it
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ShareCommand {
    /// List a session's shares: id, role, expiry and name
    List(Shared),
    /// Take a share away; whoever came in with it is thrown out
    Revoke {
        #[command(flatten)]
        shared: Shared,
        /// The share's id
        share_id: String,
    },
}

/// The session that is shared.
#[derive(Args, Debug)]
pub(crate) struct Shared {
    /// The session's id
    #[arg(value_parser = session)]
    pub(crate) session: SessionId,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse::<Role>().map_err(|error| error.to_string())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = humantime::parse_duration(text);
    lifetime
        .ok()
        .filter(|lifetime| lifetime.as_secs() > 0)
        .ok_or_else(|| "a time such as 90m, 12h or 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Command, tests::parse};

    const SERVER: &str = "--base-url http://127.0.0.1";

    fn share(line: &str) -> Share {
        match parse(&format!("attache share {line} {SERVER}"))
            .unwrap()
            .command
        {
            Command::Share(share) => *share,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_is_shared_by_naming_it_and_shares_by_what_to_do_with_them() {
        let made = share("session_1 --role view --ttl 1h");
        assert_eq!(made.session, SessionId::parse("session_1").ok());
        assert_eq!(
            (made.role, made.ttl),
            (Some(Role::View), Some(Duration::from_secs(3600)))
        );
        assert!(matches!(
            share("list session_1").command,
            Some(ShareCommand::List(_))
        ));
        let revoke = share("revoke session_1 share_2").command;
        assert!(
            matches!(revoke, Some(ShareCommand::Revoke { share_id, .. }) if share_id == "share_2")
        );
        for wrong in [
            "share session_1",
            "share session_1 --role root --ttl 1h",
            "share",
        ] {
            assert!(parse(&format!("attache {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_has_a_name_and_a_role() {
        let parsed = parse("attache token add ann --role drive --ttl 30d --tokens f").unwrap();
        let Command::Token(options) = parsed.command else {
            panic!("token was typed");
        };
        assert_eq!(options.tokens, Some(PathBuf::from("f")));
        let TokenCommand::Add { name, role, ttl } = options.command else {
            panic!("add was typed");
        };
        assert_eq!((name.as_str(), role), ("ann", Role::Drive));
        assert_eq!(ttl, Some(Duration::from_secs(30 * 86_400)));
        assert!(parse("attache token add ann").is_err());
        assert!(parse("attache token add ann --role own --ttl 0s").is_err());
    }
}
