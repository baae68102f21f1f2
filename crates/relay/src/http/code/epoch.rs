//! The epoch that a worker states in its requests.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{RelayError, http::access::WorkerOf, session::Epoch};

/// A number, or its decimal digits as a text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct StatedEpoch(u64);

impl StatedEpoch {
    /// The epoch in which `worker` acts: its token's, which has to be what it states.
    pub(super) fn of(self, worker: &WorkerOf) -> Result<Epoch, RelayError> {
        if Epoch(self.0) == worker.epoch {
            Ok(worker.epoch)
        } else {
            Err(RelayError::Superseded)
        }
    }
}

impl<'de> Deserialize<'de> for StatedEpoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Number(u64),
            Text(String),
        }
        let epoch = match Spelling::deserialize(deserializer) {
            Ok(Spelling::Number(number)) => Some(number),
            Ok(Spelling::Text(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            Ok(Spelling::Text(_)) | Err(_) => None,
        };
        epoch
            .map(Self)
            .ok_or_else(|| D::Error::custom("`worker_epoch` has to be a whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_number_or_its_digits() {
        let parse = |json: &str| {
            serde_json::from_str(json)
                .map(|StatedEpoch(epoch)| epoch)
                .ok()
        };
        assert_eq!(parse("7"), Some(7));
        assert_eq!(parse("\"7\""), Some(7));
        assert_eq!(parse("\"18446744073709551615\""), Some(u64::MAX));
        for bad in ["-1", "1.5", "\"\"", "\"+7\"", "\"x\"", "null", "[7]"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
