//! `stream_event`: an answer while it is being written.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    ContentBlock, Counter, Fields, Json, Maybe, ModelMessage, Text, Unknown, Unmodelled, Usage,
    fields::ObjectWriter,
    node::{Fault, Node, Path},
    record::{record, tagged},
};

record! {
    /// A piece of an answer while it is being written: live only, never stored.
    StreamEvent ["type" = "stream_event"] {
        /// The piece.
        event = "event": Piece<'a>,
        /// The tool use whose agent writes, if it is not the main one.
        parent_tool_use_id = "parent_tool_use_id": Maybe<Text<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// Milliseconds to the first token.
        ttft_ms = "ttft_ms": Maybe<Counter<'a>>,
    }
}

tagged! {
    /// One piece of an answer.
    Piece by "type" {
        /// An answer begins.
        MessageStart(MessageStart) = "message_start",
        /// A block begins.
        BlockStart(BlockStart) = "content_block_start",
        /// A block grows.
        BlockDelta(BlockDelta) = "content_block_delta",
        /// A block ends.
        BlockStop(BlockStop) = "content_block_stop",
        /// The answer's frame changes.
        MessageDelta(MessageDelta) = "message_delta",
        /// The answer ends.
        MessageStop(MessageStop) = "message_stop",
    }
}

tagged! {
    /// What a block grows by.
    Delta by "type" {
        /// Words.
        Text(TextDelta) = "text_delta",
        /// A piece of a tool's input, as JSON text.
        InputJson(InputJsonDelta) = "input_json_delta",
        /// Reasoning.
        Thinking(ThinkingDelta) = "thinking_delta",
        /// The proof of the reasoning.
        Signature(SignatureDelta) = "signature_delta",
    }
}

record! {
    /// An answer begins.
    MessageStart ["type" = "message_start"] {
        /// The answer so far.
        message = "message": ModelMessage<'a>,
    }

    /// A block begins.
    BlockStart ["type" = "content_block_start"] {
        /// Which block.
        index = "index": Maybe<Counter<'a>>,
        /// The block so far.
        content_block = "content_block": ContentBlock<'a>,
    }

    /// A block grows.
    BlockDelta ["type" = "content_block_delta"] {
        /// Which block.
        index = "index": Maybe<Counter<'a>>,
        /// By what.
        delta = "delta": Delta<'a>,
    }

    /// A block ends.
    BlockStop ["type" = "content_block_stop"] {
        /// Which block.
        index = "index": Maybe<Counter<'a>>,
    }

    /// The answer's frame changes.
    MessageDelta ["type" = "message_delta"] {
        /// The new values: `stop_reason` and its like.
        delta = "delta": Json<'a>,
        /// Tokens so far.
        usage = "usage": Maybe<Usage<'a>>,
        /// What the provider did to keep the context small.
        context_management = "context_management": Maybe<Json<'a>>,
    }

    /// The answer ends.
    MessageStop ["type" = "message_stop"] {}

    /// Words.
    TextDelta ["type" = "text_delta"] {
        /// The words.
        text = "text": Text<'a>,
    }

    /// A piece of a tool's input.
    InputJsonDelta ["type" = "input_json_delta"] {
        /// JSON text; only all pieces together are valid.
        partial_json = "partial_json": Text<'a>,
    }

    /// Reasoning.
    ThinkingDelta ["type" = "thinking_delta"] {
        /// The reasoning.
        thinking = "thinking": Text<'a>,
    }

    /// The proof of the reasoning.
    SignatureDelta ["type" = "signature_delta"] {
        /// The proof.
        signature = "signature": Text<'a>,
    }
}

impl StreamEvent<'_> {
    /// The words this piece adds to the answer, if it adds words.
    pub fn text_delta(&self) -> Option<&str> {
        match &self.event {
            Piece::BlockDelta(BlockDelta {
                delta: Delta::Text(delta),
                ..
            }) => Some(&delta.text),
            Piece::BlockDelta(_)
            | Piece::MessageStart(_)
            | Piece::BlockStart(_)
            | Piece::BlockStop(_)
            | Piece::MessageDelta(_)
            | Piece::MessageStop(_)
            | Piece::Other(_) => None,
        }
    }
}
