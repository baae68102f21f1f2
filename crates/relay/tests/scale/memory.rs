//! How much memory this process uses.

/// Resident memory, where the system tells.
#[derive(Copy, Clone)]
pub(crate) struct Megabytes(usize);

impl Megabytes {
    pub(crate) fn used() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Self(kilobytes.map_or(0, |number| number.trim().parse::<usize>().unwrap()) >> 10)
    }

    pub(crate) fn since(self, before: Self) -> usize {
        self.0.saturating_sub(before.0)
    }
}
