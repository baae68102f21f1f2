//! See [`attache_fuzz::relay_request`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::relay_request::check);
