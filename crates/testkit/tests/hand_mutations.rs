//! The mutations made by hand still fit the core: a text that has gone stale breaks nothing, and whoever runs them would
//! learn of it only then.
//!
//! Not among the tests of the core, because those are run on a core that is mutated, where one of these texts is gone:
//! they would notice every mutation for the wrong reason.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What the ten are about, by the number their names begin with.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=10;

/// One text to be replaced by another.
struct Mutation<'a> {
    title: &'a str,
    /// The file, below the crate of the core.
    file: &'a str,
    is: &'a str,
    becomes: &'a str,
}

impl<'a> Mutation<'a> {
    /// Reads what `crates/protocol/mutations/run` reads.
    fn parse(text: &'a str) -> Option<Self> {
        let (title, rest) = text.split_once("\nfile ")?;
        let (file, rest) = rest.split_once("\n--- is\n")?;
        let (is, becomes) = rest.split_once("+++ becomes\n")?;
        let is_title = !title.is_empty() && !title.contains('\n');
        let is_file = !file.is_empty() && !file.contains(char::is_whitespace);
        let ends_a_line = is.ends_with('\n') && (becomes.is_empty() || becomes.ends_with('\n'));
        (is_title && is_file && ends_a_line).then_some(Self {
            title,
            file,
            is,
            becomes,
        })
    }

    /// Says why it can't be applied to this text of its file.
    fn misfit(&self, source: &str) -> Option<String> {
        if self.is == self.becomes {
            return Some("changes nothing".to_owned());
        }
        let places = source.matches(self.is).count();
        (places != 1).then(|| format!("stands {places} times in {}", self.file))
    }
}

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol")
}

/// A text file, with the line ends of the repository whatever was checked out.
fn read(path: &Path) -> String {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.replace("\r\n", "\n")
}

/// The name of each mutation, and its text.
fn mutations() -> Vec<(String, String)> {
    let folder = core().join("mutations");
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut mutations: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "mutation"))
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy();
            (name.into_owned(), read(&path))
        })
        .collect();
    mutations.sort();
    mutations
}

#[test]
fn every_mutation_applies_to_one_place_of_the_core() {
    let mut misfits = Vec::new();
    for (name, text) in mutations() {
        match Mutation::parse(&text) {
            None => misfits.push(format!("{name} is no mutation")),
            Some(mutation) => {
                let source = read(&core().join(mutation.file));
                let misfit = mutation.misfit(&source);
                misfits.extend(misfit.map(|why| format!("{name}: its text {why}")));
            }
        }
    }
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}

#[test]
fn each_of_the_ten_is_there_under_a_title_of_its_own() {
    let mutations = mutations();
    let number = |(name, _): &(String, String)| name.split('-').next()?.parse().ok();
    let numbers: BTreeSet<u32> = mutations.iter().filter_map(number).collect();
    assert_eq!(numbers, NUMBERS.collect());
    let titles: BTreeSet<&str> = mutations
        .iter()
        .filter_map(|(_, text)| Some(Mutation::parse(text)?.title))
        .collect();
    assert_eq!(titles.len(), mutations.len());
}

#[test]
fn a_text_that_is_gone_or_stands_twice_is_found_out() {
    const TEXT: &str = "wrong\nfile src/lib.rs\n--- is\nlet a;\n+++ becomes\nlet b;\n";
    let mutation = Mutation::parse(TEXT).expect("it is one");
    assert_eq!(mutation.title, "wrong");
    assert_eq!(mutation.misfit("let a;\nlet c;\n"), None);
    assert!(mutation.misfit("let c;\n").is_some());
    assert!(mutation.misfit("let a;\nlet a;\n").is_some());
    let same = TEXT.replace("let b;", "let a;");
    let same = Mutation::parse(&same).expect("it is one");
    assert!(same.misfit("let a;\n").is_some());
}

#[test]
fn what_lacks_a_part_is_no_mutation() {
    for text in [
        "",
        "wrong\n--- is\nlet a;\n+++ becomes\nlet b;\n",
        "wrong\nfile src/lib.rs\n--- is\nlet a;\n",
        "wrong\nfile \n--- is\nlet a;\n+++ becomes\nlet b;\n",
        "wrong\nfile src/lib.rs\n--- is\n+++ becomes\nlet b;\n",
    ] {
        assert!(Mutation::parse(text).is_none(), "{text:?}");
    }
}
