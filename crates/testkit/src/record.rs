//! A story as the viewer saw it: every call with its time, to be played again.

use attache_protocol::{
    frame::{RequestId, control::Fields},
    io::{Effect, Input},
    time::Timestamp,
    viewer::{Content, Decision, Event, Viewer, ViewerConfig},
};

/// One call of the viewer.
#[derive(Clone, Debug)]
pub enum Call {
    /// `connect`
    Connect,
    /// `send`
    Send(Content),
    /// `decide`
    Decide(RequestId, Decision),
    /// `request`
    Request(String, Fields),
    /// `interrupt`
    Interrupt,
    /// `reconnect`
    Reconnect,
    /// `close`
    Close,
    /// `handle_input`
    Input(Input),
    /// `handle_timeout`
    Timeout,
}

impl Call {
    /// Makes the call; refusals show up in what comes out, or they change nothing.
    pub fn make(&self, viewer: &mut Viewer, now: Timestamp) {
        match self {
            Self::Connect => drop(viewer.connect(now)),
            Self::Send(content) => drop(viewer.send(now, content.clone())),
            Self::Decide(id, decision) => drop(viewer.decide(now, id, decision)),
            Self::Request(subtype, fields) => drop(viewer.request(now, subtype, fields)),
            Self::Interrupt => drop(viewer.interrupt(now)),
            Self::Reconnect => drop(viewer.reconnect(now)),
            Self::Close => viewer.close(now),
            Self::Input(input) => viewer.handle_input(now, input.clone()),
            Self::Timeout => viewer.handle_timeout(now),
        }
    }
}

/// When outputs are taken while a story is played again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// After every call, effects first.
    EffectsFirst,
    /// After every call, events first.
    EventsFirst,
    /// After every call, one of each in turn.
    Interleaved,
    /// Only after every so many calls.
    Every(usize),
}

/// What came out of a story that was played again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The effects, in order.
    pub effects: Vec<Effect>,
    /// The events, in order, as text that shows everything.
    pub events: Vec<String>,
    /// The deadline after the last call.
    pub deadline: Option<Timestamp>,
}

impl Replay {
    /// Plays `calls` to a new viewer.
    pub fn new(
        config: ViewerConfig,
        seed: [u8; 32],
        calls: &[(Timestamp, Call)],
        drain: Drain,
    ) -> Self {
        let viewer = Viewer::new(config, seed, Timestamp::ORIGIN);
        Self::go_on(viewer, calls, drain)
    }

    /// Plays `calls` to `viewer`.
    pub fn go_on(mut viewer: Viewer, calls: &[(Timestamp, Call)], drain: Drain) -> Self {
        let mut replay = Self::default();
        for (index, (now, call)) in calls.iter().enumerate() {
            call.make(&mut viewer, *now);
            replay.take(&mut viewer, drain, index);
        }
        replay.take(&mut viewer, Drain::EffectsFirst, 0);
        replay.deadline = viewer.poll_timeout().map(|(at, _)| at);
        replay
    }

    fn take(&mut self, viewer: &mut Viewer, drain: Drain, index: usize) {
        match drain {
            Drain::Every(calls) if !(index + 1).is_multiple_of(calls.max(1)) => {}
            Drain::EffectsFirst | Drain::Every(_) => {
                self.effects
                    .extend(std::iter::from_fn(|| viewer.poll_effect()));
                self.events
                    .extend(std::iter::from_fn(|| viewer.poll_event()).map(|event| shown(&event)));
            }
            Drain::EventsFirst => {
                self.events
                    .extend(std::iter::from_fn(|| viewer.poll_event()).map(|event| shown(&event)));
                self.effects
                    .extend(std::iter::from_fn(|| viewer.poll_effect()));
            }
            Drain::Interleaved => loop {
                let event = viewer.poll_event();
                let effect = viewer.poll_effect();
                if event.is_none() && effect.is_none() {
                    break;
                }
                self.events.extend(event.map(|event| shown(&event)));
                self.effects.extend(effect);
            },
        }
    }
}

/// An event in full: `Debug` alone leaves contents out on purpose.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only some events have content"
)]
pub(crate) fn shown(event: &Event) -> String {
    let content = match event {
        Event::Message(message) => message.frame.as_str(),
        Event::PermissionRequested(prompt) => prompt.frame().as_str(),
        Event::Malformed(malformed) => &malformed.text,
        _ => "",
    };
    format!("{event:?} {content}")
}
