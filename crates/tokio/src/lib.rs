//! Attach to a remote agent session from tokio.
