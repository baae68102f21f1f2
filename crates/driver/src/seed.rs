//! Where a machine's randomness comes from.

/// The operating system gave no random bytes.
#[derive(Copy, Clone, Debug, thiserror::Error)]
#[error("the operating system gives no random bytes; a session can't start without them: {0}")]
pub struct SeedError(#[from] getrandom::Error);

/// 32 bytes of the operating system's entropy, for the constructor of a machine.
///
/// # Errors
/// [`SeedError`] when there are none to be had.
pub fn seed() -> Result<[u8; 32], SeedError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed().unwrap(), seed().unwrap());
    }
}
