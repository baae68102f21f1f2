//! What the core brings into a build, by name, so that nothing comes in unseen.

use std::{collections::BTreeSet, process::Command};

/// What runs in a program that uses the core.
const LINKED: [&str; 11] = [
    "bytes",
    "bytestring",
    "itoa",
    "memchr",
    "rand_core",
    "rand_xoshiro",
    "serde",
    "serde_core",
    "serde_json",
    "thiserror",
    "zmij",
];

/// What only builds it.
const MACROS: [&str; 6] = [
    "proc-macro2",
    "quote",
    "serde_derive",
    "syn",
    "thiserror-impl",
    "unicode-ident",
];

#[test]
fn the_core_links_eleven_crates_and_six_build_it() {
    let linked = dependencies("normal,build,no-proc-macro");
    assert_eq!(linked, LINKED.map(String::from).into());

    let all = dependencies("normal,build");
    let macros: BTreeSet<String> = all.difference(&linked).cloned().collect();
    assert_eq!(macros, MACROS.map(String::from).into());
}

/// The names of all crates under the core, by the `edges` of cargo's tree. Needs no network.
fn dependencies(edges: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix=none"])
        .args(["--package=attache-protocol", "--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, as it runs this test");
    let said = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{said}");
    String::from_utf8_lossy(&tree.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "attache-protocol")
        .map(String::from)
        .collect()
}
