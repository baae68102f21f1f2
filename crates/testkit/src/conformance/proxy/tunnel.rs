//! The way through a proxy that a person has set: one that understands `CONNECT`.

use std::io::{self, Write as _};

use super::{Shared, connection::hold, connection::read_head, wire::Wire};
use crate::conformance::fault::Fault;

/// The server behind the proxy. Nobody but the proxy knows where it is.
pub(super) const BEHIND: &str = "agent.invalid";

/// Answers a client's `CONNECT`; whether it has its tunnel now.
pub(super) fn open(shared: &Shared, client: &Wire) -> io::Result<bool> {
    let Some(head) = read_head(shared, client) else {
        return Ok(false);
    };
    if !head.starts_with(format!("CONNECT {BEHIND}:80 ").as_bytes()) {
        refuse(shared, client, 400)?;
        return Ok(false);
    }
    for fault in Fault::OF_TUNNELS {
        if let Fault::TunnelRefused { status } = fault
            && shared.weather.is_out(fault)
        {
            refuse(shared, client, status)?;
            return Ok(false);
        }
    }
    shared.poke_if_refusing();
    let mut client = client;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    Ok(true)
}

fn refuse(shared: &Shared, mut client: &Wire, status: u16) -> io::Result<()> {
    let asked = if status == 407 {
        "Proxy-Authenticate: Basic realm=\"elsewhere\"\r\n"
    } else {
        ""
    };
    let answer = format!("HTTP/1.1 {status} No\r\n{asked}Content-Length: 0\r\n\r\n");
    client.write_all(answer.as_bytes())?;
    client.finish()?;
    hold(shared, client);
    Ok(())
}
