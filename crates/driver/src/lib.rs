//! Runtime-free glue that every attache adapter shares.
