//! The clients: each reads a session to its end and says how much there was.

use std::{error::Error, fmt, time::Instant};

use attache_protocol::{
    SessionId,
    viewer::{Event, History, ViewerConfig},
};
use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};
use clap::ValueEnum;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tungstenite::Message;

/// A way of reading a session.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Client {
    /// tokio-tungstenite, and nothing is done with a message but to count it.
    Bare,
    /// The same, and each message is parsed into a `serde_json::Value`.
    Value,
    /// attache-tokio on one thread.
    Tokio,
    /// attache-async-std under smol, on one thread.
    AsyncStd,
    /// attache-blocking: the driver's thread, and the one that takes the events.
    Blocking,
    /// `attache attach --watch --count`.
    Attach,
}

impl Client {
    pub(crate) const ALL: [Self; 6] = [
        Self::Bare,
        Self::Value,
        Self::Tokio,
        Self::AsyncStd,
        Self::Blocking,
        Self::Attach,
    ];

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "tokio-tungstenite",
            Self::Value => "  with serde_json::Value",
            Self::Tokio => "attache-tokio",
            Self::AsyncStd => "attache-async-std",
            Self::Blocking => "attache-blocking",
            Self::Attach => "attache attach --count",
        }
    }

    /// Reads `session` from the server at `port` to its end. `attach` is a program of its own.
    pub(crate) fn read(self, port: u16, session: &str) -> Result<Count, Box<dyn Error>> {
        match self {
            Self::Bare => on_tokio(bare(port, session, |_| Ok(()))),
            Self::Value => on_tokio(bare(port, session, |text| {
                let value: serde_json::Value = serde_json::from_str(text)?;
                std::hint::black_box(value);
                Ok(())
            })),
            Self::Tokio => on_tokio(adapter_tokio(port, session)),
            Self::AsyncStd => adapter_async_std(port, session),
            Self::Blocking => adapter_blocking(port, session),
            Self::Attach => Err("attach is run as a program".into()),
        }
    }
}

/// What was read. Shown like the summary of `attach --count`.
#[derive(Default)]
pub(crate) struct Count {
    messages: u64,
    bytes: u64,
    span: Option<(Instant, Instant)>,
}

impl Count {
    fn message(&mut self, text: &str) {
        self.messages += 1;
        self.bytes += text.len() as u64;
        // The clock is not asked for every message: nobody else's loop would.
        if self.messages == 1 {
            let now = Instant::now();
            self.span = Some((now, now));
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::Message(message) = event {
            self.message(message.frame.as_str());
        }
    }

    fn end(mut self) -> Self {
        if let Some((_, last)) = &mut self.span {
            *last = Instant::now();
        }
        self
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = self.span.map_or(0.0, |(first, last)| {
            last.duration_since(first).as_secs_f64()
        });
        write!(
            f,
            "{} messages, {} bytes, {elapsed:.3} seconds",
            self.messages, self.bytes
        )
    }
}

fn on_tokio<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

async fn bare(
    port: u16,
    session: &str,
    mut look: impl FnMut(&str) -> Result<(), Box<dyn Error>>,
) -> Result<Count, Box<dyn Error>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://127.0.0.1:{port}/v1/sessions/ws/{session}/subscribe");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    let mut count = Count::default();
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                count.message(text.trim_ascii_end());
                look(&text)?;
            }
            Message::Close(_) => break,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    let count = count.end();
    socket.flush().await?;
    Ok(count)
}

async fn adapter_tokio(port: u16, session: &str) -> Result<Count, Box<dyn Error>> {
    let (config, options, token) = viewer(port, session)?;
    let (_session, mut events, driver) = attache_tokio::spawn(config, options, token)?;
    let mut count = Count::default();
    while let Some(event) = events.next().await {
        count.event(&event);
    }
    let count = count.end();
    driver.await?;
    Ok(count)
}

fn adapter_async_std(port: u16, session: &str) -> Result<Count, Box<dyn Error>> {
    let (config, options, token) = viewer(port, session)?;
    let (_session, mut events, driver) = attache_async_std::connect(config, options, token)?;
    let executor = smol::LocalExecutor::new();
    let driver = executor.spawn(driver);
    Ok(smol::block_on(executor.run(async {
        let mut count = Count::default();
        while let Some(event) = events.next().await {
            count.event(&event);
        }
        let count = count.end();
        driver.await;
        count
    })))
}

fn adapter_blocking(port: u16, session: &str) -> Result<Count, Box<dyn Error>> {
    let (config, options, token) = viewer(port, session)?;
    let (_session, events, driver) = attache_blocking::spawn(config, options, token)?;
    let mut count = Count::default();
    for event in events {
        count.event(&event);
    }
    let count = count.end();
    driver.join().map_err(|_| "the driver panicked")?;
    Ok(count)
}

/// A viewer as `attach --watch --history none` makes one.
fn viewer(
    port: u16,
    session: &str,
) -> Result<(ViewerConfig, Options, StaticToken), Box<dyn Error>> {
    let mut config = ViewerConfig::new(SessionId::parse(session)?);
    config.viewer_only = true;
    config.history = History::None;
    let url = format!("http://127.0.0.1:{port}");
    let options = Options::new(BaseUrl::parse(&url, Plaintext::LoopbackOnly)?);
    Ok((config, options, StaticToken::new("t")))
}
