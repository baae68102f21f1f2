//! One connection through the proxy, with its fault.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{Shared, downward::Downward, weather::NobodyThere, wire::Wire};
use crate::conformance::fault::{Fault, LinkKind};

/// How often a thread that waits for bytes looks up.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The delay of everything on a slow line.
pub(super) const LATENCY: Duration = Duration::from_millis(15);

/// Longer heads are none.
const HEAD_LIMIT: usize = 64 * 1024;

/// One client's connection.
pub(super) struct Connection<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: Wire,
    /// What kind of link it is, if it is one.
    pub(super) link: Option<LinkKind>,
    pub(super) fault: Option<Fault>,
    /// Whether the fault still has to strike.
    is_gathering: AtomicBool,
    /// Whether nothing has ended the link yet.
    is_standing: AtomicBool,
}

/// What has become of the two directions.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) over: AtomicBool,
    pub(super) client_done: AtomicBool,
    pub(super) up_frozen: AtomicBool,
    pub(super) up_discarded: AtomicBool,
}

impl Connection<'_> {
    /// Serves a connection until its end, or the proxy's.
    pub(super) fn serve(shared: &Shared, client: TcpStream) {
        let Ok(Some(client)) = shared.welcome(client) else {
            return;
        };
        let Some(head) = read_head(shared, &client) else {
            return;
        };
        let link = link_of(&head);
        let fault = match link {
            Some(_) => match shared.weather.begin_link() {
                Ok(fault) => fault,
                Err(NobodyThere) => return,
            },
            None => shared.weather.take_for_call(),
        };
        let connection = Connection {
            shared,
            client,
            link,
            fault,
            is_gathering: AtomicBool::new(link.is_some() && fault.is_some()),
            is_standing: AtomicBool::new(link.is_some()),
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
        if self.is_deserted() {
            return Ok(());
        }
        let server = Wire::new(TcpStream::connect(self.shared.server)?)?;
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
        self.client.finish()?;
        self.hold();
        Ok(())
    }

    /// Whether the client has left without waiting for an answer. What it gave up must not come behind
    /// what it asks instead.
    fn is_deserted(&self) -> bool {
        let tcp = self.client.tcp();
        let looked = tcp.set_nonblocking(true).and_then(|()| {
            let looked = tcp.peek(&mut [0]);
            tcp.set_nonblocking(false)?;
            looked
        });
        match looked {
            Ok(count) => count == 0,
            Err(error) => !is_idle(&error),
        }
    }

    /// Listens and says nothing until the client leaves.
    fn hold(&self) {
        hold(self.shared, &self.client);
    }

    /// Carries what the client says, until one of them is gone.
    fn carry_up(&self, server: &Wire, lanes: &Lanes) {
        let mut buffer = [0; 4096];
        while !lanes.over.load(Ordering::Acquire) && !self.shared.is_stopping() {
            self.shared.weather.wait_while_stopped();
            if lanes.up_frozen.load(Ordering::Acquire) {
                thread::sleep(TICK);
                continue;
            }
            let count = match (&self.client).read(&mut buffer) {
                Ok(0) => {
                    let _ = server.finish();
                    return;
                }
                Ok(count) => count,
                Err(error) if is_idle(&error) => continue,
                Err(_) => {
                    let _ = server.tcp().shutdown(Shutdown::Both);
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
    pub(super) fn pace(&self, mut to: &Wire, bytes: &[u8]) -> io::Result<()> {
        match self.fault {
            Some(Fault::Slices) => to.write_sliced(bytes),
            Some(Fault::Latency) => {
                thread::sleep(LATENCY);
                to.write_all(bytes)
            }
            Some(_) | None => to.write_all(bytes),
        }
    }

    pub(super) fn struck(&self) {
        if self.fault.is_some_and(|fault| !fault.is_survivable()) {
            self.fell();
        }
        if self.is_gathering.swap(false, Ordering::AcqRel) {
            self.shared.weather.struck();
            self.shared.poke_if_refusing();
        }
    }

    fn fell(&self) {
        if self.is_standing.swap(false, Ordering::AcqRel) {
            self.shared.weather.fell();
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.fell();
        // A connection that ended before its fault came: the next one meets it.
        if let Some(fault) = self.fault
            && self.is_gathering.swap(false, Ordering::AcqRel)
        {
            self.shared.weather.put_back(fault);
            self.shared.poke_if_refusing();
        }
    }
}

/// Listens and says nothing until the client leaves.
pub(super) fn hold(shared: &Shared, mut client: &Wire) {
    let mut buffer = [0; 4096];
    while !shared.is_stopping() {
        match client.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_idle(&error) => {}
            Err(_) => return,
        }
    }
}

pub(super) fn read_head(shared: &Shared, mut client: &Wire) -> Option<Vec<u8>> {
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

pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
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

pub(super) fn is_idle(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
