//! The way from the server to the client, where faults strike.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    connection::{Connection, LATENCY, Lanes, TICK, end_of_head, is_idle},
    framing::Framing,
    wire::Wire,
};
use crate::conformance::fault::{Fault, LinkKind};

/// How long a connection lives on that survived its fault, when another fault waits for its turn.
const TURN: Duration = Duration::from_millis(100);

/// How long the server is stopped: longer than clients put up with.
const STOPPED: Duration = Duration::from_millis(300);

/// No UTF-8, no frame, no chunk.
const GARBAGE: [u8; 16] = [0xff; 16];

/// Longer than any length that two bytes of garbage announce, if they stand where a frame's length does:
/// without as much, it would take the rest of the session to find out.
const FILLING: usize = 0x1_0000;

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The way from the server to the client.
pub(super) struct Downward<'a> {
    connection: &'a Connection<'a>,
    server: &'a Wire,
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
    pub(super) fn new(connection: &'a Connection<'a>, server: &'a Wire, lanes: &'a Lanes) -> Self {
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

    pub(super) fn carry(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let mut onward = Onward::Carry;
        loop {
            self.connection.shared.weather.wait_while_stopped();
            let is_left = self.lanes.client_done.load(Ordering::Acquire);
            if self.connection.shared.is_stopping() || self.is_turn_over() || self.is_left_out() {
                return Ok(());
            }
            match onward {
                Onward::End => return Ok(()),
                Onward::Hold if is_left => return Ok(()),
                Onward::Hold => thread::sleep(TICK),
                Onward::Carry | Onward::Discard => {
                    let count = match { self.server }.read(&mut buffer) {
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

    /// Whether another link is to meet the next fault: this one has outlived its own for long enough, or
    /// has none because it was opened while another link had the last one, and did not meet it.
    fn is_turn_over(&mut self) -> bool {
        let has_nothing_to_meet = match self.connection.fault {
            Some(fault) => self.has_struck && fault.is_survivable(),
            None => self.connection.link.is_some(),
        };
        if !has_nothing_to_meet || !self.connection.shared.weather.is_more_coming() {
            return false;
        }
        let now = Instant::now();
        *self.ends_at.get_or_insert(now + TURN) <= now
    }

    /// Whether it is a call's, kept open from before a fault that is to strike every connection.
    fn is_left_out(&self) -> bool {
        let Connection { link, fault, .. } = self.connection;
        link.is_none() && fault.is_none() && self.connection.shared.weather.is_in_force()
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
                self.lanes.up_discarded.store(true, Ordering::Release);
                client.finish()?;
                return Ok(Onward::Hold);
            }
            Fault::Nameless
            | Fault::Refused
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
            | Fault::GarbageBelowTls
            | Fault::TunnelRefused { .. }
            | Fault::TunnelDied
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
            Fault::Nameless
            | Fault::Refused
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
            | Fault::GarbageBelowTls
            | Fault::TunnelRefused { .. }
            | Fault::TunnelDied
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
            Fault::Reset | Fault::TunnelDied => {
                client.write_all(before)?;
                SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO))?;
                if fault == Fault::TunnelDied {
                    self.connection.shared.weather.refuse_next();
                }
                Onward::End
            }
            Fault::FinMidFrame | Fault::Fin => {
                client.write_all(before)?;
                // Closed with unread bytes in it, a connection would be reset.
                self.lanes.up_discarded.store(true, Ordering::Release);
                client.tcp().shutdown(Shutdown::Write)?;
                Onward::Hold
            }
            Fault::ServerGone => {
                client.write_all(before)?;
                self.lanes.up_discarded.store(true, Ordering::Release);
                let _ = self.server.tcp().shutdown(Shutdown::Both);
                Onward::Hold
            }
            Fault::ClientGone => {
                client.write_all(before)?;
                self.lanes.up_frozen.store(true, Ordering::Release);
                client.tcp().shutdown(Shutdown::Both)?;
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
                self.connection.struck();
                if self.connection.link == Some(LinkKind::Socket) {
                    client.write_all(&vec![0xff; FILLING])?;
                }
                client.write_all(after)?;
                Onward::Carry
            }
            Fault::GarbageBelowTls => {
                client.write_all(before)?;
                client.tcp().write_all(&GARBAGE)?;
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
                if self.connection.shared.weather.is_lasting() {
                    self.connection.struck();
                }
                self.connection.shared.weather.wait_while_stopped();
                client.write_all(after)?;
                Onward::Carry
            }
            Fault::Nameless
            | Fault::Refused
            | Fault::NoAnswer
            | Fault::SlowHandshake
            | Fault::Slices
            | Fault::Latency
            | Fault::WrongAcceptKey
            | Fault::OpenThenClose
            | Fault::TunnelRefused { .. }
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

/// What the downward lane does after some bytes.
enum Onward {
    Carry,
    /// Carries nothing and waits for the client to leave.
    Hold,
    /// Takes what the server says and throws it away.
    Discard,
    End,
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
