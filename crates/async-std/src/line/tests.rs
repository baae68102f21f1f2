//! Calls and answers, byte by byte.

use std::{
    io,
    sync::{Arc, Mutex},
};

use futures_io::AsyncRead;
use futures_util::{FutureExt as _, io::AsyncWrite};
use servers::Line as _;

use super::*;

/// A server that has answered already. After its answer it goes on, or hangs up.
struct Server {
    answer: Vec<u8>,
    end: End,
    heard: Arc<Mutex<Vec<u8>>>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum End {
    Stays,
    HangsUp,
}

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Few bytes at a time, so that nothing comes in one piece.
        let count = self.answer.len().min(buffer.len()).min(7);
        if count == 0 && self.end == End::Stays {
            return Poll::Pending;
        }
        for (place, byte) in buffer.iter_mut().zip(self.answer.drain(..count)) {
            *place = byte;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Server {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(50);
        self.heard.lock().unwrap().extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn line(answer: &str, end: End) -> (Line, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::default();
    let server = Server {
        answer: answer.into(),
        end,
        heard: Arc::clone(&heard),
    };
    let line = Line {
        stream: Box::new(server),
        read: BytesMut::new(),
        stage: Stage::Idle,
        since: Instant::now(),
    };
    (line, heard)
}

fn request(method: Method, body: &'static str) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri("/v1/x?y=z")
        .header("host", "h.example")
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap()
}

/// Status and body, or why there is none, and whether the line may be used again.
fn exchange(answer: &str, end: End) -> (Result<(u16, String), NetworkFailure>, bool) {
    let (mut line, _) = line(answer, end);
    let done = line.exchange(request(Method::GET, ""), 20).now_or_never();
    let result = match done.expect("nothing to wait for") {
        Ok(response) => {
            let body = String::from_utf8(response.body.to_vec()).unwrap();
            Ok((response.status, body))
        }
        Err(Unanswered::Unsent(failure) | Unanswered::Failed(failure)) => Err(failure),
    };
    (result, line.is_fit())
}

#[test]
fn an_answer_is_read_to_its_end_however_that_is_told() {
    let hello = |status| Ok((status, "hello".to_owned()));
    let cases = [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            hello(200),
            true,
        ),
        (
            "HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            hello(404),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
            hello(200),
            false,
        ),
        (
            "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            hello(200),
            true,
        ),
        (
            "HTTP/1.1 204 Nothing\r\n\r\n",
            Ok((204, String::new())),
            true,
        ),
        (
            "HTTP/1.1 307 Elsewhere\r\nlocation: /\r\ncontent-length: 5\r\n\r\nhello",
            hello(307),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more",
            hello(200),
            false,
        ),
    ];
    for (answer, expected, is_fit) in cases {
        assert_eq!(exchange(answer, End::Stays), (expected, is_fit), "{answer}");
    }
    let until_the_end = exchange("HTTP/1.1 200 OK\r\n\r\nhello", End::HangsUp);
    assert_eq!(until_the_end, (hello(200), false));
}

#[test]
fn half_an_answer_is_none() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_LIMIT));
    let chunk = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}",
        "y".repeat(2 * HEAD_LIMIT)
    );
    let cases = [
        ("", NetworkFailure::Ended),
        ("HTTP/1.1 200 OK\r\ncontent-le", NetworkFailure::Ended),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            NetworkFailure::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
            NetworkFailure::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello\r\n",
            NetworkFailure::Protocol,
        ),
        ("SSH-2.0-x\r\n", NetworkFailure::Protocol),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\nxxxxxxxxxxxxxxxxxxxxx",
            NetworkFailure::TooLarge,
        ),
        (&endless, NetworkFailure::Protocol),
        (&chunk, NetworkFailure::Protocol),
    ];
    for (answer, expected) in cases {
        let cut: String = answer.chars().take(60).collect();
        assert_eq!(
            exchange(answer, End::HangsUp),
            (Err(expected), false),
            "{cut}"
        );
    }
}

#[test]
fn a_line_that_hung_up_is_not_used_again() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    assert!(exchange(answer, End::Stays).1);
    assert!(!exchange(answer, End::HangsUp).1);
}

#[test]
fn a_call_is_written_whole_with_the_length_of_its_body() {
    let cases = [
        (
            Method::GET,
            "",
            "GET /v1/x?y=z HTTP/1.1\r\nhost: h.example\r\n\r\n",
        ),
        (
            Method::POST,
            "{}",
            "POST /v1/x?y=z HTTP/1.1\r\nhost: h.example\r\ncontent-length: 2\r\n\r\n{}",
        ),
        (
            Method::PUT,
            "",
            "PUT /v1/x?y=z HTTP/1.1\r\nhost: h.example\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            Method::DELETE,
            "{}",
            "DELETE /v1/x?y=z HTTP/1.1\r\nhost: h.example\r\ncontent-length: 2\r\n\r\n{}",
        ),
    ];
    for (method, body, expected) in cases {
        let (mut line, heard) = line("HTTP/1.1 204 Done\r\n\r\n", End::Stays);
        let done = line.exchange(request(method, body), 0).now_or_never();
        assert!(matches!(done, Some(Ok(_))));
        let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
        assert_eq!(heard, expected);
    }
}
