//! What a process holds.

use std::{
    fmt, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::canary;

/// How long what was released may take to be gone.
const SETTLING: Duration = Duration::from_secs(3);

/// How often a look is taken meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How many files (sockets among them), threads and tasks there are. `None` where that can't be counted:
/// files and threads need `/proc`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Census {
    files: Option<usize>,
    threads: Option<usize>,
    tasks: Option<usize>,
}

impl Census {
    /// Counts now. `tasks` are the adapter's own.
    pub fn take(tasks: Option<usize>) -> Self {
        canary::quiet(|| Self {
            // Reading the directory takes a file itself, each time alike.
            files: count(Path::new("/proc/self/fd"), |_| true),
            threads: count(Path::new("/proc/self/task"), is_foreign),
            tasks,
        })
    }

    /// Whether files and threads can be counted here.
    pub fn is_complete(&self) -> bool {
        self.files.is_some() && self.threads.is_some()
    }

    /// Waits a little until no more is left than this.
    ///
    /// # Errors
    /// What is left, in words.
    pub fn settles(self, tasks: impl Fn() -> Option<usize>) -> Result<(), String> {
        let until = Instant::now() + SETTLING;
        loop {
            let now = Self::take(tasks());
            if now.is_within(self) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(format!("before: {self}; after: {now}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn is_within(self, other: Self) -> bool {
        let pairs = [
            (self.files, other.files),
            (self.threads, other.threads),
            (self.tasks, other.tasks),
        ];
        pairs.into_iter().all(|(now, before)| now <= before)
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("files", self.files),
            ("threads", self.threads),
            ("tasks", self.tasks),
        ];
        for (place, (name, count)) in counts.into_iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            match count {
                Some(count) => write!(f, "{comma}{count} {name}")?,
                None => write!(f, "{comma}{name} not counted")?,
            }
        }
        Ok(())
    }
}

fn count(directory: &Path, is_counted: impl Fn(&Path) -> bool) -> Option<usize> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    Some(entries.filter(|entry| is_counted(&entry.path())).count())
}

/// Whether it is no thread of the suite's canary, which begin and end at any time.
fn is_foreign(thread: &Path) -> bool {
    // A thread without a name is over.
    fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() != canary::NAME)
}
