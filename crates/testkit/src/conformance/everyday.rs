//! Closing with the budgets that everybody has who sets none, while a fault is in force.
//!
//! The other trials close with budgets that are as short as everything else in them, so they tell nothing
//! of how long a person waits. Here, only what is about closing is left as it comes.

use attache_protocol::{
    viewer::{Liveness, Patience, ViewerConfig},
    worker::{WorkerConfig, WorkerPatience},
};

use super::{
    fault::Fault,
    proxy::Reach,
    trial::{Closing, Side, Trial, faults_of},
};

/// Closed in each fault that does not heal: one that struck a link in the middle of its life and then
/// everything else, and one that was there from the beginning, so that a worker has no session yet.
pub fn closing_trials(sides: &[Side]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &side in sides {
        let mut unhealed = |faults: &[Fault], reach| {
            trials.push(Trial {
                closing: Closing::Unhealed,
                ..Trial::new(side, faults, reach, trials.len() as u64)
            });
        };
        unhealed(&[], Reach::Link);
        // Nobody is to be found any more after a while in which somebody was.
        unhealed(&[Fault::Fin, Fault::Refused], Reach::Lasting);
        unhealed(&[Fault::Fin, Fault::Nameless], Reach::Lasting);
        for fault in faults_of(side) {
            unhealed(&[fault], Reach::Lasting);
            unhealed(&[fault], Reach::Everything);
        }
    }
    trials
}

/// Leaves a viewer the time to close that it has by default, and calls theirs: so long that closing does
/// not end because they do.
pub(super) fn viewer(config: &mut ViewerConfig) {
    config.liveness.close_deadline = Liveness::default().close_deadline;
    config.patience.http = Patience::default().http;
}

/// The same for a worker.
pub(super) fn worker(config: &mut WorkerConfig) {
    let everyday = WorkerPatience::default();
    config.patience.close = everyday.close;
    config.patience.flush = everyday.flush;
    config.patience.archive = everyday.archive;
    config.patience.http = everyday.http;
}

/// Whether a session can be archived in this trial's last fault: it is only slow.
pub(super) fn lets_archive(trial: &Trial) -> bool {
    trial.closing == Closing::Unhealed
        && matches!(
            trial.faults.last(),
            None | Some(Fault::SlowHandshake | Fault::Slices | Fault::Latency)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_every_side_is_closed_in() {
        let trials = closing_trials(&Side::ALL);
        for side in Side::ALL {
            for fault in faults_of(side) {
                for reach in [Reach::Lasting, Reach::Everything] {
                    let is_closed_in = trials.iter().any(|trial| {
                        (trial.side, trial.faults.as_slice(), trial.reach)
                            == (side, &[fault][..], reach)
                    });
                    assert!(is_closed_in, "{side}: {fault}");
                }
            }
        }
    }

    #[test]
    fn closing_is_left_its_usual_budgets_and_they_fit() {
        let patience = WorkerPatience::default();
        let deadline = Liveness::default().close_deadline;
        assert!(patience.close.max(deadline) < super::super::CLOSE_LIMIT);
    }
}
