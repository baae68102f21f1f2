//! A server that has one thing to say, and says it as fast as the socket takes it.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tungstenite::protocol::{
    CloseFrame,
    frame::{Frame, coding::CloseCode},
};

use crate::frames::{Batch, Kind};

/// The longest head of a request, in bytes.
const HEAD: usize = 8 * 1024;

/// What is answered to every call: an empty past.
const EMPTY_LIST: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60\r\nconnection: close\r\n\r\n\
                          {\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}";

/// The name of a session that brings `messages` frames of `kind` and ends.
pub(crate) fn session(kind: Kind, messages: u64) -> String {
    match kind {
        Kind::Delta => format!("delta-{messages}"),
        Kind::Assistant => format!("assistant-{messages}"),
        Kind::Alone => format!("alone-{messages}"),
    }
}

/// Serves sessions until stdin ends. Prints the port first.
pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || stream.map(answer));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let path = peek_path(&stream)?;
    let session = path
        .strip_prefix("/v1/sessions/ws/")
        .and_then(|rest| rest.split('/').next())
        .and_then(|name| {
            let (kind, messages) = name.split_once('-')?;
            let kind = match kind {
                "delta" => Kind::Delta,
                "assistant" => Kind::Assistant,
                "alone" => Kind::Alone,
                _ => return None,
            };
            Some((kind, messages.parse().ok()?))
        });
    let Some((kind, messages)) = session else {
        let mut head = [0; HEAD];
        let _ = stream.read(&mut head)?;
        return stream.write_all(EMPTY_LIST.as_bytes());
    };
    let outgoing = Arc::new(Mutex::new(stream.try_clone()?));
    let line = Line {
        incoming: stream,
        outgoing: Arc::clone(&outgoing),
    };
    let Ok(mut socket) = tungstenite::accept(line) else {
        return Ok(());
    };
    thread::spawn(move || say(&outgoing, kind, messages));
    // Reading answers pings, and ends when the peer is gone.
    while socket.read().is_ok() {}
    Ok(())
}

/// The path of the request, which stays in the socket.
fn peek_path(stream: &TcpStream) -> io::Result<String> {
    let mut head = [0; HEAD];
    let read = stream.peek(&mut head)?;
    let text = String::from_utf8_lossy(head.get(..read).unwrap_or_default());
    Ok(text.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn say(outgoing: &Mutex<TcpStream>, kind: Kind, messages: u64) -> io::Result<()> {
    let write = |wire: &[u8]| {
        let mut stream = outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(wire)
    };
    let mut batch = Batch::new(kind);
    let mut next = 0;
    while next < messages {
        write(batch.wire(next, messages))?;
        next += kind.at_once();
        if let Some(pause) = kind.pause() {
            thread::sleep(pause);
        }
    }
    let mut close = Vec::new();
    let frame = Frame::close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "session ended".into(),
    }));
    // Writing to memory does not fail.
    let _ = frame.format(&mut close);
    write(&close)
}

/// A connection that two threads write to, whole frames at a time.
struct Line {
    incoming: TcpStream,
    outgoing: Arc<Mutex<TcpStream>>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
