//! How much an idle viewer costs: many of them in this process, against a relay in another one.
//!
//! `cargo run --release -p attache-tokio --example tokio-idle-viewers -- [COUNT [READ_BUFFER_BYTES [BASE_URL SESSION]]]`
//!
//! Without a server (whose token is in `ATTACHE_TOKEN`) it starts a relay of its own. Each viewer needs a
//! socket here, and one at the relay. The read buffer is there only while something comes.

#[cfg(unix)]
mod crowd;

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    crowd::run()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("what a process uses is measured on Unix only");
}
