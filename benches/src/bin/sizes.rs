//! How long `attache --version` takes, how large the binary is and what it is made of, how many crates
//! the core needs.
//!
//! ```text
//! cargo build --release -p attache && cargo run --release -p attache-benches --bin sizes
//! ```
//!
//! What takes most of the binary is told by `nm`, where there is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use attache_benches::table::Table;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How often it is started.
const STARTS: usize = 51;
/// How many crates are shown.
const LARGEST: usize = 12;
const MIB: f64 = 1_048_576.0;

fn main() -> Outcome<()> {
    let given = env::args_os().nth(1).map(PathBuf::from);
    let binary = given.unwrap_or_else(|| "target/release/attache".into());
    if !binary.exists() {
        return Err(format!(
            "there is no {}: run `cargo build --release -p attache` first, or name the binary",
            binary.display()
        )
        .into());
    }
    let mut table = Table::default();
    let warm = median(|| start(&binary))?;
    table.add(
        "attache --version: in the page cache",
        milliseconds(warm),
        "ms",
    );
    match median(|| forget(&binary).and_then(|()| start(&binary))) {
        Ok(cold) => {
            table.add("attache --version: from the disk", milliseconds(cold), "ms");
        }
        Err(error) => eprintln!("not measured from the disk: {error}"),
    }
    // What starting any program costs here.
    let least = median(|| start(Path::new("/bin/true")))?;
    table.add("/bin/true, to compare", milliseconds(least), "ms");
    let bytes = float(fs::metadata(&binary)?.len());
    table.add("attache: binary", bytes / MIB, "MiB");
    match symbols(&binary) {
        Ok(crates) => {
            for (name, bytes) in largest(crates) {
                table.add(format!("  code of {name}"), float(bytes) / MIB, "MiB");
            }
        }
        Err(error) => eprintln!("not told what it is made of: {error}"),
    }
    for package in ["attache-protocol", "attache"] {
        let built = dependencies(package, "normal")?;
        let linked = dependencies(package, "normal,no-proc-macro")?;
        table.add(format!("{package}: other crates built for it"), built, "");
        table.add(format!("{package}: of these, in the program"), linked, "");
    }
    println!("{table}");
    Ok(())
}

fn start(binary: &Path) -> io::Result<Duration> {
    let mut command = Command::new(binary);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let took = start.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(io::Error::other(format!("it ended with {status}")))
    }
}

/// Has the system read `file` from the disk the next time. The libraries that it loads stay.
#[cfg(target_os = "linux")]
fn forget(file: &Path) -> io::Result<()> {
    use rustix::fs::{Advice, fadvise, fsync};

    let file = fs::File::open(file)?;
    // Only what is on the disk already can be forgotten.
    fsync(&file)?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
fn forget(_file: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn median(mut once: impl FnMut() -> io::Result<Duration>) -> io::Result<Duration> {
    let mut all = (0..STARTS).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    Ok(all.get(STARTS / 2).copied().unwrap_or_default())
}

/// How many bytes of functions and constants each crate has, by the names of its symbols. What generic
/// code is made for counts for the crate that has written it.
fn symbols(binary: &Path) -> Outcome<BTreeMap<String, u64>> {
    let mut nm = Command::new("nm");
    nm.args(["--print-size", "--radix=d", "--demangle"])
        .arg(binary);
    let output = nm.output()?;
    if !output.status.success() {
        return Err("nm does not read it".into());
    }
    let mut crates = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut fields = line.splitn(4, ' ');
        let (_address, size) = (fields.next(), fields.next());
        let (_kind, name) = (fields.next(), fields.next());
        if let (Some(Ok(bytes)), Some(name)) = (size.map(str::parse::<u64>), name) {
            *crates.entry(crate_of(name).to_owned()).or_default() += bytes;
        }
    }
    Ok(crates)
}

/// The crate that a symbol comes from. Those of C have no path.
fn crate_of(symbol: &str) -> &str {
    if symbol.starts_with("sqlite3") || symbol.starts_with("rtree") || symbol.starts_with("fts") {
        return "sqlite3 (C)";
    }
    if !symbol.contains("::") {
        return "other C, tables";
    }
    let start = symbol.trim_start_matches(['<', '&', '(', '[', '*', ' ']);
    let start = ["mut ", "const ", "dyn "]
        .iter()
        .fold(start, |start, word| {
            start.strip_prefix(word).unwrap_or(start)
        });
    let end = start.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    match end.and_then(|end| start.get(..end)) {
        Some("core" | "alloc" | "std") | None => "std, core, alloc",
        Some(name) => name,
    }
}

fn largest(crates: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, bytes)| core::cmp::Reverse(*bytes));
    crates.truncate(LARGEST);
    crates
}

/// How many crates there are under `package`, along `edges`, with its default features.
fn dependencies(package: &str, edges: &str) -> Outcome<f64> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--offline", "--prefix=none", "--edges", edges]);
    let output = cargo.args(["--package", package]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    // Behind the version stands where it is from, or that it was named before.
    let crates = tree.lines().map(|line| line.split(" (").next());
    let crates: BTreeSet<_> = crates.collect();
    Ok(float(crates.len().saturating_sub(1) as u64))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, who need no more digits"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_belongs_to_the_crate_that_it_is_written_in() {
        for (symbol, expected) in [
            ("tokio::runtime::task::raw::poll", "tokio"),
            (
                "<&mut hyper::proto::h1::Conn as core::fmt::Debug>::fmt",
                "hyper",
            ),
            ("core::ptr::drop_in_place<axum::Router>", "std, core, alloc"),
            ("sqlite3VdbeExec", "sqlite3 (C)"),
            ("memcpy", "other C, tables"),
        ] {
            assert_eq!(crate_of(symbol), expected, "{symbol}");
        }
    }
}
