//! What a process uses: memory, time of a processor, open files.

use std::{fs, io, time::Duration};

/// This process, or one that it has started.
#[derive(Copy, Clone, Debug)]
pub struct Process(u32);

/// How much time of a processor a process has used, and how much memory it has, at one moment.
#[derive(Copy, Clone, Debug)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Time of all its threads together.
    pub cpu: Duration,
}

impl Process {
    /// The one that runs this.
    pub fn this() -> Self {
        Self(std::process::id())
    }

    /// The one with this number.
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// What it uses now, where `/proc` tells it.
    ///
    /// # Errors
    /// Whatever reading `/proc` fails with; `Unsupported` when it holds something else.
    pub fn usage(self) -> io::Result<Usage> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        resident(&status)
            .zip(cpu(&stat))
            .map(|(resident, cpu)| Usage { resident, cpu })
            .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu(stat: &str) -> Option<Duration> {
    // The name before it may hold spaces and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs(user + system) / ticks_per_second()?)
}

#[cfg(unix)]
fn ticks_per_second() -> Option<u32> {
    u32::try_from(rustix::param::clock_ticks_per_second()).ok()
}

#[cfg(not(unix))]
fn ticks_per_second() -> Option<u32> {
    None
}

/// Lets this process, and those that it starts from now on, have `sockets` open at a time.
///
/// # Errors
/// When the system does not allow so many; the text says how to change that.
#[cfg(unix)]
pub fn allow_open_sockets(sockets: usize) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// What a process opens beside the sockets that are counted.
    const OTHER_FILES: u64 = 128;

    let needed = sockets as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(io::Error::other(format!(
            "{sockets} sockets in one process need {needed} open files, and this system gives no more than \
             {maximum}; raise the hard limit with `ulimit -Hn {needed}` as root, or by `nofile` in \
             /etc/security/limits.conf, or ask for fewer viewers"
        )));
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Lets this process, and those that it starts from now on, have `sockets` open at a time.
///
/// # Errors
/// None here: this system counts no open files.
#[cfg(not(unix))]
pub fn allow_open_sockets(_sockets: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn a_process_with_any_name_tells_its_time() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 101 0 0 0 150 50 0 0 20 0 3 0 99 1 2";
        let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
        assert_eq!(cpu(stat), Some(Duration::from_secs(200) / ticks));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 << 10));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn more_files_than_the_system_has_are_refused_with_what_to_do() {
        let Some(maximum) = getrlimit(Resource::Nofile).maximum else {
            return;
        };
        let Ok(sockets) = usize::try_from(maximum) else {
            return;
        };
        let error = allow_open_sockets(sockets).unwrap_err().to_string();
        assert!(error.contains("ulimit -Hn"), "{error}");
    }
}
