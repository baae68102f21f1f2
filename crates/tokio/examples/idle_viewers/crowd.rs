//! The viewers, their relay, and what they cost.

use std::{
    env,
    error::Error,
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use attache_protocol::{
    SessionId,
    viewer::{Event, History, Status, ViewerConfig},
};
use attache_relay::{MemoryStore, Relay, RelayOptions};
use attache_tokio::{BaseUrl, Events, Options, Plaintext, Session, StaticToken};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const VIEWERS: usize = 5000;
/// How many connect at the same time.
const AT_ONCE: usize = 128;
/// How long it may take until all are live.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long nothing happens: two rounds of a relay's pings.
const IDLE: Duration = Duration::from_secs(30);
/// What a process opens beside the viewers' sockets.
const OTHER_FILES: u64 = 64;

#[tokio::main]
pub(crate) async fn run() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let count = match arguments.next().as_deref() {
        Some("relay") => return relay().await,
        Some(count) => count.parse()?,
        None => VIEWERS,
    };
    raise_file_limit(count)?;
    let read_buffer_bytes = arguments.next().map(|bytes| bytes.parse()).transpose()?;
    let server = arguments.next().zip(arguments.next());
    let (_relay, base_url, session, token) = if let Some((base_url, session)) = server {
        (None, base_url, session, env::var("ATTACHE_TOKEN")?)
    } else {
        let (relay, base_url, session) = start_relay().await?;
        (Some(relay), base_url, session, "anything".to_owned())
    };
    let mut options = Options::new(BaseUrl::parse(&base_url, Plaintext::LoopbackOnly)?);
    if let Some(bytes) = read_buffer_bytes {
        options.websocket.read_buffer_size = bytes;
    }
    let token = StaticToken::new(token);
    let mut config = ViewerConfig::new(SessionId::parse(&session)?);
    config.viewer_only = true;
    config.history = History::None;

    let drops = Arc::new(AtomicUsize::new(0));
    let (resident, cpu, start) = (resident_bytes(), cpu(), Instant::now());
    let opening = stream::iter(0..count)
        .map(|_| open(&config, &options, &token, &drops))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let viewers = timeout(PATIENCE, opening).await??;
    println!(
        "{count} viewers with {} bytes of read buffer live after {:.2?}, {:.2?} of CPU time",
        options.websocket.read_buffer_size,
        start.elapsed(),
        cpu_since(cpu)
    );
    report_memory(resident, count);

    let cpu = self::cpu();
    sleep(IDLE).await;
    let busy = cpu_since(cpu);
    let share = 100.0 * busy.as_secs_f64() / IDLE.as_secs_f64();
    println!("idle for {IDLE:?}: {busy:.2?} of CPU time, {share:.2} % of a core");
    report_memory(resident, count);
    let live = viewers
        .iter()
        .filter(|viewer| viewer.status() == Status::Live)
        .count();
    println!("{live} still live, {} drops", drops.load(Ordering::Relaxed));

    let start = Instant::now();
    let closing = stream::iter(&viewers).for_each_concurrent(None, async |viewer| {
        let _ = viewer.close().await;
    });
    closing.await;
    println!("all closed after {:.2?}", start.elapsed());
    if live == count {
        Ok(())
    } else {
        Err("some viewers did not stay connected".into())
    }
}

/// Opens one viewer, and hands it over when it is live.
async fn open(
    config: &ViewerConfig,
    options: &Options,
    token: &StaticToken,
    drops: &Arc<AtomicUsize>,
) -> Outcome<Session> {
    let (mut session, events, _driver) =
        attache_tokio::spawn(config.clone(), options.clone(), token.clone())?;
    tokio::spawn(listen(events, Arc::clone(drops)));
    while session.status() != Status::Live {
        session.status_changed().await?;
    }
    Ok(session)
}

async fn listen(mut events: Events, drops: Arc<AtomicUsize>) {
    while let Some(event) = events.next().await {
        if let Event::Status(Status::Waiting { .. }) = event {
            drops.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// This program again, as a relay: its URL, and a session.
async fn start_relay() -> Outcome<(Child, String, String)> {
    let mut relay = Command::new(env::current_exe()?)
        .arg("relay")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = relay.stdout.take().ok_or("the relay has no stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let (Some(base_url), Some(session)) = (lines.next_line().await?, lines.next_line().await?)
    else {
        return Err("the relay did not start".into());
    };
    Ok((relay, base_url, session))
}

async fn relay() -> Outcome<()> {
    let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let session = relay.create_session("idle viewers").await?;
    println!("http://{}\n{session}", listener.local_addr()?);
    Ok(relay.serve(listener, std::future::pending()).await?)
}

/// Takes as many open files as `viewers` need. A relay that is started later inherits it.
fn raise_file_limit(viewers: usize) -> Outcome<()> {
    let needed = viewers as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!(
            "{viewers} viewers need {needed} open files, and this system gives no more than {}; raise the \
             hard limit with `ulimit -Hn {needed}` as root, or by `nofile` in /etc/security/limits.conf",
            limit.maximum.unwrap_or_default()
        )
        .into());
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

fn report_memory(before: Option<u64>, viewers: usize) {
    let (Some(before), Some(now)) = (before, resident_bytes()) else {
        println!("resident memory: this system does not say");
        return;
    };
    let each = now.saturating_sub(before) / 1024 / viewers.max(1) as u64;
    println!("resident: {} MiB, {each} KiB for each viewer", now >> 20);
}

/// How much memory this process occupies, where `/proc` tells it.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The CPU time this process has used.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

fn cpu_since(before: Duration) -> Duration {
    cpu().saturating_sub(before)
}
