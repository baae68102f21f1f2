//! What goes wrong around a worker, or is done by somebody else.

use std::time::Duration;

use attache_protocol::io::NetworkFailure;

use crate::{
    millis,
    schedule::{
        Choices,
        worker::{
            life::Life,
            order::Kind,
            weather::{Fate, Loss, Mercy, TokenFate, fault, one_of, stream_fault},
        },
    },
    secs,
};

/// Something goes wrong on the worker's side that it can recover from.
pub(in crate::schedule) fn worker_trouble(
    life: &mut Life,
    choices: &mut dyn Choices,
) -> Result<(), String> {
    match choices.below(12) {
        0..=4 => {
            let kind = one_of(choices, &Kind::ALL, Kind::Upload);
            let fate = fault(choices, kind, Mercy::Spared);
            // What is refused for good is nobody's to deliver.
            let is_final = matches!(fate, Fate::Status(400..=407 | 411..=422 | 301, _));
            let fate = if is_final { Fate::Swallowed } else { fate };
            life.weather.plan_calls(kind, fate, 1 + choices.below(3));
        }
        5 => {
            let fate = stream_fault(choices, Mercy::Spared);
            life.weather.plan_stream(fate, 1);
        }
        6 => life.break_stream(NetworkFailure::Reset),
        7 => life.mute_stream(),
        8 => outage(life, choices),
        9 => life.server.forget_grants(),
        10 => life.weather.latency = millis(u64::from(choices.below(400))),
        _ => return life.wake(),
    }
    Ok(())
}

pub(super) fn mercy(choices: &mut dyn Choices) -> Mercy {
    if choices.below(24) == 23 {
        Mercy::MayEnd
    } else {
        Mercy::Spared
    }
}

pub(super) fn calls_go_wrong(life: &mut Life, choices: &mut dyn Choices) {
    // What carries something is more interesting than the rest.
    let carriers = [Kind::Report, Kind::Delivery, Kind::Bridge];
    let kind = match choices.below(4) {
        0 => Kind::Upload,
        1 => one_of(choices, &carriers, Kind::Report),
        _ => one_of(choices, &Kind::ALL, Kind::Upload),
    };
    let mercy = mercy(choices);
    let fate = fault(choices, kind, mercy);
    let count = if matches!(fate, Fate::Status(401 | 403, _)) {
        1
    } else {
        1 + choices.below(4)
    };
    life.weather.plan_calls(kind, fate, count);
}

pub(super) fn outage(life: &mut Life, choices: &mut dyn Choices) {
    let lasting = secs(1 + u64::from(choices.below(90)));
    let fates = [
        Fate::Failed(NetworkFailure::Refused),
        Fate::Failed(NetworkFailure::Dns),
        Fate::Swallowed,
        Fate::AnswerLost(Loss::Broken),
        Fate::Status(503, None),
        Fate::Status(502, Some(secs(3))),
    ];
    let fate = one_of(choices, &fates, Fate::Failed(NetworkFailure::Refused));
    life.fault(&format!("for {lasting:?}, {fate:?}"), Duration::ZERO);
    let until = life.now.checked_add(lasting).unwrap_or(life.now);
    life.weather.plan_outage(until, fate);
    // A restart keeps the log, and perhaps what was granted.
    match choices.below(3) {
        0 => {
            life.break_calls(NetworkFailure::Reset);
            life.break_stream(NetworkFailure::Reset);
        }
        1 => {
            life.break_calls(NetworkFailure::Reset);
            life.break_stream(NetworkFailure::Reset);
            life.server.forget_grants();
        }
        _ => life.mute_stream(),
    }
}

pub(super) fn asleep(life: &mut Life, choices: &mut dyn Choices) -> Result<(), String> {
    life.fault("asleep", Duration::ZERO);
    life.sleep(secs(u64::from(choices.below(120))));
    if choices.below(2) == 0 {
        life.wake()?;
    }
    Ok(())
}

/// What somebody else does to the session or to the tokens.
pub(super) fn others(life: &mut Life, choices: &mut dyn Choices) -> Result<(), String> {
    let Some(session) = life.session() else {
        return Ok(());
    };
    match choices.below(24) {
        0 => {
            life.fault("another worker takes over", Duration::ZERO);
            life.lose_session(&session)
        }
        1 => {
            life.fault("somebody archives the session", Duration::ZERO);
            life.server.archive(&session);
            life.was_archived = true;
            life.end_stream(NetworkFailure::Ended);
            Ok(())
        }
        2..=6 => {
            life.fault("the person's token is revoked", Duration::ZERO);
            let token = life.person_token();
            life.server.revoke(&token);
            Ok(())
        }
        7 | 8 => {
            life.fault(
                "the token is revoked, and the source does not know",
                Duration::ZERO,
            );
            let token = life.person_token();
            life.server.revoke(&token);
            life.server.forget_grants();
            for _ in 0..2 {
                life.weather.plan_token(TokenFate::Stale);
            }
            Ok(())
        }
        9..=12 => {
            life.fault("what was granted is forgotten", Duration::ZERO);
            life.server.forget_grants();
            Ok(())
        }
        _ => life.wake(),
    }
}
