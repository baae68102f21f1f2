//! `attach`.

mod activity;
mod command;
mod count;
mod json;
