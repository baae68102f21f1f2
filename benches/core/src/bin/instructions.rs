//! Counts the instructions it takes to find out what a frame is for, and fails if they are too many.
//!
//! Valgrind counts them in this same program, started again with what to read and how often: the difference
//! between two numbers of repetitions is what one takes. The count does not depend on how busy the machine
//! is, and hardly on the machine.

use std::{
    env,
    hint::black_box,
    io,
    process::{Command, ExitCode},
};

use attache_benches_core::classification::{Message, Reader, messages};

/// What one frame may take at most on x86-64: about a tenth more than it took with Rust 1.95. Elsewhere it is
/// only compared.
const BOUNDS: [(&str, u64); 6] = [
    ("delta", 2_450),
    ("control", 3_950),
    ("assistant", 7_500),
    ("prose", 14_700),
    ("tool", 125_000),
    ("image", 870_000),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => count_all(),
        [reader, message, times] => repeat(reader, message, times),
        _ => {
            eprintln!("instructions: takes no arguments");
            ExitCode::from(2)
        }
    }
}

/// What is counted.
fn repeat(reader: &str, message: &str, times: &str) -> ExitCode {
    let reader = Reader::ALL
        .into_iter()
        .find(|one| one.to_string() == reader);
    let message = messages().into_iter().find(|one| one.name == message);
    let (Some(reader), Some(message), Ok(times)) = (reader, message, times.parse::<u64>()) else {
        return ExitCode::from(2);
    };
    let is_read = (0..times).all(|_| reader.read(black_box(&message.text)).is_some());
    if is_read {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn count_all() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind, which counts instructions, is not installed");
        return ExitCode::SUCCESS;
    }
    let readers = Reader::ALL.map(|reader| reader.to_string());
    println!("| instructions a frame | {} |", readers.join(" | "));
    println!("|---{}|", "|--:".repeat(readers.len()));
    let mut is_within = true;
    for message in messages() {
        match Reader::ALL.map(|reader| count(reader, &message)) {
            [Ok(ours), Ok(envelope), Ok(tree)] => {
                println!("| {message} | {ours} | {envelope} | {tree} |");
                is_within &= judge(&message, ours, envelope);
            }
            [ours, envelope, tree] => {
                for error in [ours, envelope, tree].into_iter().filter_map(Result::err) {
                    eprintln!("{message}: not counted: {error}");
                }
                is_within = false;
            }
        }
    }
    if is_within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn judge(message: &Message, ours: u64, envelope: u64) -> bool {
    let bound = match BOUNDS.iter().find(|(name, _)| *name == message.name) {
        Some((_, bound)) if cfg!(target_arch = "x86_64") => *bound,
        _ => u64::MAX,
    };
    if ours > bound {
        eprintln!("{message}: {ours} instructions, and {bound} are what it may take");
    }
    if ours > envelope {
        eprintln!("{message}: {ours} instructions, and serde_json needs only {envelope}");
    }
    ours <= bound.min(envelope)
}

/// What one reading takes.
fn count(reader: Reader, message: &Message) -> io::Result<u64> {
    const ONCE: u64 = 10;
    const MORE: u64 = 30;
    let less = count_repeated(reader, message, ONCE)?;
    let more = count_repeated(reader, message, MORE)?;
    Ok(more.saturating_sub(less) / (MORE - ONCE))
}

fn count_repeated(reader: Reader, message: &Message, times: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(env::current_exe()?)
        .args([&reader.to_string(), message.name, &times.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines()
        .find_map(|line| line.split_once(" refs:"))
        .filter(|_| output.status.success())
        .and_then(|(_, count)| count.trim().replace(',', "").parse().ok())
        .ok_or_else(|| io::Error::other(format!("valgrind said: {said}")))
}
