//! When a driver is done, nothing of it is left. A program of its own: it counts what the process holds.

#![expect(clippy::unwrap_used, reason = "what the test does not expect ends it")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use attache_blocking::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use attache_protocol::{
    SessionId,
    viewer::{Content, ViewerConfig},
    worker::{NewSession, SessionChoice, WorkerConfig},
};
use tungstenite::handshake::derive_accept_key;

const CYCLES: usize = 200;

/// How long the server's own threads may take to go.
const SETTLING: Duration = Duration::from_secs(5);

#[test]
fn no_file_and_no_thread_is_left_when_the_driver_is_done() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        for stream in server.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    cycle(address, 0);
    settle();
    let Some(before) = census() else {
        eprintln!("skipped: files and threads can't be counted here");
        return;
    };

    let began = Instant::now();
    for number in 0..CYCLES {
        cycle(address, number);
        assert_eq!(
            own_threads_left(),
            Vec::<String>::new(),
            "in cycle {number}"
        );
    }
    println!("{CYCLES} cycles in {:.1?}", began.elapsed());

    settle();
    let after = census().unwrap();
    assert!(after.0 <= before.0, "files: {before:?} became {after:?}");
    assert!(after.1 <= before.1, "threads: {before:?} became {after:?}");
}

/// A session that is closed at one of several moments, and a worker.
fn cycle(address: SocketAddr, number: usize) {
    let base_url = BaseUrl::parse(&format!("http://{address}"), Plaintext::LoopbackOnly).unwrap();
    let mut options = Options::new(base_url);
    options.proxy = ProxyOptions::Direct;
    let token = || StaticToken::new("token");
    let mut config = ViewerConfig::new(SessionId::parse("session_test").unwrap());
    config.liveness.close_deadline = Duration::from_millis(20);

    let (session, mut events, driver) =
        attache_blocking::spawn(config, options.clone(), token()).unwrap();
    let _ = session.send(Content::text("hello"));
    for _ in 0..number % 5 {
        let _ = events.recv_timeout(Duration::from_millis(20));
    }
    session.close().unwrap();
    driver.join().unwrap();

    let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    config.patience.http = Duration::from_millis(20);
    config.patience.archive = Duration::from_millis(20);
    let (session, mut events, driver) =
        attache_blocking::spawn_worker(config, options, token()).unwrap();
    for _ in 0..number % 4 {
        let _ = events.recv_timeout(Duration::from_millis(20));
    }
    session.close().unwrap();
    driver.join().unwrap();
}

/// Opens sockets, and answers everything else with nothing at all.
fn serve(mut stream: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    if let Some((_, key)) = key {
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok()?;
    }
    // Until the other end is gone.
    while stream.read(&mut [0; 1024]).ok()? > 0 {}
    Some(())
}

/// How many files and threads there are.
fn census() -> Option<(usize, usize)> {
    let count = |directory| Some(fs::read_dir(directory).ok()?.count());
    Some((count("/proc/self/fd")?, count("/proc/self/task")?))
}

/// The names of the adapter's threads that stay. One that was joined is listed for a moment longer.
fn own_threads_left() -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        let left = own_threads();
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        thread::yield_now();
    }
}

/// The names of the adapter's threads that are there.
fn own_threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("attache"))
        .collect()
}

/// Waits until the server's threads are gone: only the test's two and the listener's.
fn settle() {
    let until = Instant::now() + SETTLING;
    while census().is_some_and(|(_, threads)| threads > 3) && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
}
