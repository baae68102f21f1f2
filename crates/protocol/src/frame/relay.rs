//! What a relay says on its own behalf: who may do what, whose answer counted, how far a message got.
//!
//! These frames are this project's own. Other servers send none of them, and other clients lose nothing
//! by ignoring them. Both ends use the types here, so that what one writes is what the other reads.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Frame, FrameKind, RequestId};

pub(super) const ANSWER_REFUSED: &str = "answer_refused";
pub(super) const DELIVERY_UPDATE: &str = "delivery_update";

/// What a relay says of itself and its viewer at the start of a subscription, on a `keep_alive`, which
/// everybody else ignores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the viewer's credential allows: `view`, `approve`, `drive`, `own`, or a word to come.
    #[serde(default)]
    pub role: Option<String>,
    /// `confirmed` when every answer to a prompt is met with a [`Settlement`] or an
    /// [`AnswerRefused`].
    #[serde(default)]
    pub answers: Option<String>,
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).ok_or_else(|| serde::de::Error::custom("a request id has 1 to 1024 bytes"))
    }
}

/// Which answer to a permission prompt counted. Stored, so that history tells it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which prompt.
    pub request_id: RequestId,
    /// What the answer was.
    pub behavior: Behavior,
    /// The `uuid` of the answer.
    #[serde(default)]
    pub answer_id: Option<String>,
    /// Whose it was.
    #[serde(default)]
    pub answered_by: Option<AnsweredBy>,
}

/// What an answer to a prompt said.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behavior {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// The prompt could not be shown.
    Error,
}

/// Who answered, as far as the relay knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredBy {
    /// The name of the credential; none on a relay that does not tell people apart.
    #[serde(default)]
    pub name: Option<String>,
    /// What it allows.
    #[serde(default)]
    pub role: Option<String>,
}

/// An answer that did not count. Told to the viewer that gave it, and to nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRefused {
    /// Which prompt.
    pub request_id: RequestId,
    /// The `uuid` of the refused answer.
    #[serde(default)]
    pub answer_id: Option<String>,
    /// Why.
    pub reason: RefusedBecause,
    /// Whose answer counted instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredBy>,
    /// The same for people.
    #[serde(default)]
    pub message: String,
}

/// Why an answer did not count.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusedBecause {
    /// Another answer came first.
    Answered,
    /// The agent no longer asks.
    Withdrawn,
    /// It was never asked, or too long ago.
    Unknown,
    /// The credential allows no answers.
    Forbidden,
}

/// How far a viewer's message has got. Live only; whoever subscribes is told again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryUpdate {
    /// The message's `uuid`.
    pub event_id: String,
    /// How far it is.
    pub status: DeliveryStatus,
}

/// How far a worker has got with a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeliveryStatus {
    /// It has it.
    #[serde(rename = "DELIVERY_STATUS_RECEIVED")]
    Received,
    /// The agent is at it.
    #[serde(rename = "DELIVERY_STATUS_PROCESSING")]
    Processing,
    /// The agent is done with it.
    #[serde(rename = "DELIVERY_STATUS_PROCESSED")]
    Processed,
}

impl Hello {
    /// A relay's hello to a viewer that may do what `role` says. Every answer gets its verdict.
    pub fn confirming(role: &str) -> Self {
        Self {
            role: Some(role.into()),
            answers: Some("confirmed".into()),
        }
    }

    /// The hello that `frame` brings, if it does.
    pub fn read(frame: &Frame) -> Option<Self> {
        #[derive(Deserialize)]
        struct Outer {
            relay: Hello,
        }
        // A plain keep-alive is all the rest of the traffic.
        if *frame.kind() != FrameKind::KeepAlive || !frame.as_str().contains("\"relay\"") {
            return None;
        }
        let outer: Outer = serde_json::from_str(frame.as_str()).ok()?;
        Some(outer.relay)
    }

    /// Whether every answer gets its verdict.
    pub fn confirms_answers(&self) -> bool {
        self.answers.as_deref() == Some("confirmed")
    }

    /// The frame, on one line.
    pub fn to_frame(&self) -> String {
        #[derive(Serialize)]
        struct Outer<'a> {
            r#type: &'static str,
            relay: &'a Hello,
        }
        line(&Outer {
            r#type: "keep_alive",
            relay: self,
        })
    }
}

impl Settlement {
    /// The settlement that `frame` brings, if it does.
    pub fn read(frame: &Frame) -> Option<Self> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow)]
            subtype: alloc::borrow::Cow<'a, str>,
        }
        let text = of_type(frame, "system")?;
        let kind: Kind<'_> = serde_json::from_str(text).ok()?;
        if kind.subtype != "permission_settled" {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// The frame under the id `uuid`, on one line.
    pub fn to_frame(&self, uuid: &str) -> String {
        #[derive(Serialize)]
        struct Outer<'a> {
            r#type: &'static str,
            subtype: &'static str,
            #[serde(flatten)]
            settlement: &'a Settlement,
            uuid: &'a str,
        }
        line(&Outer {
            r#type: "system",
            subtype: "permission_settled",
            settlement: self,
            uuid,
        })
    }
}

