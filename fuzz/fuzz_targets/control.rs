//! See [`attache_fuzz::control`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::control::check);
