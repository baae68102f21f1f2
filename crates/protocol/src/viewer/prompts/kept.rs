//! Answers to prompts that are over: the server may forget one, and ask again.

use alloc::collections::VecDeque;

use super::answer::Answer;
use crate::frame::permission::PermissionRequest;

/// How many are kept.
const COUNT: usize = 64;
/// Their bytes, with those of what was asked.
const BYTES: usize = 4 * 1024 * 1024;

/// The last answers of ours that counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    answers: VecDeque<(PermissionRequest, Answer)>,
    bytes: usize,
}

/// An id that was answered before now asks for something else.
pub(super) struct OtherQuestion;

impl Kept {
    pub(super) fn keep(&mut self, request: PermissionRequest, answer: Answer) {
        self.bytes += weight(&request, &answer);
        self.answers.push_back((request, answer));
        while self.answers.len() > COUNT || self.bytes > BYTES {
            let Some((request, answer)) = self.answers.pop_front() else {
                return;
            };
            self.bytes -= weight(&request, &answer);
        }
    }

    /// The answer we gave to this very question, to go once more, if its id was answered before.
    pub(super) fn answer_to(
        &self,
        request: &PermissionRequest,
    ) -> Option<Result<Answer, OtherQuestion>> {
        let (asked, answer) = self
            .answers
            .iter()
            .rev()
            .find(|(asked, _)| asked.request_id() == request.request_id())?;
        Some(if asked.asks_the_same(request) {
            Ok(answer.again())
        } else {
            Err(OtherQuestion)
        })
    }
}

fn weight(request: &PermissionRequest, answer: &Answer) -> usize {
    request.frame().as_str().len() + answer.text.len()
}
