//! One connection through the proxy, with its fault.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{Shared, framing::Framing, poke};
use crate::conformance::fault::{Fault, LinkKind};

/// How often a thread that waits for bytes looks up.
const TICK: Duration = Duration::from_millis(5);

/// Whoever does not listen for so long is gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a connection lives on that survived its fault, when another fault waits for its turn.
const TURN: Duration = Duration::from_millis(100);

/// How long the server is stopped: longer than clients put up with.
const STOPPED: Duration = Duration::from_millis(300);

/// The delay of everything on a slow line.
const LATENCY: Duration = Duration::from_millis(15);

/// Longer heads are none.
const HEAD_LIMIT: usize = 64 * 1024;

/// No UTF-8, no frame, no chunk.
const GARBAGE: [u8; 16] = [0xff; 16];

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One client's connection.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    address: SocketAddr,
    client: TcpStream,
    /// What kind of link it is, if it is one.
    link: Option<LinkKind>,
    fault: Option<Fault>,
    /// Whether the fault still has to strike.
    is_gathering: AtomicBool,
}

/// What has become of the two directions.
#[derive(Default)]
struct Lanes {
    over: AtomicBool,
    client_done: AtomicBool,
    up_frozen: AtomicBool,
    up_discarded: AtomicBool,
}

/// What the downward lane does after some bytes.
enum Onward {
    Carry,
    /// Carries nothing and waits for the client to leave.
    Hold,
    /// Takes what the server says and throws it away.
    Discard,
    End,
}

impl Connection<'_> {
    /// Serves a connection until its end, or the proxy's.
    pub(super) fn serve(shared: &Shared, address: SocketAddr, client: TcpStream) {
        let set_up = client
            .set_nodelay(true)
            .and_then(|()| client.set_read_timeout(Some(TICK)))
            .and_then(|()| client.set_write_timeout(Some(PATIENCE)));
        if set_up.is_err() {
            return;
        }
        let Some(head) = read_head(shared, &client) else {
            return;
        };
        let link = link_of(&head);
        let fault = match link {
            Some(_) => shared.weather.take_for_link(),
            None => shared.weather.take_for_call(),
        };
        let connection = Connection {
            shared,
            address,
            client,
            link,
            fault,
            is_gathering: AtomicBool::new(link.is_some() && fault.is_some()),
        };
        // Whatever breaks ends this connection, and that is all there is to do.
        let _ = connection.run(&head);
    }

    fn run(&self, head: &[u8]) -> io::Result<()> {
        match self.fault {
            Some(Fault::Status {
                status,
                retry_after,
            }) => {
                self.struck();
                return self.refuse(status, retry_after);
            }
            Some(Fault::NoAnswer) => {
                self.struck();
                self.hold();
                return Ok(());
            }
            Some(_) | None => {}
        }
        let server = TcpStream::connect(self.shared.server)?;
        server.set_nodelay(true)?;
        server.set_read_timeout(Some(TICK))?;
        server.set_write_timeout(Some(PATIENCE))?;
        (&server).write_all(head)?;
        let lanes = Lanes::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                self.carry_up(&server, &lanes);
                lanes.client_done.store(true, Ordering::Release);
            });
            let carried = Downward::new(self, &server, &lanes).carry();
            lanes.over.store(true, Ordering::Release);
            carried
        })
    }

    fn refuse(&self, status: u16, retry_after: bool) -> io::Result<()> {
        let retry_after = if retry_after {
            "Retry-After: 1\r\n"
        } else {
            ""
        };
        let location = if status == 301 {
            "Location: http://127.0.0.1:9/elsewhere\r\n"
        } else {
            ""
        };
        let answer = format!(
            "HTTP/1.1 {status} No\r\n{retry_after}{location}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        (&self.client).write_all(answer.as_bytes())?;
        self.client.shutdown(Shutdown::Write)?;
        self.hold();
        Ok(())
    }

    /// Listens and says nothing until the client leaves.
    fn hold(&self) {
        let mut buffer = [0; 4096];
        while !self.shared.is_stopping() {
            match (&self.client).read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_idle(&error) => {}
                Err(_) => return,
            }
        }
    }

    /// Carries what the client says, until one of them is gone.
    fn carry_up(&self, server: &TcpStream, lanes: &Lanes) {
        let mut buffer = [0; 4096];
        while !lanes.over.load(Ordering::Acquire) && !self.shared.is_stopping() {
            self.shared.weather.wait_while_stopped();
            if lanes.up_frozen.load(Ordering::Acquire) {
                thread::sleep(TICK);
                continue;
            }
            let count = match (&self.client).read(&mut buffer) {
                Ok(0) => {
                    let _ = server.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count) => count,
                Err(error) if is_idle(&error) => continue,
                Err(_) => {
                    let _ = server.shutdown(Shutdown::Both);
                    return;
                }
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if !lanes.up_discarded.load(Ordering::Acquire) && self.pace(server, bytes).is_err() {
                return;
            }
        }
    }

    /// Writes at the pace of the line.
    fn pace(&self, mut to: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        match self.fault {
            Some(Fault::Slices) => bytes.iter().try_for_each(|byte| to.write_all(&[*byte])),
            Some(Fault::Latency) => {
                thread::sleep(LATENCY);
                to.write_all(bytes)
            }
            Some(_) | None => to.write_all(bytes),
        }
    }

    fn struck(&self) {
        if self.is_gathering.swap(false, Ordering::AcqRel) {
            self.shared.weather.struck();
            if self.shared.weather.is_refusal_next() {
                poke(self.address);
            }
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // A connection that ended before its fault came has met another one.
        self.struck();
    }
}

/// The way from the server to the client.
struct Downward<'a> {
    connection: &'a Connection<'a>,
    server: &'a TcpStream,
    lanes: &'a Lanes,
    /// The answer's head, until it is complete.
    head: Option<Vec<u8>>,
    /// How many bytes pass before the fault strikes.
    calm: usize,
    framing: Framing,
    has_struck: bool,
    ends_at: Option<Instant>,
}

