//! What a schedule begins with.

use attache_protocol::{
    policy::Profile,
    viewer::{CredentialPlacement, Cursor, History, Transport, ViewerConfig},
};

use crate::{config_over, schedule::Choices};

/// A configuration that an application may choose.
pub(super) fn config(choices: &mut dyn Choices) -> ViewerConfig {
    let mut config = config_over(match choices.below(2) {
        0 => Transport::WebSocket,
        _ => Transport::Sse,
    });
    config.history = match choices.below(3) {
        0 => History::All,
        1 => History::Latest(1 + size(choices, 30)),
        _ => History::None,
    };
    config.profile = match choices.below(4) {
        0..=2 => Profile::resilient(),
        _ => Profile::reference(),
    };
    config.credential = match choices.below(4) {
        0 | 1 => CredentialPlacement::Header,
        2 => CredentialPlacement::AuthFrame,
        _ => CredentialPlacement::HeaderAndAuthFrame,
    };
    config.viewer_only = choices.below(10) == 9;
    config.initialize = choices.below(3) == 2;
    config.has_initial_prompt = choices.below(6) == 5;
    let limits = &mut config.limits;
    if choices.below(2) == 1 {
        limits.page = 1 + size(choices, 8);
    }
    if choices.below(3) == 2 {
        limits.held = 1 + size(choices, 6);
        limits.events = 4 + size(choices, 12);
        limits.outbox = 1 + size(choices, 4);
        limits.requests = 1 + size(choices, 4);
        limits.prompts = 1 + size(choices, 4);
    }
    config
}

/// The same application in another process: it goes on where the first one stood.
pub(super) fn resumed(config: &ViewerConfig, cursor: Option<&Cursor>) -> ViewerConfig {
    let mut config = config.clone();
    // As it is kept in a file.
    config.resume_from = cursor.and_then(|cursor| cursor.to_string().parse().ok());
    config
}

/// The seed of a viewer.
pub(super) fn seed(choices: &mut dyn Choices) -> [u8; 32] {
    let number = choices.below(u32::MAX).to_le_bytes();
    let mut seed = [7; 32];
    for (byte, drawn) in seed.iter_mut().zip(number) {
        *byte = drawn;
    }
    seed
}

fn size(choices: &mut dyn Choices, bound: u32) -> usize {
    usize::try_from(choices.below(bound)).unwrap_or(usize::MAX)
}
