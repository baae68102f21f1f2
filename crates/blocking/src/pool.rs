//! The few threads on which waiting is allowed.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

/// Something that may take its time.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads, each started when it is first needed. Dropping the pool forgets the jobs
/// that have not begun and lets the threads end after those that have.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    name: &'static str,
    limit: usize,
}

struct Shared {
    state: Mutex<State>,
    /// There is a job, or there will be none any more.
    news: Condvar,
    /// A thread is about to end.
    ended: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job.
    idle: usize,
    running: usize,
    is_open: bool,
}

impl Pool {
    /// No thread yet; later at most `limit`, of this name.
    pub(crate) fn new(name: &'static str, limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    jobs: VecDeque::new(),
                    idle: 0,
                    running: 0,
                    is_open: true,
                }),
                news: Condvar::new(),
                ended: Condvar::new(),
            }),
            threads: Vec::new(),
            name,
            limit,
        }
    }

    /// Does `job` as soon as a thread is free. Whether that will ever be: the operating system may give
    /// no thread.
    #[must_use]
    pub(crate) fn run(&mut self, job: Job) -> bool {
        let mut state = self.shared.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() {
            self.shared.news.notify_one();
            return true;
        }
        if state.running >= self.limit {
            return true;
        }
        state.running += 1;
        drop(state);
        // A thread that a job's panic has ended makes room for another one.
        self.threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(&self.shared);
        match thread::Builder::new()
            .name(self.name.into())
            .spawn(move || work(&shared))
        {
            Ok(thread) => {
                self.threads.push(thread);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "no thread to be had");
                let mut state = self.shared.lock();
                state.running -= 1;
                state.running > 0 || state.jobs.pop_back().is_none()
            }
        }
    }

    /// Forgets the jobs that have not begun, and lets the threads end.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.is_open = false;
        state.jobs.clear();
        self.shared.news.notify_all();
    }

    /// Waits until every thread has ended, but not beyond `deadline`. How many have not.
    pub(crate) fn join(mut self, deadline: Instant) -> usize {
        self.close();
        let mut state = self.shared.lock();
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let running = state.running;
        drop(state);
        if running == 0 {
            for thread in self.threads.drain(..) {
                // A job that panicked has said so already.
                let _ = thread.join();
            }
        }
        running
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if !state.is_open {
                return None;
            }
            state.idle += 1;
            state = self
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

fn work(shared: &Shared) {
    let _leaving = Leaving(shared);
    while let Some(job) = shared.next_job() {
        job();
    }
}

/// Counts a thread out, also when a job panics.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn jobs_wait_for_a_free_thread_and_no_more_threads_than_allowed_are_started() {
        let mut pool = Pool::new("test", 2);
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (report, done) = mpsc::channel();
        for number in 0..6 {
            let (gate, report) = (Arc::clone(&gate), report.clone());
            assert!(pool.run(Box::new(move || {
                gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
                report.send(number).unwrap();
            })));
        }
        assert_eq!(pool.threads.len(), 2);

        for _ in 0..6 {
            release.send(()).unwrap();
        }

        let mut numbers: Vec<i32> = (0..6).map(|_| done.recv_timeout(LIMIT).unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        assert_eq!(pool.join(Instant::now() + LIMIT), 0);
    }

    #[test]
    fn a_job_that_panics_takes_its_thread_with_it_and_nothing_else() {
        let mut pool = Pool::new("test", 1);
        assert!(pool.run(Box::new(|| panic!("a panic that this test wants"))));
        let state = pool.shared.lock();
        let ended = pool
            .shared
            .ended
            .wait_timeout_while(state, LIMIT, |state| state.running > 0);
        assert!(!ended.unwrap().1.timed_out());

        let (report, done) = mpsc::channel();
        assert!(pool.run(Box::new(move || report.send(()).unwrap())));

        done.recv_timeout(LIMIT).unwrap();
        assert_eq!(pool.join(Instant::now() + LIMIT), 0);
    }

    #[test]
    fn a_job_that_never_ends_is_not_waited_for() {
        let mut pool = Pool::new("test", 1);
        let (release, gate) = mpsc::channel::<()>();
        let (report, begun) = mpsc::channel();
        assert!(pool.run(Box::new(move || {
            report.send(()).unwrap();
            let _ = gate.recv();
        })));
        begun.recv_timeout(LIMIT).unwrap();

        let left = pool.join(Instant::now() + Duration::from_millis(20));

        assert_eq!(left, 1);
        drop(release);
    }
}
