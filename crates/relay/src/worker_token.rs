//! The tokens that workers get: JSON Web Tokens, signed with HMAC-SHA-256 by the relay for itself.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use attache_protocol::SessionId;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::store::SigningKey;

/// Nothing but this header is ever read, so nobody can talk the relay into another algorithm.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "attache-relay";

/// Writes and reads the tokens of one relay.
pub(crate) struct WorkerTokens {
    key: SigningKey,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerIdentity {
    pub(crate) session: SessionId,
    pub(crate) epoch: u64,
}

/// Why a token opens nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// This relay never wrote it.
    Foreign,
    /// It was good once.
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    epoch: u64,
    /// Milliseconds keep short lifetimes exact; a reader that wants seconds has `exp`.
    exp_ms: u64,
    exp: u64,
}

impl WorkerTokens {
    pub(crate) fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// A token for `identity`, good until `lifetime` after `now`.
    pub(crate) fn write(
        &self,
        identity: &WorkerIdentity,
        now: SystemTime,
        lifetime: Duration,
    ) -> String {
        let exp_ms = millis(now).saturating_add(to_u64(lifetime.as_millis()));
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: identity.session.v2(),
            epoch: identity.epoch,
            exp_ms,
            exp: exp_ms / 1000,
        };
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let mut token = URL_SAFE_NO_PAD.encode(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.mac(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// Whose `token` is, and when it expires; `None` is beyond any clock.
    pub(crate) fn read(
        &self,
        token: &str,
        now: SystemTime,
    ) -> Result<(WorkerIdentity, Option<SystemTime>), BadToken> {
        let claims = self.claims(token).ok_or(BadToken::Foreign)?;
        let session = SessionId::parse(&claims.sub).map_err(|_| BadToken::Foreign)?;
        if millis(now) >= claims.exp_ms {
            return Err(BadToken::Expired);
        }
        let identity = WorkerIdentity {
            session,
            epoch: claims.epoch,
        };
        let expires_at = UNIX_EPOCH.checked_add(Duration::from_millis(claims.exp_ms));
        Ok((identity, expires_at))
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(signed.as_bytes()).verify_slice(&signature).ok()?;
        if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (claims.iss == ISSUER).then_some(claims)
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let key = self.key.expose();
        Hmac::new_from_slice(key)
            .expect("HMAC takes a key of any length")
            .chain_update(message)
    }
}

/// Whether `token` has the shape of a worker's token; whether it is one, only the key can tell.
pub(crate) fn may_be_workers(token: &str) -> bool {
    token.split('.').count() == 3
}

fn millis(time: SystemTime) -> u64 {
    to_u64(
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis(),
    )
}

fn to_u64(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;
    const LIFETIME: Duration = Duration::from_millis(1500);

    fn tokens(byte: u8) -> WorkerTokens {
        WorkerTokens::new(SigningKey::new([byte; 32]))
    }

    fn identity() -> WorkerIdentity {
        WorkerIdentity {
            session: SessionId::parse("cse_1").unwrap(),
            epoch: u64::MAX,
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let token = tokens(1).write(&identity(), NOW, LIFETIME);
        let later = |millis| NOW + Duration::from_millis(millis);
        let good = Ok((identity(), Some(later(1500))));
        assert_eq!(tokens(1).read(&token, later(1499)), good);
        assert_eq!(tokens(1).read(&token, later(1500)), Err(BadToken::Expired));
        assert!(may_be_workers(&token));
        let forever = tokens(1).write(&identity(), NOW, Duration::MAX);
        let (whose, _) = tokens(1).read(&forever, later(1)).unwrap();
        assert_eq!(whose, identity());
    }

    #[test]
    fn changed_or_foreign_tokens_open_nothing() {
        let token = tokens(1).write(&identity(), NOW, LIFETIME);
        assert_eq!(tokens(2).read(&token, NOW), Err(BadToken::Foreign));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                tokens(1).read(&changed, NOW),
                Err(BadToken::Foreign),
                "{at}"
            );
        }
        for text in ["", ".", "..", "...", "a.b.c", "token"] {
            assert_eq!(tokens(1).read(text, NOW), Err(BadToken::Foreign), "{text}");
        }
        let (header, rest) = token.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        assert_eq!(
            tokens(1).read(&format!("{header}.{claims}."), NOW),
            Err(BadToken::Foreign)
        );
    }

    #[test]
    fn another_algorithm_is_not_spoken() {
        let tokens = tokens(1);
        let token = tokens.write(&identity(), NOW, LIFETIME);
        let claims = token.split('.').nth(1).unwrap();
        let mut other = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        other.push('.');
        other.push_str(claims);
        let signature = tokens.mac(other.as_bytes()).finalize().into_bytes();
        let other = format!("{other}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(tokens.read(&other, NOW), Err(BadToken::Foreign));
    }
}
