//! Content blocks: what messages of users and of the agent are made of.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    Counter, Fields, Json, Maybe, Text, Unknown, Unmodelled,
    fields::ObjectWriter,
    node::{Fault, Node, Path},
    record::{record, tagged},
};

/// A plain text, or blocks. Users' messages and tool results come in both forms.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// A plain text.
    Text(Text<'a>),
    /// Blocks, in order.
    Blocks(Vec<ContentBlock<'a>>),
}

tagged! {
    /// One block of a message.
    ContentBlock by "type" {
        /// Words.
        Text(TextBlock) = "text",
        /// The model's reasoning.
        Thinking(ThinkingBlock) = "thinking",
        /// Reasoning that only the model's provider can read.
        RedactedThinking(RedactedThinkingBlock) = "redacted_thinking",
        /// The agent calls a tool.
        ToolUse(ToolUseBlock) = "tool_use",
        /// What a tool returned.
        ToolResult(ToolResultBlock) = "tool_result",
        /// A picture.
        Image(ImageBlock) = "image",
    }
}

record! {
    /// Words.
    TextBlock ["type" = "text"] {
        /// The words.
        text = "text": Text<'a>,
        /// Sources, if any are named.
        citations = "citations": Maybe<Json<'a>>,
        /// A hint for the provider's cache.
        cache_control = "cache_control": Maybe<Json<'a>>,
    }

    /// The model's reasoning.
    ThinkingBlock ["type" = "thinking"] {
        /// The reasoning.
        thinking = "thinking": Text<'a>,
        /// Proves where it came from.
        signature = "signature": Maybe<Text<'a>>,
    }

    /// Reasoning that only the model's provider can read.
    RedactedThinkingBlock ["type" = "redacted_thinking"] {
        /// The sealed reasoning.
        data = "data": Text<'a>,
    }

    /// A call of a tool.
    ToolUseBlock ["type" = "tool_use"] {
        /// What the result will name.
        id = "id": Text<'a>,
        /// The tool.
        name = "name": Text<'a>,
        /// What it is called with.
        input = "input": Json<'a>,
        /// Who calls it, if not the model itself.
        caller = "caller": Maybe<Json<'a>>,
        /// A hint for the provider's cache.
        cache_control = "cache_control": Maybe<Json<'a>>,
    }

    /// What a tool returned.
    ToolResultBlock ["type" = "tool_result"] {
        /// The call.
        tool_use_id = "tool_use_id": Text<'a>,
        /// What it returned.
        content = "content": Maybe<Content<'a>>,
        /// Whether it failed.
        is_error = "is_error": Maybe<bool>,
        /// A hint for the provider's cache.
        cache_control = "cache_control": Maybe<Json<'a>>,
    }

    /// A picture.
    ImageBlock ["type" = "image"] {
        /// Its data, or where it lies.
        source = "source": Json<'a>,
        /// A hint for the provider's cache.
        cache_control = "cache_control": Maybe<Json<'a>>,
    }

    /// A message as the model's provider writes it.
    ModelMessage [] {
        /// The same for every block of one answer.
        id = "id": Maybe<Text<'a>>,
        /// `message`.
        kind = "type": Maybe<Text<'a>>,
        /// `assistant`.
        role = "role": Maybe<Text<'a>>,
        /// Which model.
        model = "model": Maybe<Text<'a>>,
        /// The blocks.
        content = "content": Content<'a>,
        /// Why the model stopped: an open set.
        stop_reason = "stop_reason": Maybe<Text<'a>>,
        /// The sequence it stopped at.
        stop_sequence = "stop_sequence": Maybe<Text<'a>>,
        /// What it cost in tokens.
        usage = "usage": Maybe<Usage<'a>>,
    }

    /// Tokens spent.
    Usage [] {
        /// Read.
        input_tokens = "input_tokens": Maybe<Counter<'a>>,
        /// Written.
        output_tokens = "output_tokens": Maybe<Counter<'a>>,
        /// Put into the cache.
        cache_creation_input_tokens = "cache_creation_input_tokens": Maybe<Counter<'a>>,
        /// Taken from the cache.
        cache_read_input_tokens = "cache_read_input_tokens": Maybe<Counter<'a>>,
        /// The first of these by lifetime.
        cache_creation = "cache_creation": Maybe<Json<'a>>,
        /// Calls of the provider's own tools.
        server_tool_use = "server_tool_use": Maybe<Json<'a>>,
        /// The class of service.
        service_tier = "service_tier": Maybe<Text<'a>>,
    }
}

impl<'a> Content<'a> {
    /// The blocks; none for a plain text.
    pub fn blocks(&self) -> &[ContentBlock<'a>] {
        match self {
            Self::Text(_) => &[],
            Self::Blocks(blocks) => blocks,
        }
    }

    /// The words: the plain text, or those of all text blocks one after the other.
    pub fn words(&self) -> impl Iterator<Item = &str> + '_ {
        let plain = match self {
            Self::Text(text) => Some(&**text),
            Self::Blocks(_) => None,
        };
        plain
            .into_iter()
            .chain(self.blocks().iter().filter_map(|block| match block {
                ContentBlock::Text(block) => Some(&*block.text),
                ContentBlock::Thinking(_)
                | ContentBlock::RedactedThinking(_)
                | ContentBlock::ToolUse(_)
                | ContentBlock::ToolResult(_)
                | ContentBlock::Image(_)
                | ContentBlock::Other(_) => None,
            }))
    }
}

impl<'a> Node<'a> for Content<'a> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        if raw.get().starts_with('"') {
            Text::decode(raw, path).map(Self::Text)
        } else {
            Vec::decode(raw, path).map(Self::Blocks)
        }
    }
    fn encode(&self, out: &mut String) {
        match self {
            Self::Text(text) => text.encode(out),
            Self::Blocks(blocks) => blocks.encode(out),
        }
    }
    fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
        match self {
            Self::Text(_) => {}
            Self::Blocks(blocks) => blocks.unmodelled(path, found),
        }
    }
}
