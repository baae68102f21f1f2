//! Typed views of session messages, parsed on demand.
