//! Reading a published table as a person would.

use attache_protocol::policy::TableRow;

/// A row, with the numbers that its words name.
struct Row {
    codes: Vec<u16>,
    statuses: Vec<u16>,
    /// `4xx`, `5xx`: whole hundreds, but for what other rows name.
    hundreds: Vec<u16>,
    says_ended: bool,
    is_rest: bool,
    verdict: &'static str,
}

/// A table that can be asked.
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn read(rows: &[TableRow]) -> Self {
        let table = Self(rows.iter().map(Row::read).collect());
        let rest = table.0.iter().filter(|row| row.is_rest).count();
        assert_eq!(rest, 1, "one row is for everything else");
        table
    }

    /// What follows a close frame.
    pub(crate) fn close(&self, code: u16, ended: bool) -> &'static str {
        let said = |row: &&Row| row.says_ended && row.codes.contains(&code);
        let named = |row: &&Row| !row.says_ended && row.codes.contains(&code);
        let ended = self.0.iter().filter(|_| ended).find(said);
        ended
            .or_else(|| self.0.iter().find(named))
            .map_or_else(|| self.rest(), |row| row.verdict)
    }

    /// What follows an answer with this status.
    pub(crate) fn status(&self, status: u16) -> &'static str {
        let mut rows = self.0.iter();
        let named = rows.find(|row| row.statuses.contains(&status) && !row.excepts());
        let hundred = || {
            self.0
                .iter()
                .find(|row| row.hundreds.contains(&(status / 100)))
        };
        named
            .or_else(hundred)
            .map_or_else(|| self.rest(), |row| row.verdict)
    }

    fn rest(&self) -> &'static str {
        self.0.iter().find(|row| row.is_rest).unwrap().verdict
    }
}

impl Row {
    fn read(row: &TableRow) -> Self {
        let mut read = Self {
            codes: vec![],
            statuses: vec![],
            hundreds: vec![],
            says_ended: row.outcome.contains("with reason `session ended`"),
            is_rest: row.outcome.starts_with("anything else"),
            verdict: row.verdict,
        };
        if read.is_rest {
            return read;
        }
        let mut of_closes = false;
        for word in row.outcome.split([' ', ',', ':']) {
            match word {
                "close" => of_closes = true,
                "HTTP" => of_closes = false,
                _ => match (word.parse(), word.strip_suffix("xx")) {
                    (Ok(number), _) if of_closes => read.codes.push(number),
                    (Ok(number), _) => read.statuses.push(number),
                    (Err(_), Some(hundred)) => read.hundreds.push(hundred.parse().unwrap()),
                    (Err(_), None) => {}
                },
            }
        }
        read
    }

    /// Whether the statuses that it names are exceptions.
    fn excepts(&self) -> bool {
        !self.hundreds.is_empty()
            && !self.statuses.is_empty()
            && self
                .statuses
                .iter()
                .all(|status| self.hundreds.contains(&(status / 100)))
    }
}
