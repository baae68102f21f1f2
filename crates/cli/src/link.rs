//! Links to a session: where it is, which one, and the token that opens it.
//!
//! `BASE_URL/s/SESSION_ID#TOKEN`: what stands behind the `#` is never sent to a server.

use std::{fmt, io};

use attache_protocol::{SessionId, io::Token};

use crate::{
    arguments::{Command, Server},
    exit::Failure,
};

/// The variable that may hold a link.
pub(crate) const VARIABLE: &str = "ATTACHE_LINK";
const WRONG: &str = "a link looks like https://relay.example/s/SESSION#TOKEN";

/// How a session was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// By its id.
    Session(SessionId),
    /// By a link, or something like one; nothing is said about it before it is known not to be shown.
    Link(Result<Link, BadLink>),
    /// By a link that is somewhere else.
    Elsewhere,
}

/// A link. `Debug` shows no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) base_url: String,
    pub(crate) session: SessionId,
    pub(crate) token: Token,
}

/// A text is no link.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLink;

impl Target {
    /// Reads an argument. What may hold a token is never refused here, because it would be shown.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Elsewhere);
        }
        if text.contains("://") || text.contains('#') {
            return Ok(Self::Link(Link::parse(text)));
        }
        let id = SessionId::parse(text).map_err(|error| error.to_string())?;
        Ok(Self::Session(id))
    }

    /// The session's id.
    ///
    /// # Errors
    /// When there is only a link, and nobody has [followed](Command::follow_link) it.
    pub(crate) fn id(&self) -> Result<&SessionId, Failure> {
        match self {
            Self::Session(id) => Ok(id),
            Self::Link(Ok(link)) => Ok(&link.session),
            Self::Link(Err(BadLink)) | Self::Elsewhere => Err(Failure::usage(WRONG)),
        }
    }

    fn follow(&mut self, server: &mut Server) -> Result<(), Failure> {
        let link = match &*self {
            Self::Session(_) => return Ok(()),
            Self::Link(link) => link.clone(),
            Self::Elsewhere => Link::parse(link_elsewhere()?.trim()),
        };
        let link = link.map_err(|BadLink| Failure::usage(WRONG))?;
        *self = Self::Session(link.session.clone());
        server.link = Some(link);
        Ok(())
    }
}

impl Command {
    /// Turns a link in place of a session into the session, its server and the token.
    ///
    /// # Errors
    /// When it is no link; the message does not show it.
    pub(crate) fn follow_link(&mut self) -> Result<(), Failure> {
        let one_shot = match self {
            Self::Attach(attach) => return attach.session.follow(&mut attach.connection.server),
            Self::Send(send) => &mut send.one_shot,
            Self::Approve(approve) => &mut approve.one_shot,
            Self::Deny(deny) => &mut deny.one_shot,
            Self::Interrupt(one_shot) => one_shot,
            Self::Log(log) => return log.session.follow(&mut log.connection.server),
            Self::Demo(_)
            | Self::DemoAgent(_)
            | Self::Relay(_)
            | Self::Token(_)
            | Self::Share(_)
            | Self::Bridge(_)
            | Self::Ls(_)
            | Self::Inspect(_)
            | Self::Completions { .. } => return Ok(()),
        };
        one_shot.session.follow(&mut one_shot.connection.server)
    }
}

impl Link {
    pub(crate) fn parse(text: &str) -> Result<Self, BadLink> {
        let (place, token) = text.split_once('#').ok_or(BadLink)?;
        let (base_url, session) = place.rsplit_once("/s/").ok_or(BadLink)?;
        let token = Token::new(token.to_owned());
        if base_url.is_empty() || attache_driver::request::bearer(&token).is_err() {
            return Err(BadLink);
        }
        Ok(Self {
            base_url: base_url.to_owned(),
            session: SessionId::parse(session).map_err(|_| BadLink)?,
            token,
        })
    }
}

/// The link, with its token: for the person it is made for.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.trim_end_matches('/');
        write!(f, "{base_url}/s/{}#{}", self.session, self.token.expose())
    }
}

fn link_elsewhere() -> Result<String, Failure> {
    if let Ok(link) = std::env::var(VARIABLE) {
        return Ok(link);
    }
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("reading the link from stdin failed: {error}")))?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_back_and_shows_its_token_to_nobody_else() {
        let text = "https://relay.example/base/s/session_1#attache_share_abc";
        let link = Link::parse(text).unwrap();
        assert_eq!(link.base_url, "https://relay.example/base");
        assert_eq!(link.token.expose(), "attache_share_abc");
        assert_eq!(link.to_string(), text);
        assert!(!format!("{link:?}").contains("abc"));
    }

    #[test]
    fn what_is_no_link_is_refused_without_showing_it() {
        for text in [
            "https://relay.example/s/session_1",
            "https://relay.example/s/session_1#",
            "https://relay.example/session_1#secret",
            "https://relay.example/s/a/b#secret",
            "https://relay.example/s/session_1#two words",
            "session_1#secret",
        ] {
            let mut target = Target::parse(text).unwrap();
            let mut server = crate::arguments::tests::server();
            let refused = target.follow(&mut server).unwrap_err().to_string();
            assert!(refused.contains("a link looks like"), "{text}: {refused}");
            assert!(!refused.contains("secret") && !refused.contains("words"));
            assert!(server.link.is_none());
        }
    }
}
