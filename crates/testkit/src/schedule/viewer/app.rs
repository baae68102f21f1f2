//! What the application does, and what the agent says.

use attache_protocol::{
    frame::{RawJson, control::Fields},
    viewer::{Allow, Content, SendRefusal, Standing},
};

use super::{Decision, Schedule, Status, setup};
use crate::Reading;

impl Schedule<'_> {
    pub(super) fn connect(&mut self) {
        let is_idle = *self.world.status() == Status::Idle;
        let result = self.world.try_connect();
        self.owed.expect("connect", is_idle == result.is_ok());
    }

    pub(super) fn send(&mut self) {
        let length = match self.choices.below(4) {
            0..=2 => 5,
            _ => self.choices.below(200) as usize,
        };
        let outstanding = self.owed.outstanding(&self.world);
        let result = self.world.try_send(Content::text(&"x".repeat(length)));
        match result {
            Ok(id) => {
                let has_room = outstanding < self.config.limits.outbox;
                let allowed = !self.config.viewer_only && has_room;
                self.owed.expect("send beyond the outbox", allowed);
                self.owed.sent(id.as_str());
            }
            Err(error) => {
                let expected = match error.reason {
                    SendRefusal::Full => outstanding >= self.config.limits.outbox,
                    SendRefusal::ViewerOnly => self.config.viewer_only,
                    SendRefusal::Closed => self.is_ending(),
                    SendRefusal::TooLarge { .. } => false,
                    _ => true,
                };
                self.owed.expect("a refused send", expected);
            }
        }
    }

    pub(super) fn decide(&mut self) {
        let Some(id) = self.some_prompt() else {
            return;
        };
        let decision = match self.choices.below(6) {
            0 => Decision::deny("no"),
            1 => Decision::Allow(Allow {
                standing: Standing::EvenIfUnverified,
                ..Allow::default()
            }),
            2 => Decision::Allow(Allow {
                updated_input: Some(RawJson::parse(r#"{"command":"changed"}"#))
                    .and_then(Result::ok),
                ..Allow::default()
            }),
            _ => Decision::allow(),
        };
        self.note(format_args!("the person decides on {id}"));
        if self.world.decide(&id, &decision).is_ok() {
            self.owed.decided(&id, &decision);
        }
    }

    pub(super) fn request(&mut self) {
        let open = self.owed.open_requests(&self.world);
        if let Ok(id) = self.world.request("set_model", &Fields::NONE) {
            let has_room = open < self.config.limits.requests;
            self.owed.expect("a request beyond the limit", has_room);
            self.owed.requested(id.as_str(), None);
        }
    }

    pub(super) fn interrupt(&mut self) {
        let turn = self.owed.turn(&self.world);
        if let Ok(id) = self.world.interrupt() {
            self.owed.requested(id.as_str(), turn);
        }
    }

    pub(super) fn reconnect(&mut self) {
        if self.world.reconnect().is_ok() {
            self.tally.faults += 1;
        }
    }

    /// The application reads slowly, or as fast as it can again.
    pub(super) fn read(&mut self) {
        self.reading = match self.choices.below(2) {
            0 => Reading::Eagerly,
            _ => Reading::NotAtAll,
        };
        let reading = self.reading;
        self.note(format_args!("the application reads {reading:?}"));
        self.world.read_events(self.reading);
    }

    /// The application closes, or its process ends.
    pub(super) fn leave(&mut self) {
        match self.choices.below(8) {
            0 => {
                self.world.server().answers_close = self.choices.below(3) > 0;
                self.world.close();
            }
            1 => self.begin_anew(),
            2 => {
                let seed = u64::from(self.choices.below(u32::MAX));
                self.world.watch_a_twin(seed);
            }
            3 => {
                let result = self.world.try_connect();
                self.owed.expect("a second connect", result.is_err());
            }
            _ => self.world.timeout(),
        }
    }

    /// Another process goes on where the application stood.
    pub(super) fn begin_anew(&mut self) {
        let cursor = self.world.viewer().cursor();
        self.note(format_args!("another process goes on after {cursor:?}"));
        let config = setup::resumed(&self.config, cursor.as_ref());
        let seed = setup::seed(self.choices);
        self.owed.begin_anew(cursor.as_ref(), &mut self.world);
        self.world.begin_anew(config, seed);
        self.world.read_events(self.reading);
    }

    pub(super) fn say(&mut self) {
        self.said += 1;
        let uuid = format!("u{}", self.said);
        self.world.server().say("assistant", &uuid);
    }

    pub(super) fn ask(&mut self) {
        self.asked += 1;
        let id = format!("r{}", self.asked);
        self.note(format_args!("{id} is asked"));
        let command = format!("ls {}", self.asked);
        self.world.server().ask(&id, &command);
    }

    /// One of the prompts asked so far, mostly a late one.
    pub(super) fn some_prompt(&mut self) -> Option<String> {
        let back = self.choices.below(4);
        let number = self.asked.checked_sub(back).filter(|number| *number > 0)?;
        Some(format!("r{number}"))
    }

    /// Something that was delivered comes once more.
    pub(super) fn repeat_something(&mut self) {
        let back = self.choices.below(6) as usize;
        if let Some(uuid) = self.owed.delivered(back).map(str::to_owned) {
            self.note(format_args!("{uuid} comes again"));
            self.world.server().send_again(&uuid);
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        let status = self.world.status();
        matches!(status, Status::Closing | Status::Closed { .. }) || self.only_loads_the_rest()
    }

    /// The session is over, and only what is stored is still being loaded.
    fn only_loads_the_rest(&self) -> bool {
        let is_linked = self.world.open_lines().next().is_some();
        *self.world.status() == Status::CatchingUp && !is_linked
    }
}
