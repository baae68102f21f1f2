//! The file that holds the tokens of a relay, hashed.

use core::time::Duration;
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use attache_protocol::io::Token;

use super::{BadLine, NoRandomness, Role, TokenEntry, entry::check_name, secret::new_token};
use crate::store::TokenHash;

/// A file with one token a line, `NAME ROLE sha256:HEX [expires=TIME]`; lines that start with `#`
/// are comments, and stay.
///
/// The file is replaced whole, so a reader sees it before or after a change; changes wait for each
/// other with a lock on a second file beside it, `FILE.lock`. It is readable by its owner only.
/// All methods block on the file system.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

/// Why a token file was not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The system refused.
    #[error("{path}: {error}")]
    Unusable {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// A line can't be read. The rest was not looked at, and nothing was changed.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: BadLine,
    },
    /// The name is taken.
    #[error("{path} has a token named {name} already; choose another name, or revoke it first")]
    NameTaken {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// There is no such token.
    #[error("{path} has no token named {name}; list the tokens to find the one you mean")]
    UnknownName {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// The name can't be one.
    #[error("{0}")]
    Name(BadLine),
    /// The token would never expire within the time that can be written.
    #[error("the token would outlive the calendar; choose a shorter time")]
    TooLong,
    /// No token could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl TokenFile {
    /// The file at `path`, which need not be there yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens in it, in their order, expired ones too.
    ///
    /// # Errors
    /// [`TokenFileError::Unusable`], also when it is not there, and [`TokenFileError::Line`].
    pub fn read(&self) -> Result<Vec<TokenEntry>, TokenFileError> {
        let text = fs::read_to_string(&self.path).map_err(|error| self.unusable(error))?;
        self.parse(&text)
    }

    /// Adds a token of the given name, and makes the file when there is none. The token comes back
    /// this one time; the file holds its hash only.
    ///
    /// # Errors
    /// Any [`TokenFileError`] but [`UnknownName`](TokenFileError::UnknownName); nothing was changed
    /// then.
    pub fn add(
        &self,
        name: &str,
        role: Role,
        lifetime: Option<Duration>,
    ) -> Result<Token, TokenFileError> {
        check_name(name).map_err(TokenFileError::Name)?;
        let expires_at = lifetime
            .map(|lifetime| {
                let at = SystemTime::now().checked_add(lifetime)?;
                (at < calendar_end()).then_some(at)
            })
            .map(|at| at.ok_or(TokenFileError::TooLong))
            .transpose()?;
        let token = new_token()?;
        let entry = TokenEntry {
            name: name.to_owned(),
            role,
            hash: TokenHash::of(token.expose()),
            expires_at,
        };
        self.change(|mut text, entries| {
            if entries.iter().any(|known| known.name == name) {
                return Err(TokenFileError::NameTaken {
                    path: self.shown(),
                    name: name.to_owned(),
                });
            }
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&entry.line());
            text.push('\n');
            Ok(text)
        })?;
        Ok(token)
    }

    /// Takes a token away. A running relay notices within about a second.
    ///
    /// # Errors
    /// [`TokenFileError::UnknownName`], [`TokenFileError::Unusable`], [`TokenFileError::Line`];
    /// nothing was changed then.
    pub fn revoke(&self, name: &str) -> Result<(), TokenFileError> {
        self.change(|text, entries| {
            if !entries.iter().any(|known| known.name == name) {
                return Err(TokenFileError::UnknownName {
                    path: self.shown(),
                    name: name.to_owned(),
                });
            }
            let others = text.lines().filter(|line| {
                let entry = TokenEntry::parse(line).ok().flatten();
                entry.is_none_or(|entry| entry.name != name)
            });
            let others = others.flat_map(|line| [line, "\n"]);
            Ok(others.collect())
        })
    }

    fn change(
        &self,
        edit: impl FnOnce(String, Vec<TokenEntry>) -> Result<String, TokenFileError>,
    ) -> Result<(), TokenFileError> {
        let unusable = |error| self.unusable(error);
        // A link is followed, not replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let lock = private(&with_suffix(&path, ".lock")).map_err(unusable)?;
        lock.lock().map_err(unusable)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unusable(error)),
        };
        let entries = self.parse(&text)?;
        let text = edit(text, entries)?;
        replace(&path, &text).map_err(unusable)
        // The lock goes with its file.
    }

    fn parse(&self, text: &str) -> Result<Vec<TokenEntry>, TokenFileError> {
        let mut entries: Vec<TokenEntry> = Vec::new();
        let (mut names, mut hashes) = (HashMap::new(), HashMap::new());
        for (line, text) in (1..).zip(text.lines()) {
            let bad = |problem| TokenFileError::Line {
                path: self.shown(),
                line,
                problem,
            };
            let Some(entry) = TokenEntry::parse(text).map_err(bad)? else {
                continue;
            };
            let before = names.insert(entry.name.clone(), line);
            if let Some(first) = before.or(hashes.insert(entry.hash, line)) {
                return Err(bad(BadLine::Repeated(first)));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn unusable(&self, error: io::Error) -> TokenFileError {
        TokenFileError::Unusable {
            path: self.shown(),
            error,
        }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// The end of the year 9999, the last that can be written.
fn calendar_end() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens a file that only its owner may read, and makes it when there is none.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Puts `text` in place of what is at `path`, on disk, whole or not at all.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = with_suffix(path, ".new");
    // One that a crash left behind may have other rights.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::at(folder.path().join("tokens"));
        (folder, file)
    }

    #[test]
    fn a_token_is_kept_as_its_hash_until_it_is_revoked() {
        let (_folder, file) = file();
        fs::write(file.path(), "# people\n\n").unwrap();
        let ann = file.add("ann", Role::Drive, None).unwrap();
        let day = Duration::from_secs(86_400);
        file.add("bob", Role::View, Some(day)).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.starts_with("# people\n\nann drive sha256:") && !text.contains(ann.expose()));

        let [first, second] = &file.read().unwrap()[..] else {
            panic!("two tokens");
        };
        assert!(first.name == "ann" && first.hash == TokenHash::of(ann.expose()));
        assert!(second.role == Role::View && !second.is_expired(SystemTime::now()));
        assert!(second.is_expired(SystemTime::now() + day));

        file.revoke("ann").unwrap();
        assert_eq!(file.read().unwrap().len(), 1);
        assert!(
            fs::read_to_string(file.path())
                .unwrap()
                .starts_with("# people\n\nbob ")
        );
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, file) = file();
        fs::write(file.path(), "").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        file.add("ann", Role::Own, None).unwrap();
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn changes_at_the_same_time_lose_nothing() {
        let (_folder, file) = file();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = file.clone();
                scope.spawn(move || {
                    for number in 0..8 {
                        let name = format!("t{thread}-{number}");
                        file.add(&name, Role::View, None).unwrap();
                    }
                    file.revoke(&format!("t{thread}-0")).unwrap();
                });
            }
        });
        assert_eq!(file.read().unwrap().len(), 8 * 7);
    }

    #[test]
    fn a_broken_line_is_named_and_nothing_is_changed() {
        let (_folder, file) = file();
        fs::write(file.path(), "# one\nann view nonsense\n").unwrap();
        for error in [
            file.read().map(drop).unwrap_err(),
            file.add("bob", Role::View, None).map(drop).unwrap_err(),
            file.revoke("ann").unwrap_err(),
        ] {
            assert!(error.to_string().contains("tokens, line 2: "), "{error}");
        }
        let hash = TokenHash::of("x").to_hex();
        let twice = format!("ann view sha256:{hash}\nbob own sha256:{hash}\n");
        fs::write(file.path(), &twice).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(
            error.contains("line 2: its name or its token is in line 1"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(file.path()).unwrap(), twice);
    }

    #[test]
    fn a_name_is_used_once_and_known() {
        let (_folder, file) = file();
        file.add("ann", Role::View, None).unwrap();
        let taken = file.add("ann", Role::Own, None);
        assert!(matches!(taken, Err(TokenFileError::NameTaken { .. })));
        let unknown = file.revoke("bob");
        assert!(matches!(unknown, Err(TokenFileError::UnknownName { .. })));
        assert!(matches!(
            file.add("a b", Role::Own, None),
            Err(TokenFileError::Name(_))
        ));
        let forever = file.add("bob", Role::Own, Some(Duration::MAX));
        assert!(matches!(forever, Err(TokenFileError::TooLong)));
    }
}
