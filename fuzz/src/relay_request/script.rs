//! Requests as text.

/// The most requests of a script; the rest is not looked at.
const MOST: usize = 24;

/// One request.
pub(super) struct Step<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a str,
}

/// The requests of a script, in order.
pub(super) fn steps(script: &str) -> impl Iterator<Item = Step<'_>> {
    script.split("\n~~~\n").take(MOST).filter_map(Step::parse)
}

impl<'a> Step<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.trim_start().lines();
        let (method, path) = lines.next()?.split_once(' ')?;
        let headers = lines.filter_map(|line| line.split_once(": ")).collect();
        Some(Self {
            method,
            path,
            headers,
            body,
        })
    }

    pub(super) fn has_header(&self, name: &str) -> bool {
        let mut names = self.headers.iter().map(|(name, _)| name);
        names.any(|given| given.eq_ignore_ascii_case(name))
    }

    /// Whether it names the token of a worker, or its epoch.
    pub(super) fn needs_worker(&self) -> bool {
        let named = |text: &str| text.contains("{worker}") || text.contains("{epoch}");
        named(self.body) || self.headers.iter().any(|(_, value)| named(value))
    }
}
