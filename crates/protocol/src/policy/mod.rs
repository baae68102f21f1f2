//! When to try again, after how long, and when to stop.
//!
//! Three small pieces, each a pure function of what it is given: [`verdict`] says what an ending
//! means, a [`Profile`] holds the numbers, an [`Episode`] spends the budget.

mod backoff;
mod budget;
mod close;
mod profile;

pub use backoff::Delays;
pub use budget::{Episode, Next};
pub use close::{CloseCause, Outcome, RetryClass, SessionEnd, TABLE, TableRow, Verdict, verdict};
pub use profile::{Limit, NewToken, Profile, RetryRule};
