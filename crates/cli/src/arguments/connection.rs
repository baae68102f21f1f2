//! Which server, how to get there, and what to do when it is lost.

use std::{path::PathBuf, time::Duration};

use attache_protocol::{
    OrganizationId, SessionId,
    policy::{Delays, Profile},
    viewer::{Transport, ViewerConfig},
    worker::WorkerLiveness,
};
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};

use crate::link::Link;

/// Which server, and how to get there as a viewer.
#[derive(Args, Debug, Clone)]
pub(crate) struct Connection {
    #[command(flatten)]
    pub(crate) server: Server,
    /// The organization the session belongs to
    #[arg(
        long,
        value_name = "ID",
        env = "ATTACHE_ORG",
        hide_env_values = true,
        help_heading = "Connection"
    )]
    #[arg(value_parser = organization)]
    pub(crate) org: Option<OrganizationId>,
    /// How to retry after a lost connection
    #[arg(long, value_enum, default_value_t, help_heading = "Connection")]
    pub(crate) profile: ProfileName,
}

/// Which server, and how to get there.
#[derive(Args, Debug, Clone)]
pub(crate) struct Server {
    #[arg(
        long,
        help = "The server's base URL, such as https://relay.example",
        value_name = "URL",
        env = "ATTACHE_BASE_URL",
        hide_env_values = true,
        help_heading = "Connection"
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) base_url: Option<String>,
    /// A link that names the server and has the token, in place of both.
    #[arg(skip)]
    pub(crate) link: Option<Link>,
    /// Read the token from this file, anew for every attempt (otherwise from ATTACHE_TOKEN)
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the token from the first line of stdin
    #[arg(long, conflicts_with = "token_file", help_heading = "Connection")]
    pub(crate) token_stdin: bool,
    /// Trust the certificates in this PEM file as well
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Show this client certificate, a PEM file
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Connection"
    )]
    pub(crate) client_cert: Option<PathBuf>,
    /// The client certificate's private key, a PEM file
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_cert",
        help_heading = "Connection"
    )]
    pub(crate) client_key: Option<PathBuf>,
    /// Allow http:// to another machine: token and conversation travel in the clear
    #[arg(long, help_heading = "Connection")]
    pub(crate) allow_plaintext: bool,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// 5 retries 2 s apart
    Reference,
    /// Growing delays, never giving up on a network that may come back
    #[default]
    Resilient,
    /// Ten times a second: for a server on this machine
    Local,
}

/// The distance of retries under [`ProfileName::Local`].
const LOCAL: Duration = Duration::from_millis(100);

/// What a session is followed over.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct Way {
    /// What to follow the session over
    #[arg(long, value_enum, default_value_t, help_heading = "Connection")]
    pub(crate) transport: TransportName,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    /// A WebSocket
    #[default]
    Ws,
    /// Server-sent events, which get through where WebSockets do not
    Sse,
}

impl ProfileName {
    /// How a worker notices a lost connection and makes it again.
    pub(crate) fn worker_liveness(self) -> WorkerLiveness {
        let mut liveness = WorkerLiveness::default();
        match self {
            // The reference worker's delays grow and never end.
            Self::Reference | Self::Resilient => {}
            Self::Local => {
                liveness.retry_base = LOCAL;
                liveness.retry_cap = LOCAL;
            }
        }
        liveness
    }
}

impl Connection {
    /// A viewer's settings for `session` under these options.
    pub(crate) fn viewer_config(&self, session: SessionId, way: Way) -> ViewerConfig {
        let mut config = ViewerConfig::new(session);
        config.transport = match way.transport {
            TransportName::Ws => Transport::WebSocket,
            TransportName::Sse => Transport::Sse,
        };
        config.organization.clone_from(&self.org);
        config.profile = self.profile();
        config
    }

    /// When to try again.
    pub(crate) fn profile(&self) -> Profile {
        match self.profile {
            ProfileName::Reference => Profile::reference(),
            ProfileName::Resilient => Profile::resilient(),
            ProfileName::Local => {
                let mut profile = Profile::resilient();
                profile.drops.delays = Delays::Constant(LOCAL);
                profile.restart_window = Duration::ZERO;
                profile
            }
        }
    }
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    OrganizationId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use attache_protocol::viewer::History;

    use super::*;
    use crate::arguments::{Command, tests::parse};

    #[test]
    fn options_become_the_viewers_settings() {
        let parsed = parse(
            "attache attach cse_1 --base-url http://127.0.0.1 --profile reference --org o1 --history all --transport sse",
        )
        .unwrap();
        let Command::Attach(attach) = parsed.command else {
            panic!("attach was typed");
        };
        let session = attach.session.id().unwrap().clone();
        let config = attach.connection.viewer_config(session, attach.way);
        assert_eq!(config.profile, Profile::reference());
        assert_eq!(config.transport, Transport::Sse);
        assert_eq!(config.organization.unwrap().as_str(), "o1");
        assert_eq!(attach.history, History::All);
    }
}
