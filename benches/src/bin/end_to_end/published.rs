//! Where this repository shows a recorded run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{plot, record::Record};

pub(crate) const RECORD: &str = "benches/end_to_end.json";
const PICTURE: &str = "benches/end_to_end.svg";
const SHORT: &str = "README.md";
const LONG: &str = "benches/README.md";

/// What stands around the figures in a text.
const BEGIN: &str = "<!-- end_to_end: from the recorded run -->\n";
const END: &str = "<!-- end_to_end: until here -->\n";

/// A file of this repository.
pub(crate) fn in_repository(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

/// Draws `record`, and writes its figures into the texts.
pub(crate) fn publish(record: &Record) -> io::Result<()> {
    fs::write(in_repository(PICTURE), plot::svg(record))?;
    for (name, figures) in [(SHORT, record.ratios()), (LONG, record.to_string())] {
        let path = in_repository(name);
        let text = with_figures(&fs::read_to_string(&path)?, &figures)
            .ok_or_else(|| io::Error::other(format!("{name} has no place for the figures")))?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// `text` with other figures in their place.
fn with_figures(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_was_recorded() {
        let record = Record::read(&in_repository(RECORD)).unwrap();
        let shown = |name| fs::read_to_string(in_repository(name)).unwrap();
        let again = "`end_to_end --redraw` writes it again";
        assert!(shown(PICTURE) == plot::svg(&record), "{PICTURE}: {again}");
        for (name, figures) in [(SHORT, record.ratios()), (LONG, record.to_string())] {
            let text = shown(name);
            let is_same = with_figures(&text, &figures) == Some(text);
            assert!(is_same, "{name}: {again}");
        }
    }
}
