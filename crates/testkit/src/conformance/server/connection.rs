//! One connection of the server.

use std::{
    io::{self, Write as _},
    net::TcpStream,
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    time::Duration,
};

use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket, handshake::derive_accept_key, protocol::Role};

use super::{
    Shared,
    desk::{SESSION, WorkerDesk, array},
    http::{self, Request, Response, TICK},
    lock,
};

/// A stream brings a comment this often, if there is nothing else.
const COMMENT_EVERY: Duration = Duration::from_millis(40);

/// Whoever does not listen for so long is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves a connection until its end, or the server's.
pub(super) fn serve(shared: &Shared, stream: TcpStream) {
    let set_up = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(TICK)))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    if set_up.is_ok() {
        // Whatever breaks ends this connection, and that is all there is to do.
        let _ = serve_calls(shared, stream);
    }
}

fn serve_calls(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut rest = Vec::new();
    while let Some(request) = Request::read(&stream, &mut rest, || shared.is_stopping()) {
        if let Some(key) = &request.websocket_key {
            if request.path != format!("/v1/sessions/ws/session_{SESSION}/subscribe") {
                return Response::status(404).write(&stream);
            }
            return serve_socket(shared, stream, key);
        }
        match answer(shared, &request) {
            Answer::Whole(response) => response.write(&stream)?,
            Answer::Stream(events) => return serve_stream(shared, &stream, &events),
        }
    }
    Ok(())
}

enum Answer {
    Whole(Response),
    Stream(Receiver<String>),
}

fn answer(shared: &Shared, request: &Request) -> Answer {
    let path = request.path.as_str();
    let viewer_v1 = format!("/v1/sessions/session_{SESSION}");
    let v2 = format!("/v1/code/sessions/cse_{SESSION}");
    if let Some(rest) = path.strip_prefix(&viewer_v1) {
        return Answer::Whole(answer_v1(shared, rest, request));
    }
    if path == "/v1/code/sessions" && request.method == "POST" {
        return Answer::Whole(WorkerDesk::register());
    }
    let Some(rest) = path.strip_prefix(&v2) else {
        return Answer::Whole(Response::status(404));
    };
    match rest.strip_prefix("/worker") {
        Some(rest) => answer_worker(shared, rest, request),
        None => answer_v2(shared, rest, request),
    }
}

fn answer_v1(shared: &Shared, rest: &str, request: &Request) -> Response {
    let mut desk = shared.desk();
    match (request.method.as_str(), rest) {
        ("GET", "/events") => {
            let limit = request.field("limit").and_then(|limit| limit.parse().ok());
            desk.page(request.field("after_id").as_deref(), limit.unwrap_or(100))
        }
        ("POST", "/events") => {
            let body = request.json();
            let taken = array(&body, "events").map(|event| desk.take(&event.to_string()));
            let taken: Vec<Value> = taken.collect();
            Response::json(&json!({ "data": taken }))
        }
        ("POST", "/archive") => {
            desk.worker.is_archived = true;
            Response::status(200)
        }
        _ => Response::status(404),
    }
}

fn answer_v2(shared: &Shared, rest: &str, request: &Request) -> Answer {
    let mut desk = shared.desk();
    Answer::Whole(match (request.method.as_str(), rest) {
        ("GET", "/events/stream") => {
            let after = request
                .field("from_sequence_num")
                .and_then(|number| number.parse().ok());
            match desk.watch(after) {
                Some(events) => return Answer::Stream(events),
                None => Response::status(410),
            }
        }
        ("GET", "/events") => desk.last_event(),
        ("POST", "/events") => {
            let body = request.json();
            let taken =
                array(&body, "events").map(|event| desk.take(&event["payload"].to_string()));
            let taken: Vec<Value> = taken.collect();
            Response::json(&json!({ "data": taken }))
        }
        ("POST", "/bridge") => {
            let url = lock(&shared.public_url).clone();
            desk.worker.bridge(&url)
        }
        _ => Response::status(404),
    })
}

fn answer_worker(shared: &Shared, rest: &str, request: &Request) -> Answer {
    let worker = &mut shared.desk().worker;
    if let Some(refused) = worker.fence(&request.bearer) {
        return Answer::Whole(refused);
    }
    Answer::Whole(match (request.method.as_str(), rest) {
        ("GET", "") => Response::json(&json!({"worker": {"external_metadata": {}}})),
        ("PUT", "") | ("POST", "/heartbeat") => Response::status(200),
        ("GET", "/events/stream") => {
            let after = request
                .field("from_sequence_num")
                .and_then(|number| number.parse().ok());
            return Answer::Stream(worker.listen(after.unwrap_or_default()));
        }
        ("POST", "/events") => worker.upload(&request.json()),
        ("POST", "/events/delivery") => worker.deliver(&request.json()),
        _ => Response::status(404),
    })
}

fn serve_stream(shared: &Shared, stream: &TcpStream, events: &Receiver<String>) -> io::Result<()> {
    http::begin_stream(stream)?;
    while !shared.is_stopping() {
        match events.recv_timeout(COMMENT_EVERY) {
            Ok(event) => http::write_chunk(stream, &event)?,
            Err(RecvTimeoutError::Timeout) => http::write_chunk(stream, ":keepalive\n\n")?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

fn serve_socket(shared: &Shared, mut stream: TcpStream, key: &str) -> io::Result<()> {
    let frames = shared.desk().subscribe();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    while !shared.is_stopping() {
        loop {
            match frames.try_recv() {
                Ok(frame) => socket.send(Message::text(frame)).map_err(broken)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        match socket.read() {
            Ok(Message::Text(text)) => {
                let mut desk = shared.desk();
                for frame in text.lines().filter(|line| !line.is_empty()) {
                    desk.take(frame);
                }
            }
            Ok(_) => {}
            Err(Error::Io(error)) if http::is_idle(&error) => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(())
}

fn broken(error: Error) -> io::Error {
    io::Error::other(error)
}
