//! What the agent says, on its way to the server.

use super::{Frame, Owed, Promise, number_of};
use crate::schedule::worker::order::{Body, Order, Payload};

impl Owed {
    /// The number the next frame has.
    pub(in crate::schedule) fn next_frame(&self) -> usize {
        self.frames.len()
    }

    /// The agent's frame was taken.
    pub(in crate::schedule::worker) fn uploaded(&mut self, uuid: String, promise: Promise) {
        self.frames.push(Frame {
            uuid,
            promise,
            is_heard: false,
            may_be_lost: false,
        });
    }

    /// The frames that are neither with the server nor rejected; those that may be lost are not counted.
    pub(in crate::schedule::worker) fn waiting(&self) -> usize {
        self.frames
            .iter()
            .filter(|frame| self.is_owed(frame))
            .count()
    }

    pub(super) fn is_owed(&self, frame: &Frame) -> bool {
        !frame.is_heard
            && !self.refused_frames.contains(&frame.uuid)
            && match frame.promise {
                Promise::Kept => true,
                Promise::LiveOnly => !frame.may_be_lost,
                Promise::MayBe | Promise::Never => false,
            }
    }

    /// The server hears a frame for the first time.
    pub(in crate::schedule::worker) fn heard(&mut self, payload: &Payload) -> Result<(), String> {
        if let Some(id) = &payload.answers {
            let Some(request) = self.requests.get_mut(id) else {
                return Err(format!("request {id} is answered, and nobody asked"));
            };
            request.answers += 1;
            if request.answers > request.asked {
                let (asked, answers) = (request.asked, request.answers);
                return Err(format!(
                    "request {id} was asked {asked} times and answered {answers} times"
                ));
            }
        }
        let Some(number) = payload.number else {
            return if payload.answers.is_some() {
                Ok(())
            } else {
                Err("a frame that nobody uploaded".to_owned())
            };
        };
        let Some(frame) = self.frames.get_mut(number) else {
            return Err(format!("frame {number}, which nobody uploaded"));
        };
        if frame.promise == Promise::Never {
            return Err(format!("frame {number} repeats an older one"));
        }
        if frame.is_heard {
            return Err(format!("frame {number} was heard twice"));
        }
        if payload.is_ephemeral != (frame.promise == Promise::LiveOnly) {
            return Err(format!("frame {number} has the wrong life"));
        }
        frame.is_heard = true;
        if let Some(last) = self.heard_up_to
            && number < last
        {
            return Err(format!("frame {number} was heard after frame {last}"));
        }
        self.heard_up_to = Some(number);
        Ok(())
    }

    /// The worker makes this call.
    pub(in crate::schedule::worker) fn sent(&mut self, order: &Order) {
        match &order.body {
            Body::Frames(frames) => {
                for frame in frames {
                    if let (Some(uuid), Some(request)) = (&frame.uuid, &frame.answers) {
                        self.answers.insert(uuid.clone(), request.clone());
                    }
                }
            }
            Body::State(..) => self.is_state_refused = false,
            Body::Nothing | Body::News(_) => {}
        }
    }

    /// The server refuses what is in this call, and will not hear it again.
    pub(in crate::schedule::worker) fn refused(&mut self, order: &Order) {
        match &order.body {
            Body::News(news) => {
                let ids = news.iter().map(|(id, _)| id);
                self.refused_news.extend(ids.filter_map(|id| number_of(id)));
            }
            Body::State(..) => self.is_state_refused = true,
            Body::Frames(frames) => {
                // Of several, one is bad; alone, it is found.
                if let [frame] = frames.as_slice() {
                    let uuid = frame.uuid.clone().unwrap_or_default();
                    self.refused_frames.insert(uuid);
                }
            }
            Body::Nothing => {}
        }
    }

    /// Nobody knows what became of this call.
    pub(in crate::schedule::worker) fn lost(&mut self, order: &Order) {
        if let Body::Frames(frames) = &order.body {
            for number in frames.iter().filter_map(|frame| frame.number) {
                if let Some(frame) = self.frames.get_mut(number) {
                    frame.may_be_lost = true;
                }
            }
        }
    }

    /// The worker says the server does not take this frame.
    pub(in crate::schedule::worker) fn rejected(&mut self, uuid: &str) -> Result<(), String> {
        if let Some(request) = self
            .answers
            .get(uuid)
            .and_then(|id| self.requests.get_mut(id))
        {
            request.is_refused = true;
        }
        if !self.refused_frames.contains(uuid) {
            return Err(format!(
                "frame {uuid} is rejected, and the server has not refused it"
            ));
        }
        if self.rejected.insert(uuid.to_owned()) {
            Ok(())
        } else {
            Err(format!("frame {uuid} was rejected twice"))
        }
    }
}
