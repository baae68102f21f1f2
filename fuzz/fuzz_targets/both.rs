//! See [`attache_fuzz::both`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::both::check);
