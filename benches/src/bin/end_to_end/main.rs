//! Reads one session of a server on loopback with each client in turn, as fast as it goes, and tells what
//! a message costs each of them.
//!
//! Every reading is a process of its own, and its CPU time is what the operating system says when it has
//! ended: start, upgrade and end are in it. The server is another process, which is not counted.

mod client;
mod frames;
mod plot;
mod published;
mod record;
mod server;

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::{Parser, Subcommand};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};

use client::Client;
use frames::Kind;
use record::{Line, Record};

/// What a message costs a client, beside a bare tokio-tungstenite loop.
#[derive(Parser, Debug)]
struct Arguments {
    /// How often each client reads each kind of frame
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How much is read in a round, beside what is usual
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only these clients
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Client>,
    /// The program `attache`, instead of the one that is built first
    #[arg(long, value_name = "PATH")]
    attache: Option<PathBuf>,
    /// Put the figures where this repository shows them: benches/end_to_end.json and .svg, both READMEs
    #[arg(long)]
    record: bool,
    /// Measure nothing: show the recorded figures, and put them where they belong again
    #[arg(long, conflicts_with = "record")]
    redraw: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program runs of itself.
#[derive(Subcommand, Debug)]
#[command(hide = true)]
enum Part {
    /// Serves until stdin ends
    Serve,
    /// Reads one session
    Read {
        client: Client,
        port: u16,
        session: String,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Serve) => return Ok(server::serve()?),
        Some(Part::Read {
            client,
            port,
            session,
        }) => {
            println!("{}", client.read(*port, session)?);
            return Ok(());
        }
        None => {}
    }
    let record = if arguments.redraw {
        Record::read(&published::in_repository(published::RECORD))?
    } else {
        measure(&arguments)?
    };
    print!("{record}");
    if arguments.record {
        record.write(&published::in_repository(published::RECORD))?;
    }
    if arguments.record || arguments.redraw {
        published::publish(&record)?;
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Record, Box<dyn Error>> {
    let clients: Vec<Client> = match &*arguments.only {
        [] => Client::ALL.into(),
        some => some.into(),
    };
    let attache = match &arguments.attache {
        Some(path) => path.clone(),
        None if clients.contains(&Client::Attach) => build_attache()?,
        None => PathBuf::new(),
    };
    let (mut server, port) = start_server()?;
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        for &client in &clients {
            lines.push(Line {
                client,
                kind,
                messages: messages(kind, arguments.scale),
                seconds: Vec::new(),
                cpu_ns: Vec::new(),
            });
        }
    }
    // All clients in turn, so that what disturbs the machine for a while disturbs each of them.
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for line in &mut lines {
            read(line, port, &attache)?;
        }
    }
    drop(server.stdin.take());
    server.wait()?;
    Ok(Record {
        machine: machine(),
        lines,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of messages that somebody waits for"
)]
fn messages(kind: Kind, scale: f64) -> u64 {
    ((kind.messages() * scale) as u64).max(1)
}

/// Has one client read one session, and notes what that took.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵²")]
fn read(line: &mut Line, port: u16, attache: &Path) -> Result<(), Box<dyn Error>> {
    let session = server::session(line.kind, line.messages);
    let mut command = match line.client {
        Client::Attach => {
            let mut command = Command::new(attache);
            command
                .args([
                    "attach",
                    &session,
                    "--watch",
                    "--count",
                    "--history",
                    "none",
                ])
                .env("ATTACHE_BASE_URL", format!("http://127.0.0.1:{port}"))
                .env("ATTACHE_TOKEN", "t");
            command
        }
        Client::Bare | Client::Value | Client::Tokio | Client::AsyncStd | Client::Blocking => {
            let mut command = Command::new(env::current_exe()?);
            let name = clap::ValueEnum::to_possible_value(&line.client);
            command
                .args(["read", name.as_ref().map_or("", |name| name.get_name())])
                .args([&port.to_string(), &session]);
            command
        }
    };
    let before = children_cpu_us()?;
    let output = command.stdin(Stdio::null()).output()?;
    let cpu_us = children_cpu_us()? - before;
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = || {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("{}: {said} {complaint}", line.client.name())
    };
    let words: Vec<&str> = said.split_whitespace().collect();
    // "3 messages, 600 bytes, 0.001 seconds"
    let &[messages, _, _, _, seconds, _] = &*words else {
        return Err(wrong().into());
    };
    if messages.parse() != Ok(line.messages) {
        return Err(wrong().into());
    }
    line.seconds.push(seconds.parse()?);
    line.cpu_ns
        .push(cpu_us as f64 * 1000.0 / line.messages as f64);
    Ok(())
}

/// The CPU time of every process that was started here and has ended, but not of the server, in
/// microseconds.
fn children_cpu_us() -> nix::Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}

fn start_server() -> Result<(Child, u16), Box<dyn Error>> {
    let mut server = Command::new(env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut port = String::new();
    if let Some(said) = &mut server.stdout {
        BufReader::new(said).read_line(&mut port)?;
    }
    Ok((server, port.trim().parse()?))
}

/// Builds the command line beside this program, and tells where it is.
fn build_attache() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "attache"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !built.success() {
        return Err(
            "`cargo build --release --package attache` failed; name a program with --attache"
                .into(),
        );
    }
    Ok(env::current_exe()?.with_file_name("attache"))
}

/// What this machine is, for people.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.trim() == name);
        found.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kib = memory
        .split(' ')
        .next()
        .and_then(|kib| kib.parse::<u64>().ok());
    format!(
        "{} cores of {}, {} GiB, {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        field("/proc/cpuinfo", "model name"),
        kib.unwrap_or(0).div_ceil(1024 * 1024),
        env::consts::OS,
    )
}
