//! See [`attache_fuzz::worker`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::worker::check);
