//! A relay and many viewers, in two processes of one machine.
//!
//! `cargo run --release -p attache-benches --bin scale -- all` measures everything in a few minutes.

mod crowd;
mod idle;
mod ingest;
mod latency;
mod serve;
mod server;
mod storm;
mod throughput;
mod worker;

use std::path::PathBuf;

use attache_benches::{process::allow_open_sockets, table::Table};
use clap::{Parser, Subcommand};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures what a relay and its viewers cost when there are many of them.
///
/// The relay runs in a process of its own, everything else in this one, on 127.0.0.1.
#[derive(Parser)]
#[command(name = "scale")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Where to write the figures as JSON, too.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Where stores go: on the disk that matters. A folder is made there, and removed again.
    #[arg(long, global = true, default_value = "target")]
    disk: PathBuf,
}

#[derive(Subcommand)]
enum What {
    /// Everything below, one after the other.
    All,
    /// Viewers that wait for something to happen: memory and time of the processor.
    Idle {
        /// How many.
        #[arg(default_value_t = idle::VIEWERS)]
        viewers: usize,
        /// Their read buffer in bytes, in place of the default.
        #[arg(long)]
        read_buffer: Option<usize>,
    },
    /// How long a frame takes from the agent to each viewer of a session.
    Latency,
    /// How many events of agents the relay stores.
    Ingest,
    /// How many frames one fast viewer gets, beside a server that does nothing but send.
    Throughput,
    /// How viewers come back when the relay is restarted.
    Storm {
        /// How many.
        #[arg(default_value_t = storm::VIEWERS)]
        viewers: usize,
    },
    /// One of the servers that the others are measured with.
    #[command(hide = true)]
    Serve {
        #[command(subcommand)]
        server: serve::Server,
    },
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let Arguments { what, json, disk } = Arguments::parse();
    let mut table = Table::default();
    match what {
        What::Serve { server } => return server.run().await,
        What::All => {
            // Before anything is measured, so that nobody waits for a refusal.
            allow_open_sockets(idle::VIEWERS.max(storm::VIEWERS * storm::SOCKETS_EACH))?;
            idle::measure(idle::VIEWERS, None, &mut table).await?;
            latency::measure(&disk, &mut table).await?;
            ingest::measure(&disk, &mut table).await?;
            throughput::measure(&mut table).await?;
            storm::measure(storm::VIEWERS, &disk, &mut table).await?;
        }
        What::Idle {
            viewers,
            read_buffer,
        } => {
            allow_open_sockets(viewers)?;
            idle::measure(viewers, read_buffer, &mut table).await?;
        }
        What::Latency => latency::measure(&disk, &mut table).await?,
        What::Ingest => ingest::measure(&disk, &mut table).await?,
        What::Throughput => throughput::measure(&mut table).await?,
        What::Storm { viewers } => {
            allow_open_sockets(viewers * storm::SOCKETS_EACH)?;
            storm::measure(viewers, &disk, &mut table).await?;
        }
    }
    println!("{table}");
    if let Some(path) = json {
        table.save(&path)?;
    }
    Ok(())
}

/// For people, who need no more digits.
#[expect(clippy::cast_precision_loss, reason = "no figure has so many digits")]
fn float(count: u64) -> f64 {
    count as f64
}
