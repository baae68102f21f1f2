//! See [`attache_fuzz::viewer`].
#![cfg_attr(fuzzing, no_main)]

attache_fuzz::target!(attache_fuzz::viewer::check);