impl AnswerRefused {
    /// The refusal that `frame` brings, if it does.
    pub fn read(frame: &Frame) -> Option<Self> {
        serde_json::from_str(of_type(frame, ANSWER_REFUSED)?).ok()
    }

    /// The frame, on one line.
    pub fn to_frame(&self) -> String {
        #[derive(Serialize)]
        struct Outer<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            refused: &'a AnswerRefused,
        }
        line(&Outer {
            r#type: ANSWER_REFUSED,
            refused: self,
        })
    }
}

impl DeliveryUpdate {
    /// The update that `frame` brings, if it does.
    pub fn read(frame: &Frame) -> Option<Self> {
        serde_json::from_str(of_type(frame, DELIVERY_UPDATE)?).ok()
    }

    /// The frame, on one line.
    pub fn to_frame(&self) -> String {
        #[derive(Serialize)]
        struct Outer<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            update: &'a DeliveryUpdate,
        }
        line(&Outer {
            r#type: DELIVERY_UPDATE,
            update: self,
        })
    }
}

/// The text of `frame`, if it is a message of this type.
fn of_type<'a>(frame: &'a Frame, wanted: &str) -> Option<&'a str> {
    match frame.kind() {
        FrameKind::Message { type_name } if &**type_name == wanted => Some(frame.as_str()),
        FrameKind::Message { .. }
        | FrameKind::ControlRequest { .. }
        | FrameKind::ControlResponse { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. } => None,
    }
}

fn line(frame: &impl Serialize) -> String {
    // Texts and numbers under names that are texts can always be written.
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::classify(ByteString::from(text)).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let request_id = RequestId::new("r1").unwrap();
        let hello = Hello::confirming("view");
        assert!(hello.confirms_answers());
        assert_eq!(Hello::read(&frame(&hello.to_frame())), Some(hello));

        let settlement = Settlement {
            request_id: request_id.clone(),
            behavior: Behavior::Deny,
            answer_id: Some("a\"1".into()),
            answered_by: Some(AnsweredBy {
                name: Some("ada".into()),
                role: Some("approve".into()),
            }),
        };
        let written = frame(&settlement.to_frame("u1"));
        assert_eq!(written.uuid().unwrap(), "u1");
        assert!(written.is_stored());
        assert_eq!(Settlement::read(&written), Some(settlement));

        let refused = AnswerRefused {
            request_id,
            answer_id: None,
            reason: RefusedBecause::Answered,
            answered_by: None,
            message: "too late".into(),
        };
        assert_eq!(
            AnswerRefused::read(&frame(&refused.to_frame())),
            Some(refused)
        );

        let update = DeliveryUpdate {
            event_id: "m1".into(),
            status: DeliveryStatus::Processing,
        };
        assert_eq!(
            update.to_frame(),
            r#"{"type":"delivery_update","event_id":"m1","status":"DELIVERY_STATUS_PROCESSING"}"#
        );
        assert_eq!(
            DeliveryUpdate::read(&frame(&update.to_frame())),
            Some(update)
        );
    }

    #[test]
    fn what_others_say_is_not_taken_for_it() {
        for text in [
            r#"{"type":"keep_alive"}"#,
            r#"{"type":"keep_alive","relay":7}"#,
            r#"{"type":"system","subtype":"init"}"#,
            r#"{"type":"system","subtype":"permission_settled","request_id":"r","behavior":"perhaps"}"#,
            r#"{"type":"delivery_update","event_id":"m1","status":"LOST"}"#,
            r#"{"type":"answer_refused","request_id":"r","reason":"mood"}"#,
            r#"{"type":"user"}"#,
        ] {
            let frame = frame(text);
            assert_eq!(Hello::read(&frame), None, "{text}");
            assert_eq!(Settlement::read(&frame), None, "{text}");
            assert_eq!(AnswerRefused::read(&frame), None, "{text}");
            assert_eq!(DeliveryUpdate::read(&frame), None, "{text}");
        }
    }

    #[test]
    fn only_the_relay_itself_says_what_it_does() {
        for text in [
            r#"{"type":"assistant","relay":{"answers":"confirmed"}}"#,
            r#"{"type":"keep_alive"}"#,
            r#"{"type":"keep_alive","relay":7}"#,
        ] {
            assert_eq!(Hello::read(&frame(text)), None, "{text}");
        }
        for (text, confirms) in [
            (
                r#"{"type":"keep_alive","relay":{"answers":"confirmed"}}"#,
                true,
            ),
            (
                r#"{"type":"keep_alive","relay":{"answers":"perhaps"}}"#,
                false,
            ),
            (r#"{"type":"keep_alive","relay":{"role":"view"}}"#, false),
        ] {
            let hello = Hello::read(&frame(text)).unwrap();
            assert_eq!(hello.confirms_answers(), confirms, "{text}");
        }
    }

    #[test]
    fn news_of_a_message_is_read_from_its_own_type_only() {
        let news = |type_name: &str| {
            let text = alloc::format!(
                r#"{{"type":"{type_name}","event_id":"u","status":"DELIVERY_STATUS_RECEIVED"}}"#
            );
            DeliveryUpdate::read(&frame(&text))
        };
        assert!(news(DELIVERY_UPDATE).is_some());
        assert!(news("novelty").is_none() && news("keep_alive").is_none());
    }
}