impl<'a> Downward<'a> {
    fn new(connection: &'a Connection<'a>, server: &'a TcpStream, lanes: &'a Lanes) -> Self {
        let is_about_heads = matches!(
            connection.fault,
            Some(Fault::SlowHandshake | Fault::OpenThenClose)
        );
        // A call is short: its head counts as well.
        let (head, calm) = match connection.link {
            Some(_) => (Some(Vec::new()), 600),
            None => (is_about_heads.then(Vec::new), 40),
        };
        Self {
            connection,
            server,
            lanes,
            head,
            calm: connection.shared.weather.throw(calm),
            framing: Framing::new(connection.link),
            has_struck: false,
            ends_at: None,
        }
    }

    fn carry(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let mut onward = Onward::Carry;
        loop {
            self.connection.shared.weather.wait_while_stopped();
            let is_left = self.lanes.client_done.load(Ordering::Acquire);
            if self.connection.shared.is_stopping() || self.is_turn_over() {
                return Ok(());
            }
            match onward {
                Onward::End => return Ok(()),
                Onward::Hold if is_left => return Ok(()),
                Onward::Hold => thread::sleep(TICK),
                Onward::Carry | Onward::Discard => {
                    let count = match self.server.read(&mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(count) => count,
                        Err(error) if is_idle(&error) => continue,
                        Err(error) => return Err(error),
                    };
                    if matches!(onward, Onward::Carry) {
                        onward = self.carry_bytes(buffer.get(..count).unwrap_or_default())?;
                    }
                }
            }
        }
    }

    /// Whether the connection has outlived its fault for long enough.
    fn is_turn_over(&mut self) -> bool {
        let survives = self.connection.fault.is_some_and(Fault::is_survivable);
        if !self.has_struck || !survives || !self.connection.shared.weather.is_more_coming() {
            return false;
        }
        let now = Instant::now();
        *self.ends_at.get_or_insert(now + TURN) <= now
    }

    fn carry_bytes(&mut self, bytes: &[u8]) -> io::Result<Onward> {
        let Some(fault) = self.connection.fault else {
            (&self.connection.client).write_all(bytes)?;
            return Ok(Onward::Carry);
        };
        let Some(mut head) = self.head.take() else {
            return self.carry_body(fault, bytes);
        };
        head.extend_from_slice(bytes);
        let Some(end) = end_of_head(&head) else {
            self.head = Some(head);
            return Ok(Onward::Carry);
        };
        let body = head.split_off(end);
        match self.carry_head(fault, &head)? {
            Onward::Carry if body.is_empty() => Ok(Onward::Carry),
            Onward::Carry => self.carry_body(fault, &body),
            other @ (Onward::Hold | Onward::Discard | Onward::End) => Ok(other),
        }
    }

    /// The head of the answer, which some faults are about.
    fn carry_head(&mut self, fault: Fault, head: &[u8]) -> io::Result<Onward> {
        let mut client = &self.connection.client;
        match fault {
            Fault::SlowHandshake => {
                self.struck();
                for piece in head.chunks(head.len().div_ceil(8)) {
                    client.write_all(piece)?;
                    thread::sleep(LATENCY);
                }
            }
            Fault::WrongAcceptKey => {
                self.struck();
                client.write_all(&with_wrong_key(head))?;
            }
            Fault::OpenThenClose => {
                self.struck();
                client.write_all(head)?;
                let codes = [1001_u16, 1011, 1012, 4001, 4999];
                let at = self.connection.shared.weather.throw(codes.len());
                self.say_goodbye(codes.get(at).copied().unwrap_or(1011))?;
                return Ok(Onward::End);
            }
            Fault::Refused
            | Fault::Reset
            | Fault::FinMidFrame
            | Fault::Fin
            | Fault::ServerGone
            | Fault::ClientGone
            | Fault::FrozenDown
            | Fault::FrozenUp
            | Fault::NoAnswer
            | Fault::Slices
            | Fault::Latency
            | Fault::Garbage
            | Fault::CloseThenSilence
            | Fault::Status { .. }
            | Fault::Stopped => self.connection.pace(client, head)?,
        }
        Ok(Onward::Carry)
    }

