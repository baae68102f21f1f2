//! What the adapter is made of.

use std::{env, process::Command};

#[test]
fn no_async_runtime_is_anywhere_below() {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let listed = Command::new(cargo)
        .args(["tree", "--offline", "--package", "attache-blocking"])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(listed.stdout).unwrap();
    assert!(
        tree.contains("tungstenite v"),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );

    let runtimes = [
        "tokio",
        "async-std",
        "async-io",
        "smol",
        "async-executor",
        "hyper",
        "reqwest",
    ];
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let is_runtime = runtimes.iter().any(|runtime| name.starts_with(runtime));
        assert!(!is_runtime, "{line}");
    }
}
