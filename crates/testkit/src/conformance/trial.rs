//! The trials there are.

use std::{fmt, io, net::SocketAddr, time::Duration};

use attache_protocol::{policy::Outcome, viewer::Transport};

use super::{
    chance::Chance,
    expectation,
    fault::{Fault, LinkKind, Way},
    proxy::{ChaosProxy, Reach},
};

/// Closing takes no longer than this.
pub const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How many faults a long row has.
const STORM: usize = 6;

/// Who connects.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A viewer over a WebSocket.
    ViewerOverSocket,
    /// A viewer over a stream of events.
    ViewerOverStream,
    /// A worker.
    Worker,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ViewerOverSocket, Self::ViewerOverStream, Self::Worker];

    /// What its link is made of.
    pub fn link(self) -> LinkKind {
        match self {
            Self::ViewerOverSocket => LinkKind::Socket,
            Self::ViewerOverStream | Self::Worker => LinkKind::Stream,
        }
    }

    /// A viewer's transport.
    pub(super) fn transport(self) -> Option<Transport> {
        match self {
            Self::ViewerOverSocket => Some(Transport::WebSocket),
            Self::ViewerOverStream => Some(Transport::Sse),
            Self::Worker => None,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ViewerOverSocket => "viewer, WebSocket",
            Self::ViewerOverStream => "viewer, SSE",
            Self::Worker => "worker",
        })
    }
}

/// When it is closed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Closing {
    /// When it is live again, and everything is delivered.
    WhenLive,
    /// As soon as the last fault has struck.
    InTheStorm,
    /// While the last fault is in force, and with the budgets that everybody has who sets none.
    Unhealed,
}

/// One story.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Trial {
    /// Who connects.
    pub side: Side,
    /// What strikes, one connection after the other.
    pub faults: Vec<Fault>,
    /// What else is struck.
    pub reach: Reach,
    /// When it is closed.
    pub closing: Closing,
    /// Whether the server's name does not resolve: nothing else can go wrong then.
    pub is_nameless: bool,
    /// What the client connects through.
    pub way: Way,
    /// Where exactly faults strike.
    pub seed: u64,
}

impl Trial {
    /// A trial with these faults.
    pub fn new(side: Side, faults: &[Fault], reach: Reach, seed: u64) -> Self {
        Self {
            side,
            faults: faults.to_vec(),
            reach,
            closing: Closing::WhenLive,
            is_nameless: false,
            way: Way::Plain,
            seed,
        }
    }

    /// The proxy in front of the server that makes it happen.
    pub(super) fn proxy(&self, server: SocketAddr) -> io::Result<ChaosProxy> {
        ChaosProxy::start(server, self.way, &self.faults, self.reach, self.seed)
    }

    /// Whether a call is answered with a status that does not ask to try again.
    pub(super) fn refuses_calls(&self) -> bool {
        let mut statuses = self.faults.iter().filter_map(|fault| fault.status());
        self.reach != Reach::Link && statuses.any(|status| status < 429)
    }

    /// Whether bytes of an answer to a call are replaced.
    pub(super) fn spoils_calls(&self) -> bool {
        self.reach != Reach::Link && self.faults.contains(&Fault::Garbage)
    }

    /// Whether every fault is an answer. Then there is no deadline that has to pass, and a busy machine may take
    /// its time.
    pub(super) fn is_answered(&self) -> bool {
        !self.faults.is_empty() && self.faults.iter().all(|fault| fault.status().is_some())
    }

    /// What should have been among the causes of waiting, and is not. Only a fault alone is unambiguous.
    pub(super) fn unheard(&self, causes: &[Outcome], has_kept_up: bool) -> Option<Outcome> {
        let [fault] = self.faults[..] else {
            return None;
        };
        let expected = expectation::of(fault, self.side)?;
        let is_due = self.reach == Reach::Link && self.closing == Closing::WhenLive;
        // A reader may take garbage for the beginning of something, and wait for the rest of it in vain.
        let is_taken_for_more = fault == Fault::Garbage && self.side.link() == LinkKind::Stream;
        let may_be_silence = !has_kept_up || is_taken_for_more;
        let is_heard = causes.iter().any(|cause| {
            *cause == expected || may_be_silence && expectation::is_of_silence(*cause)
        });
        (is_due && !is_heard).then_some(expected)
    }

