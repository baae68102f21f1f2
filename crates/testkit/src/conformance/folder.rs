//! Where programs leave their columns for each other, so that the last one prints the whole table.

use std::{
    collections::hash_map::DefaultHasher,
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    hash::{Hash as _, Hasher as _},
    io,
    path::PathBuf,
};

use super::{table::Column, trial::Trial};

/// Names the folder.
const VARIABLE: &str = "ATTACHE_CONFORMANCE_TABLE";

/// A folder of columns, of which it shows those of one suite.
pub(super) struct Folder {
    path: PathBuf,
    suite: u64,
}

impl Folder {
    /// The one that the environment names, if it names one.
    pub(super) fn named(suite: &[Trial]) -> Option<Self> {
        let path = env::var_os(VARIABLE).filter(|path| !path.is_empty())?;
        Some(Self::at(path.into(), suite))
    }

    fn at(path: PathBuf, suite: &[Trial]) -> Self {
        let mut hasher = DefaultHasher::new();
        suite.hash(&mut hasher);
        let suite = hasher.finish();
        Self { path, suite }
    }

    /// Keeps a column, instead of an older one of the same adapter.
    pub(super) fn keep(&self, column: &Column) -> io::Result<()> {
        let mut name = self.prefix();
        for character in column.adapter.chars() {
            if character.is_ascii_alphanumeric() {
                name.push(character);
            } else {
                let _ = write!(name, "_{:x}_", u32::from(character));
            }
        }
        fs::write(self.path.join(name), serde_json::to_vec(column)?)
    }

    /// What the adapters that ran the same suite have left so far, by name.
    pub(super) fn columns(&self) -> io::Result<Vec<Column>> {
        let prefix = self.prefix();
        let is_ours = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(&prefix));
        let mut columns: Vec<Column> = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            if is_ours(&file.file_name()) {
                columns.push(serde_json::from_slice(&fs::read(file.path())?)?);
            }
        }
        columns.sort_by(|one, other| one.adapter.cmp(&other.adapter));
        Ok(columns)
    }

    fn prefix(&self) -> String {
        format!("{:016x}-", self.suite)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::conformance::{Fault, Reach, Side};

    fn suite(seed: u64) -> [Trial; 1] {
        [Trial::new(
            Side::Worker,
            &[Fault::Garbage],
            Reach::Link,
            seed,
        )]
    }

    fn column(adapter: &str) -> Column {
        Column::new(adapter, BTreeMap::new())
    }

    #[test]
    fn a_program_finds_what_others_left_after_the_same_suite_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let one = Folder::at(folder.path().to_owned(), &suite(1));
        let other = Folder::at(folder.path().to_owned(), &suite(2));

        one.keep(&column("by hand")).unwrap();
        one.keep(&column("by-hand")).unwrap();
        one.keep(&column("by hand")).unwrap();
        other.keep(&column("stale")).unwrap();

        let again = Folder::at(folder.path().to_owned(), &suite(1));
        assert_eq!(
            again.columns().unwrap(),
            [column("by hand"), column("by-hand")]
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Folder::at(folder.path().join("missing"), &suite(1));

        assert!(missing.keep(&column("tokio")).is_err());
        assert!(missing.columns().is_err());
    }
}
