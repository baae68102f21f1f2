//! New ids.

use core::fmt::Write as _;

use attache_protocol::SessionId;

/// A version 4 UUID in its usual spelling.
pub(crate) fn uuid() -> Result<String, getrandom::Error> {
    let bits = u128::from_le_bytes(random()?);
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    Ok(text)
}

/// A session's id.
pub(crate) fn session() -> Result<SessionId, getrandom::Error> {
    let mut text = String::from("session_01");
    let _ = write!(text, "{:032x}", u128::from_le_bytes(random()?));
    Ok(SessionId::parse(&text).expect("letters, digits and a _ make an id"))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_version_4_and_its_variant_is_right() {
        for _ in 0..64 {
            let uuid = uuid().unwrap();
            let bytes = uuid.as_bytes();
            assert_eq!(bytes.len(), 36);
            assert_eq!(bytes[14], b'4', "{uuid}");
            assert!(matches!(bytes[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
        }
        assert_ne!(uuid().unwrap(), uuid().unwrap());
    }
}
