//! See [`attache_fuzz::message`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::message::check);
