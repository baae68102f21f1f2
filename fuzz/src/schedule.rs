//! A schedule whose decisions are an input's bytes.

use attache_testkit::schedule::{Breach, Bytes, Choices, Recorder, Span, Tally};

/// Runs `schedule`; a breach comes with the record of what was decided, which outlives the bytes' meaning.
pub(crate) fn keeps_every_promise(
    schedule: fn(&mut dyn Choices, &Span) -> Result<Tally, Breach>,
    data: &[u8],
) {
    let mut choices = Recorder::new(Bytes::new(data));
    if let Err(breach) = schedule(&mut choices, &Span::default()) {
        panic!("{breach}\nas decided: {}", choices.into_record());
    }
}
