//! See [`attache_fuzz::sse`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::sse::check);
