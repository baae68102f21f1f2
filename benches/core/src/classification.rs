//! Finding out what a frame is for: this project's way and the ways of `serde_json`.

use std::fmt;

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind},
};
use serde::Deserialize;
use serde_json::Value;

/// A message as agents send it.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is, in one word.
    pub name: &'static str,
    /// The frame.
    pub text: ByteString,
}

impl Message {
    /// Its length in bytes.
    pub fn size(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} B", self.name, self.size())
    }
}

/// The six sizes a session is made of, from the smallest.
pub fn messages() -> [Message; 6] {
    let message = |name, text: String| Message {
        name,
        // A frame is a piece of what was received, as it is here: it shares that memory from the start.
        text: {
            let received = ByteString::from(text);
            received.slice_ref(&received)
        },
    };
    [
        message("delta", delta()),
        message("control", control()),
        message("assistant", assistant()),
        message("prose", prose()),
        message("tool", tool()),
        message("image", image()),
    ]
}

fn delta() -> String {
    r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"The"}},"session_id":"0b7c1b1e-1111-4222-8333-123456789abc","parent_tool_use_id":null,"uuid":"0b7c1b1e-1111-4222-8333-123456789abd"}"#.into()
}

fn control() -> String {
    r#"{"type":"control_request","request_id":"0b7c1b1e-1111-4222-8333-123456789abd","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"cargo test --workspace","description":"Run the whole test suite of the workspace once again"},"tool_use_id":"toolu_01ABCDEFGHIJKLMNOPQRSTUV","permission_suggestions":[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"cargo test:*"}],"behavior":"allow","destination":"localSettings"}]}}"#.into()
}

fn assistant() -> String {
    let said =
        r"I will look at the file first, then change the function.\n\nNext, the tests. ".repeat(12);
    format!(
        r#"{{"type":"assistant","message":{{"id":"msg_01ABCDEFGHIJKLMNOPQRST","type":"message","role":"assistant","model":"claude-x","content":[{{"type":"text","text":"{said}"}}],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":4,"cache_creation_input_tokens":1234,"cache_read_input_tokens":56789,"output_tokens":12,"service_tier":"standard"}}}},"parent_tool_use_id":null,"session_id":"0b7c1b1e-1111-4222-8333-123456789abc","uuid":"0b7c1b1e-1111-4222-8333-123456789abd"}}"#
    )
}

/// Escapes about every forty bytes, at distances that hardly repeat.
fn prose() -> String {
    const HEAD: &str = r#"{"type":"assistant","message":{"id":"msg_01ABCDEFGHIJKLMNOPQRST","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":""#;
    const TAIL: &str = r#""}],"stop_reason":null},"session_id":"0b7c1b1e-1111-4222-8333-123456789abc","uuid":"0b7c1b1e-1111-4222-8333-123456789abd"}"#;
    const WORDS: [&str; 13] = [
        "the", "queue", "is", "drained", "before", "a", "slow", "reader", "notices", "what", "it",
        "would", "cost",
    ];
    const WORDS_TO_AN_ESCAPE: [usize; 7] = [6, 13, 9, 3, 16, 5, 11];
    const ESCAPES: [&str; 5] = [r"\n", r#"\""#, r"\n\n", r"\t", r"\\"];
    let room = 4096 - HEAD.len() - TAIL.len();
    let mut words = WORDS.into_iter().cycle();
    let mut said = String::new();
    for (words_to_it, escape) in WORDS_TO_AN_ESCAPE
        .into_iter()
        .cycle()
        .zip(ESCAPES.into_iter().cycle())
    {
        for word in words.by_ref().take(words_to_it) {
            said += word;
            said += " ";
        }
        if said.len() + escape.len() > room {
            break;
        }
        said += escape;
    }
    format!("{HEAD}{said:.<room$.room$}{TAIL}")
}

fn tool() -> String {
    let lines = r#"    12\tlet value = self.items.get(\"key\").copied();\n"#.repeat(743);
    format!(
        r#"{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"toolu_01","type":"tool_result","content":"{lines}"}}]}},"uuid":"0b7c1b1e-1111-4222-8333-123456789abd"}}"#
    )
}

fn image() -> String {
    let data = "iVBORw0KGgoAAAANSUhEUgAA".repeat(43_690);
    format!(
        r#"{{"type":"user","message":{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]}},"uuid":"0b7c1b1e-1111-4222-8333-123456789abd"}}"#
    )
}

/// A way to find out what a frame is for. All of them refuse what is not JSON.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// [`Frame::classify`].
    Attache,
    /// A struct of the fields that route, everything else being passed over.
    Envelope,
    /// The tree of everything, then the fields.
    Tree,
}

impl Reader {
    /// Every reader, ours first.
    pub const ALL: [Self; 3] = [Self::Attache, Self::Envelope, Self::Tree];

    /// Reads `text`; how many bytes the fields have that route it, so that no reader can leave one out.
    /// `None` if it is no frame.
    pub fn read(self, text: &ByteString) -> Option<usize> {
        match self {
            Self::Attache => Frame::classify(text.clone())
                .ok()
                .map(|frame| routed(&frame)),
            Self::Envelope => serde_json::from_str(text).ok().map(Envelope::routed),
            Self::Tree => routed_in_tree(&serde_json::from_str(text).ok()?),
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attache => "attache",
            Self::Envelope => "serde_json envelope",
            Self::Tree => "serde_json Value",
        })
    }
}

fn routed(frame: &Frame) -> usize {
    let control = match frame.kind() {
        FrameKind::ControlRequest {
            request_id,
            subtype,
        } => request_id.as_str().len() + subtype.len(),
        FrameKind::ControlResponse { request_id }
        | FrameKind::ControlCancelRequest { request_id } => request_id.as_str().len(),
        FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => 0,
    };
    frame.type_name().len() + frame.uuid().map_or(0, |uuid| uuid.len()) + control
}

fn routed_in_tree(frame: &Value) -> Option<usize> {
    let length = |place: &str| frame.pointer(place).and_then(Value::as_str).map(str::len);
    let others = [
        "/uuid",
        "/request_id",
        "/request/subtype",
        "/response/request_id",
    ];
    Some(length("/type")? + others.into_iter().filter_map(length).sum::<usize>())
}

/// What a program would write that wants these fields, is in a hurry and knows `serde_json` well: nothing is
/// kept but pieces of the text. (An escape in one of them makes it fail.)
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    uuid: Option<&'a str>,
    request_id: Option<&'a str>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
struct Request<'a> {
    subtype: Option<&'a str>,
}

#[derive(Deserialize)]
struct Response<'a> {
    request_id: Option<&'a str>,
}

impl Envelope<'_> {
    fn routed(self) -> usize {
        let fields = [
            Some(self.type_name),
            self.uuid,
            self.request_id,
            self.request.and_then(|request| request.subtype),
            self.response.and_then(|response| response.request_id),
        ];
        fields.into_iter().flatten().map(str::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_readers_find_the_same_in_messages_of_the_stated_sizes() {
        let sizes = messages().map(|message| {
            let found = Reader::ALL.map(|reader| reader.read(&message.text));
            assert!(found[0].is_some());
            assert!(
                found.iter().all(|other| *other == found[0]),
                "{}",
                message.name
            );
            message.text.len()
        });
        assert_eq!(sizes, [239, 450, 1386, 4096, 41_025, 1_048_738]);
    }
}
