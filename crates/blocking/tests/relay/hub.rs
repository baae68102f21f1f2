//! A relay on the loopback, on a runtime of its own.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use attache_protocol::{SessionId, frame::Frame};
use attache_relay::{Agent, MemoryStore, Relay, RelayOptions};
use tokio::{net::TcpListener, runtime::Runtime, time::timeout};

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Hub {
    runtime: Runtime,
    relay: Relay,
    address: SocketAddr,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(relay.serve(listener, std::future::pending()));
        Self {
            runtime,
            relay,
            address,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn session(&self) -> SessionId {
        self.within(self.relay.create_session("a test")).unwrap()
    }

    pub(crate) fn agent(&self, session: &SessionId) -> Agent {
        self.within(self.relay.attach_agent(session)).unwrap()
    }

    pub(crate) fn publish(&self, agent: &Agent, text: &str) {
        self.within(agent.publish(text)).unwrap();
    }

    /// The next frame for the agent of this type.
    pub(crate) fn hears(&self, agent: &mut Agent, type_name: &str) -> Frame {
        loop {
            let frame = self.within(agent.recv()).unwrap().unwrap();
            if frame.type_name() == type_name {
                return frame;
            }
        }
    }

    pub(crate) fn archive(&self, session: &SessionId) {
        self.within(self.relay.archive(session)).unwrap();
    }

    fn within<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { timeout(LIMIT, future).await.expect("took too long") })
    }
}

/// Runs something on a thread of its own, which has to end in time.
pub(crate) struct Running<T>(mpsc::Receiver<T>);

impl<T: Send + 'static> Running<T> {
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, done) = mpsc::channel();
        thread::spawn(move || sender.send(work()));
        Self(done)
    }

    pub(crate) fn ends(self) -> T {
        self.0.recv_timeout(LIMIT).expect("it ends well")
    }
}

/// What an example writes, line by line.
pub(crate) struct Lines(mpsc::Receiver<String>);

/// Where it writes it.
pub(crate) struct Output {
    line: Vec<u8>,
    lines: mpsc::Sender<String>,
}

pub(crate) fn screen() -> (Output, Lines) {
    let (sender, lines) = mpsc::channel();
    let output = Output {
        line: Vec::new(),
        lines: sender,
    };
    (output, Lines(lines))
}

impl Lines {
    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(LIMIT).expect("another line")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                // The test may have seen enough.
                let _ = self.lines.send(String::from_utf8(line).unwrap());
            } else {
                self.line.push(byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
