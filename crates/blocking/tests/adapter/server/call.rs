//! The server's end of HTTP calls, and of the streams that answer some of them.

use std::{io::Write as _, time::Duration};

use serde_json::Value;
use socket2::SockRef;

use super::line::{Headers, Line};

/// One HTTP call that waits for its answer.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(super) line: Line,
}

/// The server's end of a stream.
pub(crate) struct Flow {
    pub(crate) path: String,
    pub(crate) headers: Headers,
    line: Line,
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The uuids of the frames of an upload.
    pub(crate) fn uuids(&self) -> Vec<String> {
        let body = self.json();
        let events = body["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["payload"]["uuid"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        self.answer_with(status, "", body);
    }

    /// Each of `headers` ends its line.
    pub(crate) fn answer_with(mut self, status: u16, headers: &str, body: &str) {
        // Whoever called may have gone.
        let _ = self.line.answer(status, headers, body);
    }

    /// Answers with a stream.
    pub(crate) fn flows(mut self) -> Flow {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.line.write_all(head.as_bytes()).unwrap();
        Flow {
            path: self.path,
            headers: self.headers,
            line: self.line,
        }
    }

    /// Waits until whoever called is gone.
    pub(crate) fn sees_end(mut self) {
        self.line.meet_end();
    }

    pub(super) fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Flow {
    /// Sends these bytes; whether anybody is there.
    pub(crate) fn sends(&mut self, bytes: &str) -> bool {
        let chunk = format!("{:x}\r\n{bytes}\r\n", bytes.len());
        self.line.write_all(chunk.as_bytes()).is_ok()
    }

    /// Sends the frame `payload` as the event with this number.
    pub(crate) fn says(&mut self, number: u64, payload: &str) {
        let data = format!(
            r#"{{"event_id":"e{number}","sequence_num":{number},"event_type":"x","payload":{payload}}}"#
        );
        let event = format!("event: client_event\nid: {number}\ndata: {data}\n\n");
        assert!(self.sends(&event), "the worker listens");
    }

    /// Sends a message of a person's, with the number as its uuid.
    pub(crate) fn says_message(&mut self, number: u64) {
        self.says(number, &format!(r#"{{"type":"user","uuid":"{number}"}}"#));
    }

    /// Ends or resets the connection behind the length of a chunk.
    pub(crate) fn breaks(mut self, reset: bool) {
        let _ = self.line.write_all(b"1");
        if reset {
            // A connection that is closed with nothing to linger for is reset.
            let socket = SockRef::from(&self.line.tcp);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            self.line.is_dropped_only = true;
        }
    }

    /// Ends the stream well.
    pub(crate) fn ends(mut self) {
        let _ = self.line.write_all(b"0\r\n\r\n");
    }

    /// Waits until the worker is gone.
    pub(crate) fn sees_end(mut self) {
        self.line.meet_end();
    }
}
