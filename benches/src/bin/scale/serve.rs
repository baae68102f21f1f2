//! What runs in the process on the other side.

use std::{
    io::{Read as _, stdin},
    path::PathBuf,
    sync::Arc,
    thread,
};

use attache_protocol::SessionId;
use attache_relay::{MemoryStore, Relay, RelayOptions, SqliteStore, Store};
use clap::{Subcommand, ValueEnum};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, future, stream};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use crate::Outcome;

/// The session that a talker talks in.
pub(crate) const SESSION: &str = "session_talk";
/// How many frames a talker says for each byte of its input.
pub(crate) const TURN_FRAMES: usize = 1024;
/// How many of them at once.
const BATCH_FRAMES: usize = 256;
/// More than are ever under way, so that no viewer is too slow.
const ROOM_FRAMES: usize = 1 << 16;
const ROOM_BYTES: usize = 256 << 20;
/// How many different frames there are. The relay knows the last few thousand again.
const DIFFERENT_FRAMES: usize = 1 << 13;
/// How many frames wait for the socket of the server that only sends, and how many an agent is ahead of its relay.
const QUEUE: usize = 1024;

#[derive(Subcommand)]
pub(crate) enum Server {
    /// A relay.
    Relay {
        port: u16,
        /// Where its store is; without, it is in memory.
        store: Option<PathBuf>,
    },
    /// A server that says as much as it is let to one viewer.
    Talker { kind: Talker, frame_bytes: usize },
}

#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
pub(crate) enum Talker {
    /// A relay with an agent.
    Relay,
    /// Nothing but a queue and a socket.
    Bare,
}

impl Server {
    pub(crate) async fn run(self) -> Outcome<()> {
        match self {
            Self::Relay { port, store } => relay(port, store).await,
            Self::Talker { kind, frame_bytes } => {
                let frames = frames(frame_bytes);
                // On this thread, so that what is said is not said by who writes it: that is faster for both.
                match kind {
                    Talker::Relay => talking_relay(frames).await,
                    Talker::Bare => bare(frames).await,
                }
            }
        }
    }
}

/// Serves until the input ends.
async fn relay(port: u16, store: Option<PathBuf>) -> Outcome<()> {
    let store: Arc<dyn Store> = match store {
        Some(folder) => Arc::new(SqliteStore::open(&folder)?),
        None => Arc::new(MemoryStore::new()),
    };
    let relay = Relay::new(store, options());
    let listener = listen(port).await?;
    let mut input = input();
    let ended = async move { while input.recv().await.is_some() {} };
    Ok(relay.serve(listener, ended).await?)
}

async fn talking_relay(frames: Vec<String>) -> Outcome<()> {
    let relay = Relay::new(Arc::new(MemoryStore::new()), options());
    let session = SessionId::parse(SESSION)?;
    relay.create_session_as(session.clone(), "talk").await?;
    let agent = relay.attach_agent(&session).await?;
    let serving = relay.serve(listen(0).await?, core::future::pending());
    let serving = tokio::spawn(serving);
    let publisher = agent.publisher();
    let mut turns = frames.chunks_exact(TURN_FRAMES).cycle();
    let granted = stream::unfold(input(), async |mut input| {
        input.recv().await.map(|_| ((), input))
    });
    granted
        .flat_map(|()| stream::iter(turns.next().unwrap_or_default().chunks(BATCH_FRAMES)))
        .map(|batch| publisher.publish_all(batch))
        .buffered(QUEUE / BATCH_FRAMES)
        .try_for_each(|_| future::ready(Ok(())))
        .await?;
    serving.abort();
    Ok(())
}

/// One viewer, one queue; what waits in it is written before each flush.
async fn bare(frames: Vec<String>) -> Outcome<()> {
    let listener = listen(0).await?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut socket = accept_async_with_config(stream, Some(WebSocketConfig::default())).await?;
    let (queue, mut queued) = mpsc::channel::<Message>(QUEUE);
    let writing = tokio::spawn(async move {
        let mut batch = Vec::new();
        while queued.recv_many(&mut batch, QUEUE).await > 0 {
            for message in batch.drain(..) {
                socket.feed(message).await?;
            }
            socket.flush().await?;
        }
        Ok::<_, Error>(())
    });
    let (mut input, mut turns) = (input(), frames.chunks_exact(TURN_FRAMES).cycle());
    while input.recv().await.is_some() {
        for frame in turns.next().unwrap_or_default() {
            queue.send(Message::text(&**frame)).await?;
        }
    }
    writing.abort();
    Ok(())
}

/// What comes from the process that started this one, a byte at a time, until that is gone.
fn input() -> mpsc::UnboundedReceiver<u8> {
    let (bytes, input) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for byte in stdin().lock().bytes().map_while(Result::ok) {
            if bytes.send(byte).is_err() {
                break;
            }
        }
    });
    input
}

async fn listen(port: u16) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("{}", listener.local_addr()?.port());
    Ok(listener)
}

/// The defaults, but for what would slow down whoever measures: all its people and workers are one.
fn options() -> RelayOptions {
    let mut options = RelayOptions::default();
    options.requests.per_second = 0;
    options.posts.per_second = 0;
    options.max_connections = 1 << 16;
    options.viewer_buffer_frames = ROOM_FRAMES;
    options.viewer_buffer_bytes = ROOM_BYTES;
    options
}

/// Parts of an answer as it is written: they are for those who are there, and stored nowhere.
fn frames(bytes: usize) -> Vec<String> {
    let frame = |number, text: &str| {
        format!(
            r#"{{"type":"stream_event","uuid":"{number:08x}-0000-4000-8000-000000000000","event":{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}}}"#
        )
    };
    let rest = bytes.saturating_sub(frame(0, "").len());
    let text = "x".repeat(rest);
    let numbers = 0..DIFFERENT_FRAMES;
    numbers.map(|number| frame(number, &text)).collect()
}
