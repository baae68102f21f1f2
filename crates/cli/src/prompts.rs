//! The prompts that are open, as far as events have told.

use attache_protocol::{
    frame::{RequestId, permission::PermissionRequest},
    viewer::{Event, PromptState},
};

/// Open prompts, oldest first.
#[derive(Debug, Default)]
pub(crate) struct OpenPrompts(Vec<OpenPrompt>);

#[derive(Debug, Clone)]
pub(crate) struct OpenPrompt {
    pub(crate) request: PermissionRequest,
    pub(crate) state: PromptState,
}

impl OpenPrompts {
    /// Follows what `event` says about prompts.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::PermissionRequested(request) => {
                self.remove(request.request_id());
                self.0.push(OpenPrompt {
                    request: request.clone(),
                    state: PromptState::Pending,
                });
            }
            Event::PermissionChanged { request_id, state } => {
                let known = |open: &&mut OpenPrompt| open.request.request_id() == request_id;
                if let Some(open) = self.0.iter_mut().find(known) {
                    open.state = *state;
                }
            }
            Event::PermissionWithdrawn { request_id }
            | Event::PermissionSettled { request_id, .. } => self.remove(request_id),
            _ => {}
        }
    }

    /// The oldest one that nobody has answered.
    pub(crate) fn current(&self) -> Option<&OpenPrompt> {
        self.unanswered().next()
    }

    /// Those that nobody has answered, oldest first.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &OpenPrompt> {
        self.0.iter().filter(|open| match open.state {
            PromptState::Pending | PromptState::Unverified => true,
            PromptState::Answered | PromptState::Sent => false,
        })
    }

    fn remove(&mut self, request_id: &RequestId) {
        self.0
            .retain(|open| open.request.request_id() != request_id);
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::{frame::Frame, viewer::SettledBy};

    use super::*;

    fn asked(id: &str) -> Event {
        let text = format!(
            r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"T","input":{{}}}}}}"#
        );
        let frame = Frame::classify(text.into()).unwrap();
        Event::PermissionRequested(PermissionRequest::parse(&frame).unwrap())
    }

    fn current(prompts: &OpenPrompts) -> Option<&str> {
        prompts
            .current()
            .map(|open| open.request.request_id().as_str())
    }

    #[test]
    fn the_oldest_unanswered_prompt_is_the_current_one() {
        let id = |text: &'static str| RequestId::new(text).unwrap();
        let mut prompts = OpenPrompts::default();
        for event in [asked("a"), asked("b"), asked("c")] {
            prompts.event(&event);
        }
        assert_eq!(current(&prompts), Some("a"));
        prompts.event(&Event::PermissionChanged {
            request_id: id("a"),
            state: PromptState::Sent,
        });
        assert_eq!(current(&prompts), Some("b"));
        prompts.event(&Event::PermissionSettled {
            request_id: id("a"),
            by: SettledBy::Us,
            behavior: None,
        });
        prompts.event(&Event::PermissionWithdrawn {
            request_id: id("b"),
        });
        assert_eq!(current(&prompts), Some("c"));
    }
}
