//! How far the message is that was typed last, for people who wonder.

use attache_protocol::viewer::SendState;

/// Follows the newest message. What goes quickly is not worth a word; what rests is told once.
#[derive(Debug, Default)]
pub(super) struct Progress {
    message: String,
    at: Option<At>,
    /// Whether anything was told of this message.
    waited: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct At {
    step: Step,
    telling: Telling,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Step {
    Queued,
    Sending,
    Accepted,
    Delivered,
    Processing,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Telling {
    New,
    Resting,
    Done,
}

impl Progress {
    /// A message got further. Tells what is worth a line at once.
    pub(super) fn changed(&mut self, message: &str, state: &SendState) -> Option<&'static str> {
        let step = match state {
            SendState::Queued => Step::Queued,
            SendState::InFlight | SendState::Unknown => Step::Sending,
            SendState::Accepted => Step::Accepted,
            SendState::Delivered => Step::Delivered,
            SendState::Processing => Step::Processing,
            SendState::Processed | SendState::Rejected(_) => {
                if self.message != message {
                    return None;
                }
                let waited = std::mem::take(self).waited;
                return (waited && *state == SendState::Processed).then_some("processed");
            }
        };
        if step == Step::Queued {
            *self = Self {
                message: message.to_owned(),
                ..Self::default()
            };
        }
        if self.message == message {
            self.at = Some(At {
                step,
                telling: Telling::New,
            });
        }
        None
    }

    /// The agent says something: people see for themselves how far it is.
    pub(super) fn heard(&mut self) {
        if let Some(at) = &mut self.at {
            at.telling = Telling::Done;
        }
    }

    /// Some time has passed. Tells where the message rests.
    pub(super) fn tick(&mut self) -> Option<&'static str> {
        let at = self.at.as_mut()?;
        match at.telling {
            Telling::New => {
                at.telling = Telling::Resting;
                None
            }
            Telling::Resting => {
                at.telling = Telling::Done;
                self.waited = true;
                Some(match at.step {
                    Step::Queued => "queued",
                    Step::Sending => "sending",
                    Step::Accepted => "accepted; the agent's side has not got it yet",
                    Step::Delivered => "delivered; the agent is not at it yet",
                    Step::Processing => "processing",
                })
            }
            Telling::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_is_told_once_and_then_to_its_end() {
        let mut progress = Progress::default();
        for state in [SendState::Queued, SendState::InFlight, SendState::Accepted] {
            assert_eq!(progress.changed("m", &state), None);
        }
        assert_eq!(progress.tick(), None);
        assert!(progress.tick().unwrap().starts_with("accepted"));
        assert_eq!(progress.tick(), None);
        progress.changed("m", &SendState::Delivered);
        progress.changed("m", &SendState::Processing);
        assert_eq!(progress.tick(), None);
        assert_eq!(progress.tick(), Some("processing"));
        assert_eq!(
            progress.changed("m", &SendState::Processed),
            Some("processed")
        );
        assert_eq!(progress.tick(), None);
    }

    #[test]
    fn what_goes_quickly_or_is_seen_anyway_is_not_worth_a_word() {
        let mut progress = Progress::default();
        progress.changed("m", &SendState::Queued);
        progress.changed("m", &SendState::Processing);
        assert_eq!(progress.tick(), None);
        progress.heard();
        assert_eq!(progress.tick(), None);
        assert_eq!(progress.changed("m", &SendState::Processed), None);
    }

    #[test]
    fn the_newest_message_is_the_one_to_wonder_about() {
        let mut progress = Progress::default();
        progress.changed("old", &SendState::Queued);
        progress.changed("new", &SendState::Queued);
        progress.changed("old", &SendState::Processing);
        assert_eq!(progress.changed("old", &SendState::Processed), None);
        progress.tick();
        assert_eq!(progress.tick(), Some("queued"));
    }
}