    fn carry_body(&mut self, fault: Fault, bytes: &[u8]) -> io::Result<Onward> {
        let end_of_frame = self.framing.advance(bytes);
        let is_calm = self.has_struck || bytes.len() <= self.calm;
        self.calm = self.calm.saturating_sub(bytes.len());
        let cut = match fault {
            Fault::Fin | Fault::CloseThenSilence => end_of_frame,
            Fault::FinMidFrame => match end_of_frame {
                Some(end) if end == bytes.len() => end.checked_sub(1),
                Some(_) | None => Some(bytes.len()),
            },
            Fault::Refused
            | Fault::Reset
            | Fault::ServerGone
            | Fault::ClientGone
            | Fault::FrozenDown
            | Fault::FrozenUp
            | Fault::NoAnswer
            | Fault::SlowHandshake
            | Fault::Slices
            | Fault::Latency
            | Fault::Garbage
            | Fault::WrongAcceptKey
            | Fault::OpenThenClose
            | Fault::Status { .. }
            | Fault::Stopped => Some(1 + self.connection.shared.weather.throw(bytes.len() - 1)),
        };
        match cut {
            Some(cut) if !is_calm => {
                let (before, after) = bytes.split_at(cut.min(bytes.len()));
                self.strike(fault, before, after)
            }
            Some(_) | None => {
                self.connection.pace(&self.connection.client, bytes)?;
                Ok(Onward::Carry)
            }
        }
    }

    /// The fault strikes between these bytes. What it keeps from the client never gets there.
    fn strike(&mut self, fault: Fault, before: &[u8], after: &[u8]) -> io::Result<Onward> {
        self.has_struck = true;
        let mut client = &self.connection.client;
        let onward = match fault {
            Fault::Reset => {
                client.write_all(before)?;
                SockRef::from(client).set_linger(Some(Duration::ZERO))?;
                Onward::End
            }
            Fault::FinMidFrame | Fault::Fin => {
                client.write_all(before)?;
                Onward::End
            }
            Fault::ServerGone => {
                client.write_all(before)?;
                self.lanes.up_discarded.store(true, Ordering::Release);
                let _ = self.server.shutdown(Shutdown::Both);
                Onward::Hold
            }
            Fault::ClientGone => {
                client.write_all(before)?;
                self.lanes.up_frozen.store(true, Ordering::Release);
                client.shutdown(Shutdown::Both)?;
                Onward::Discard
            }
            Fault::FrozenDown => {
                client.write_all(before)?;
                Onward::Hold
            }
            Fault::CloseThenSilence => {
                client.write_all(before)?;
                self.lanes.up_discarded.store(true, Ordering::Release);
                self.say_goodbye(1001)?;
                Onward::Hold
            }
            Fault::Garbage => {
                client.write_all(before)?;
                client.write_all(&GARBAGE)?;
                client.write_all(after)?;
                Onward::Carry
            }
            Fault::FrozenUp => {
                self.lanes.up_frozen.store(true, Ordering::Release);
                client.write_all(before)?;
                client.write_all(after)?;
                Onward::Carry
            }
            Fault::Stopped => {
                client.write_all(before)?;
                self.connection.shared.weather.stop(STOPPED);
                self.connection.shared.weather.wait_while_stopped();
                client.write_all(after)?;
                Onward::Carry
            }
            Fault::Refused
            | Fault::NoAnswer
            | Fault::SlowHandshake
            | Fault::Slices
            | Fault::Latency
            | Fault::WrongAcceptKey
            | Fault::OpenThenClose
            | Fault::Status { .. } => {
                self.connection.pace(client, before)?;
                self.connection.pace(client, after)?;
                Onward::Carry
            }
        };
        self.connection.struck();
        Ok(onward)
    }

    /// The link's own way to say that it is over.
    fn say_goodbye(&self, code: u16) -> io::Result<()> {
        let mut client = &self.connection.client;
        match self.connection.link {
            Some(LinkKind::Socket) => {
                let [high, low] = code.to_be_bytes();
                client.write_all(&[0x88, 2, high, low])
            }
            Some(LinkKind::Stream) => client.write_all(LAST_CHUNK),
            None => Ok(()),
        }
    }

    fn struck(&mut self) {
        self.has_struck = true;
        self.connection.struck();
    }
}

fn read_head(shared: &Shared, mut client: &TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while end_of_head(&head).is_none() {
        if shared.is_stopping() || head.len() > HEAD_LIMIT {
            return None;
        }
        match client.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => head.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_idle(&error) => {}
            Err(_) => return None,
        }
    }
    Some(head)
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

fn link_of(head: &[u8]) -> Option<LinkKind> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = String::from_utf8_lossy(line);
    if line.contains("/subscribe") {
        Some(LinkKind::Socket)
    } else if line.contains("/events/stream") {
        Some(LinkKind::Stream)
    } else {
        None
    }
}

fn with_wrong_key(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let lines = text.split("\r\n").map(|line| {
        if line
            .to_ascii_lowercase()
            .starts_with("sec-websocket-accept:")
        {
            "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\r\n").into_bytes()
}

fn is_idle(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
