//! See [`attache_fuzz::frame`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::frame::check);
