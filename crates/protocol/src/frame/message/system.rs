//! `system`: what the agent's machinery says about itself.

use alloc::{string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{
    Counter, Fields, Json, Maybe, Text, Unknown, Unmodelled,
    fields::ObjectWriter,
    node::{Fault, Node, Path},
    record::{record, tagged},
};

tagged! {
    /// What the agent's machinery says about itself.
    System by "subtype" {
        /// The agent is ready.
        Init(Init) = "init",
        /// What it is busy with.
        Status(SystemStatus) = "status",
        /// What was said before has been summed up.
        CompactBoundary(CompactBoundary) = "compact_boundary",
        /// It went to work, or waits.
        SessionStateChanged(SessionStateChanged) = "session_state_changed",
        /// The model's provider failed; it will be asked again.
        ApiRetry(ApiRetry) = "api_retry",
        /// A background task began.
        TaskStarted(TaskStarted) = "task_started",
        /// A background task goes on.
        TaskProgress(TaskProgress) = "task_progress",
        /// A background task ended.
        TaskNotification(TaskNotification) = "task_notification",
    }
}

record! {
    /// The agent is ready.
    Init ["type" = "system", "subtype" = "init"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// The model in use.
        model = "model": Maybe<Text<'a>>,
        /// The working directory.
        cwd = "cwd": Maybe<Text<'a>>,
        /// Its tools, by name.
        tools = "tools": Maybe<Vec<Text<'a>>>,
        /// Tool servers and their state.
        mcp_servers = "mcp_servers": Maybe<Json<'a>>,
        /// What it may do unasked: an open set.
        permission_mode = "permissionMode": Maybe<Text<'a>>,
        /// Commands that a message may start with.
        slash_commands = "slash_commands": Maybe<Json<'a>>,
        /// Where its credential came from.
        api_key_source = "apiKeySource": Maybe<Text<'a>>,
        /// How it words its answers.
        output_style = "output_style": Maybe<Text<'a>>,
        /// Helpers it can start.
        agents = "agents": Maybe<Json<'a>>,
        /// What it has learnt to do.
        skills = "skills": Maybe<Json<'a>>,
        /// Extensions.
        plugins = "plugins": Maybe<Json<'a>>,
    }

    /// What the agent is busy with.
    SystemStatus ["type" = "system", "subtype" = "status"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// `compacting`, or nothing special: an open set.
        status = "status": Maybe<Text<'a>>,
        /// What it may do unasked: an open set.
        permission_mode = "permissionMode": Maybe<Text<'a>>,
    }

    /// What was said before has been summed up.
    CompactBoundary ["type" = "system", "subtype" = "compact_boundary"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// What caused it and how much there was.
        compact_metadata = "compact_metadata": Maybe<Json<'a>>,
    }

    /// The agent went to work, or waits.
    SessionStateChanged ["type" = "system", "subtype" = "session_state_changed"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// `idle`, `running`, `requires_action`: an open set.
        state = "state": Text<'a>,
    }

    /// The model's provider failed; it will be asked again.
    ApiRetry ["type" = "system", "subtype" = "api_retry"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// How many tries so far.
        attempt = "attempt": Maybe<Counter<'a>>,
        /// How many at most.
        max_retries = "max_retries": Maybe<Counter<'a>>,
        /// Milliseconds until the next.
        retry_delay_ms = "retry_delay_ms": Maybe<Counter<'a>>,
        /// The HTTP status, if there was an answer.
        error_status = "error_status": Maybe<Counter<'a>>,
        /// What went wrong.
        error = "error": Maybe<Json<'a>>,
    }

    /// A background task began.
    TaskStarted ["type" = "system", "subtype" = "task_started"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// The task.
        task_id = "task_id": Text<'a>,
        /// The tool use that began it.
        tool_use_id = "tool_use_id": Maybe<Text<'a>>,
        /// What it is for.
        description = "description": Maybe<Text<'a>>,
        /// Its kind: an open set.
        task_type = "task_type": Maybe<Text<'a>>,
    }

    /// A background task goes on.
    TaskProgress ["type" = "system", "subtype" = "task_progress"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// The task.
        task_id = "task_id": Text<'a>,
        /// The tool use that began it.
        tool_use_id = "tool_use_id": Maybe<Text<'a>>,
        /// What it does.
        description = "description": Maybe<Text<'a>>,
        /// What it has used.
        usage = "usage": Maybe<Json<'a>>,
        /// The tool it used last.
        last_tool_name = "last_tool_name": Maybe<Text<'a>>,
    }

    /// A background task ended.
    TaskNotification ["type" = "system", "subtype" = "task_notification"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
        /// The task.
        task_id = "task_id": Text<'a>,
        /// The tool use that began it.
        tool_use_id = "tool_use_id": Maybe<Text<'a>>,
        /// How it ended: an open set.
        status = "status": Maybe<Text<'a>>,
        /// Where its output lies.
        output_file = "output_file": Maybe<Text<'a>>,
        /// What came of it.
        summary = "summary": Maybe<Text<'a>>,
        /// What it has used.
        usage = "usage": Maybe<Json<'a>>,
    }
}
