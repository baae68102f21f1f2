//! The scripted agent's program.

use std::{env, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

/// Where the program is. Built the first time: cargo tells a package's tests only of the package's own
/// programs.
pub(crate) fn scripted_agent() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let build = Command::new(cargo)
            .args([
                "build",
                "--package",
                "attache-testkit",
                "--bin",
                "scripted-agent",
            ])
            .args(["--quiet", "--message-format", "json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo starts");
        assert!(build.status.success(), "{build:?}");
        String::from_utf8(build.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| message["executable"].as_str().map(str::to_owned))
            .expect("cargo says what it has built")
    })
}
