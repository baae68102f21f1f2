//! Numbers as servers write them.

use alloc::string::String;

use serde::Deserialize;

/// A number that some servers write as a decimal string.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Number {
    Number(u64),
    Text(String),
}

impl Number {
    pub(crate) fn get(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}
