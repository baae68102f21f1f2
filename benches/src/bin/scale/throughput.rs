//! How many frames one fast viewer gets from a relay, beside a server that does nothing but send.

use std::time::{Duration, Instant};

use attache_benches::table::{Goal, Table};
use clap::ValueEnum as _;
use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    Outcome,
    crowd::TOKEN,
    float,
    serve::{SESSION, TURN_FRAMES, Talker},
    server::Server,
};

const ROUNDS: usize = 5;
const RUN: Duration = Duration::from_secs(1);
/// How many turns may be under way.
const WINDOW: usize = 8;
const SHARE: Goal = Goal::AtLeast(70.0);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one round has shown.
#[derive(Copy, Clone)]
struct Round {
    per_second: f64,
    nanoseconds: f64,
}

pub(crate) async fn measure(table: &mut Table) -> Outcome<()> {
    for bytes in [200, 4096] {
        eprintln!("frames of {bytes} bytes to one viewer");
        let (mut relay, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(round(Talker::Bare, bytes).await?);
            relay.push(round(Talker::Relay, bytes).await?);
        }
        let (of_relay, of_bare) = (median(&mut relay), median(&mut bare));
        let frames = format!("one fast viewer, {bytes} B");
        for (who, one) in [("bare server", of_bare), ("relay", of_relay)] {
            table.add(format!("{frames}: {who}"), one.per_second, "frames/s");
            let processor = format!("{frames}: {who}, processor");
            table.add(processor, one.nanoseconds, "ns/frame");
        }
        table.add_with_goal(
            format!("{frames}: relay beside bare server"),
            100.0 * of_relay.per_second / of_bare.per_second,
            "%",
            SHARE,
        );
    }
    Ok(())
}

async fn round(talker: Talker, bytes: usize) -> Outcome<Round> {
    let kind = talker.to_possible_value().ok_or("a talker has no name")?;
    let arguments = ["talker", kind.get_name(), &bytes.to_string()].map(str::to_owned);
    let mut server = Server::start(&arguments).await?;
    let mut socket = connect(server.port()).await?;
    server.grant(WINDOW).await?;
    // Everything is warm, and the window is full.
    read(&mut socket, &mut server, RUN / 4).await?;
    let (before, start) = (server.process().usage()?, Instant::now());
    let frames = float(read(&mut socket, &mut server, RUN).await?);
    let (took, after) = (start.elapsed(), server.process().usage()?);
    server.kill().await?;
    Ok(Round {
        per_second: frames / took.as_secs_f64(),
        nanoseconds: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e9 / frames,
    })
}

async fn connect(port: u16) -> Outcome<Socket> {
    let url = format!("ws://127.0.0.1:{port}/v1/sessions/ws/{SESSION}/subscribe");
    let mut request = url.into_client_request()?;
    let token = format!("Bearer {TOKEN}").parse()?;
    request.headers_mut().insert("authorization", token);
    Ok(connect_async(request).await?.0)
}

/// Reads for so long, and lets the server say as much again as it has said.
async fn read(socket: &mut Socket, server: &mut Server, time: Duration) -> Outcome<u64> {
    let end = Instant::now() + time;
    let mut frames = 0;
    while Instant::now() < end {
        let mut left = TURN_FRAMES;
        while left > 0 {
            match socket.next().await.ok_or("the server has hung up")?? {
                Message::Text(_) => left -= 1,
                Message::Close(_) => return Err("the server has closed the socket".into()),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        server.grant(1).await?;
        frames += TURN_FRAMES as u64;
    }
    Ok(frames)
}

/// The round in the middle.
fn median(rounds: &mut [Round]) -> Round {
    rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    rounds.get(rounds.len() / 2).copied().unwrap_or(Round {
        per_second: 0.0,
        nanoseconds: 0.0,
    })
}