    fn nameless(side: Side) -> Self {
        Self {
            is_nameless: true,
            ..Self::new(side, &[], Reach::Link, 0)
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Plain => write!(f, "{}: ", self.side)?,
            way @ (Way::Tls | Way::Tunnel) => write!(f, "{}, {way}: ", self.side)?,
        }
        if self.is_nameless {
            f.write_str("name not resolved")?;
        } else if self.faults.is_empty() {
            f.write_str("fine weather")?;
        }
        for (place, fault) in self.faults.iter().enumerate() {
            let then = if place > 0 { ", then " } else { "" };
            write!(f, "{then}{fault}")?;
        }
        let remarks = [
            match self.reach {
                Reach::Link => "",
                Reach::LinkAndCall => "calls as well",
                Reach::Lasting => "for good",
                Reach::Everything => "always",
            },
            match self.closing {
                Closing::WhenLive => "",
                Closing::InTheStorm => "closed meanwhile",
                Closing::Unhealed => "closed with everyday budgets",
            },
        ];
        match remarks {
            ["", ""] => Ok(()),
            [remark, ""] | ["", remark] => write!(f, " ({remark})"),
            [first, second] => write!(f, " ({first}, {second})"),
        }
    }
}

/// What an adapter did wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In which trial.
    pub trial: Trial,
    /// What it was.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (seed {}): {}",
            self.trial, self.trial.seed, self.what
        )
    }
}

/// Fine weather, a name that does not resolve, and each fault alone: on the link only, and on a call as
/// well; lived through, and closed in.
pub fn lone_trials(sides: &[Side]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &side in sides {
        let mut alone = vec![Trial::new(side, &[], Reach::Link, 0), Trial::nameless(side)];
        for reach in [Reach::Link, Reach::LinkAndCall] {
            for (fault, seed) in faults_of(side).zip(1..) {
                alone.push(Trial::new(side, &[fault], reach, seed));
            }
        }
        let meanwhile = alone.clone().into_iter().map(|trial| Trial {
            closing: Closing::InTheStorm,
            ..trial
        });
        alone.extend(meanwhile);
        trials.append(&mut alone);
    }
    trials
}

/// Fine weather and each fault alone over each of these ways, with those that only they have.
pub fn trials_over(ways: &[Way], sides: &[Side]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &way in ways {
        let own: &[Fault] = match way {
            Way::Plain => &[],
            Way::Tls => &Fault::OF_TLS,
            Way::Tunnel => &Fault::OF_TUNNELS,
        };
        for &side in sides {
            let own = own
                .iter()
                .map(|fault| Trial::new(side, &[*fault], Reach::Link, 7));
            let meanwhile = own.clone().map(|trial| Trial {
                closing: Closing::InTheStorm,
                ..trial
            });
            let mut alone = lone_trials(&[side]);
            alone.retain(|trial| !trial.is_nameless);
            alone.extend(own.chain(meanwhile));
            trials.extend(alone.into_iter().map(|trial| Trial { way, ..trial }));
        }
    }
    trials
}

/// Each ordered pair of faults. Calls get their share in every other pair.
pub fn paired_trials(sides: &[Side]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &side in sides {
        for first in faults_of(side) {
            for second in faults_of(side) {
                let seed = trials.len() as u64;
                let reach = if seed.is_multiple_of(2) {
                    Reach::Link
                } else {
                    Reach::LinkAndCall
                };
                trials.push(Trial::new(side, &[first, second], reach, seed));
            }
        }
    }
    trials
}

/// So many long rows of faults for each side, drawn by chance.
pub fn stormy_trials(sides: &[Side], count: u64) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &side in sides {
        let faults: Vec<Fault> = faults_of(side).collect();
        for seed in 0..count {
            let mut chance = Chance::new(seed);
            let drawn = (0..STORM).filter_map(|_| faults.get(chance.throw(faults.len())));
            let drawn: Vec<Fault> = drawn.copied().collect();
            trials.push(Trial::new(side, &drawn, Reach::LinkAndCall, seed));
        }
    }
    trials
}

pub(super) fn faults_of(side: Side) -> impl Iterator<Item = Fault> {
    let link = side.link();
    Fault::ALL
        .into_iter()
        .filter(move |fault| fault.strikes(link))
}
