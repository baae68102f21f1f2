//! The messages of a turn: what was said, what tools did, how it ended.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    Content, Counter, Fields, Json, Maybe, ModelMessage, Text, Unmodelled, Usage,
    fields::ObjectWriter,
    node::{Fault, Node, Path},
    record::record,
};

record! {
    /// Something said to the agent: by a person, or the results of its tools.
    User ["type" = "user"] {
        /// What was said.
        message = "message": UserMessage<'a>,
        /// The tool use whose agent this was said to, if it is not the main one.
        parent_tool_use_id = "parent_tool_use_id": Maybe<Text<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// It was said earlier and is only repeated.
        is_replay = "isReplay": Maybe<bool>,
        /// No person said it.
        is_synthetic = "isSynthetic": Maybe<bool>,
        /// A tool's result in the tool's own shape.
        tool_use_result = "tool_use_result": Maybe<Json<'a>>,
        /// When it was said.
        timestamp = "timestamp": Maybe<Text<'a>>,
    }

    /// What was said to the agent.
    UserMessage [] {
        /// `user`.
        role = "role": Maybe<Text<'a>>,
        /// The words, or the blocks.
        content = "content": Content<'a>,
    }

    /// Something the agent said: one frame a block, the same `message.id` for all of one answer.
    Assistant ["type" = "assistant"] {
        /// What it said.
        message = "message": ModelMessage<'a>,
        /// The tool use whose agent speaks, if it is not the main one.
        parent_tool_use_id = "parent_tool_use_id": Maybe<Text<'a>>,
        /// Why the answer failed: an open set.
        error = "error": Maybe<Json<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// The end of a turn. Whether it went well is said by [`is_error`](Self::is_error) alone: a turn
    /// that died on a failing provider still has the subtype `success`.
    TurnResult ["type" = "result"] {
        /// `success`, `error_during_execution`, `error_max_turns`, … : an open set.
        subtype = "subtype": Text<'a>,
        /// Whether it failed.
        is_error = "is_error": bool,
        /// The agent's last words.
        result = "result": Maybe<Text<'a>>,
        /// What went wrong.
        errors = "errors": Maybe<Json<'a>>,
        /// Milliseconds in all.
        duration_ms = "duration_ms": Maybe<Counter<'a>>,
        /// Milliseconds spent waiting for the model.
        duration_api_ms = "duration_api_ms": Maybe<Counter<'a>>,
        /// Turns taken; -1 has been seen.
        num_turns = "num_turns": Maybe<Counter<'a>>,
        /// Why the model stopped: an open set.
        stop_reason = "stop_reason": Maybe<Text<'a>>,
        /// The cost in US dollars.
        total_cost_usd = "total_cost_usd": Maybe<Counter<'a>>,
        /// Tokens spent.
        usage = "usage": Maybe<Usage<'a>>,
        /// Tokens spent, by model.
        model_usage = "modelUsage": Maybe<Json<'a>>,
        /// What was not allowed.
        permission_denials = "permission_denials": Maybe<Vec<PermissionDenial<'a>>>,
        /// The answer in the shape that was asked for.
        structured_output = "structured_output": Maybe<Json<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// One tool use that was not allowed.
    PermissionDenial [] {
        /// The tool.
        tool_name = "tool_name": Maybe<Text<'a>>,
        /// The call.
        tool_use_id = "tool_use_id": Maybe<Text<'a>>,
        /// What it was to be called with.
        tool_input = "tool_input": Maybe<Json<'a>>,
    }

    /// A tool is still at work.
    ToolProgress ["type" = "tool_progress"] {
        /// The call.
        tool_use_id = "tool_use_id": Text<'a>,
        /// The tool.
        tool_name = "tool_name": Maybe<Text<'a>>,
        /// The tool use whose agent called it, if it is not the main one.
        parent_tool_use_id = "parent_tool_use_id": Maybe<Text<'a>>,
        /// Seconds so far.
        elapsed_time_seconds = "elapsed_time_seconds": Maybe<Counter<'a>>,
        /// The background task it became.
        task_id = "task_id": Maybe<Text<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// Several tool uses in a few words.
    ToolUseSummary ["type" = "tool_use_summary"] {
        /// The words.
        summary = "summary": Text<'a>,
        /// The calls.
        preceding_tool_use_ids = "preceding_tool_use_ids": Maybe<Vec<Text<'a>>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// How signing in goes.
    AuthStatus ["type" = "auth_status"] {
        /// Whether it is under way.
        is_authenticating = "isAuthenticating": Maybe<bool>,
        /// What it says.
        output = "output": Maybe<Json<'a>>,
        /// What went wrong.
        error = "error": Maybe<Json<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// How much of the allowance is left.
    RateLimitEvent ["type" = "rate_limit_event"] {
        /// The details.
        rate_limit_info = "rate_limit_info": Maybe<Json<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// Something the person might say next.
    PromptSuggestion ["type" = "prompt_suggestion"] {
        /// The words.
        suggestion = "suggestion": Maybe<Text<'a>>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }
}
