//! What was said is delivered: in the server's order, once, and what is missing is a gap.

use std::collections::{HashMap, VecDeque};

use attache_protocol::viewer::{Cursor, History, Message, Source, ViewerConfig};

use crate::server::Chronicled;

/// Everything the server ever stored, and how far the application has been told.
pub(super) struct Delivery {
    history: History,
    log: Vec<Place>,
    places: HashMap<String, usize>,
    taken: Option<usize>,
    told: Told,
    /// Whether there was a gap at any time.
    ever_gap: bool,
    caught_up: bool,
    from_history: usize,
    passing: u64,
    count: u64,
    recent: VecDeque<String>,
}

/// So many of the messages delivered last are remembered.
const RECENT: usize = 8;

struct Place {
    uuid: String,
    is_message: bool,
}

/// What was told since the last message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That something is missing.
    Gap,
}

impl Delivery {
    pub(super) fn new(config: &ViewerConfig) -> Self {
        Self {
            history: config.history,
            log: Vec::new(),
            places: HashMap::new(),
            taken: None,
            told: Told::Nothing,
            ever_gap: false,
            caught_up: false,
            from_history: 0,
            passing: 0,
            count: 0,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn learn(&mut self, chronicle: &[Chronicled]) {
        for entry in chronicle.get(self.log.len()..).unwrap_or_default() {
            self.places.insert(entry.uuid.clone(), self.log.len());
            self.log.push(Place {
                uuid: entry.uuid.clone(),
                is_message: entry.is_message,
            });
        }
    }

    pub(super) fn holds(&self, uuid: &str) -> bool {
        self.places.contains_key(uuid)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.taken.is_some()
    }

    /// The message that was delivered so many before the last one.
    pub(super) fn delivered(&self, back: usize) -> Option<&str> {
        self.recent.get(back).map(String::as_str)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn had_gap(&self) -> bool {
        self.ever_gap
    }

    pub(super) fn caught_up(&mut self) {
        self.caught_up = true;
    }

    /// A message was delivered; of the log, the first `forgotten` entries are no longer retained.
    pub(super) fn message(
        &mut self,
        message: &Message,
        own: impl Fn(&str) -> bool,
        forgotten: usize,
    ) -> Result<(), String> {
        self.count += 1;
        let Some(uuid) = message.frame.uuid() else {
            return Err("a message without an id is delivered".to_owned());
        };
        let Some(&place) = self.places.get(&**uuid) else {
            return self.passing(uuid);
        };
        if own(uuid) {
            return Err(format!("our own message {uuid} is repeated to us"));
        }
        if message.source == Source::History {
            self.from_history += 1;
            if matches!(self.history, History::Latest(most) if self.from_history > most) {
                return Err(format!("{uuid} is more history than was asked for"));
            }
        }
        let from = match (self.taken, self.history) {
            (Some(taken), _) if place <= taken => {
                return Err(format!("{uuid} comes after what was said after it"));
            }
            (Some(taken), _) => taken + 1,
            (None, History::All) => forgotten,
            (None, History::Latest(_) | History::None) => place,
        };
        if self.told == Told::Nothing
            && let Some(missing) = self.first_missing(from, place, own)
        {
            return Err(format!("{missing} was left out before {uuid}"));
        }
        self.taken = Some(place);
        self.told = Told::Nothing;
        self.recent.push_front(uuid.to_string());
        self.recent.truncate(RECENT);
        Ok(())
    }

    /// What is not stored comes in the order in which it was said, and once.
    fn passing(&mut self, uuid: &str) -> Result<(), String> {
        let number = uuid
            .strip_prefix('e')
            .and_then(|number| number.parse().ok());
        let Some(number) = number else {
            return Err(format!("{uuid} is delivered, and nobody said it"));
        };
        if number <= self.passing {
            return Err(format!("{uuid} comes after what was said after it"));
        }
        self.passing = number;
        Ok(())
    }

    /// A gap was told.
    pub(super) fn gap(
        &mut self,
        after: Option<&str>,
        own: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        self.ever_gap = true;
        let told = std::mem::replace(&mut self.told, Told::Gap);
        let Some(after) = after else {
            return match self.recent.front() {
                Some(_) => Err("a gap after nothing, though messages were delivered".to_owned()),
                None => Ok(()),
            };
        };
        let Some(&place) = self.places.get(after) else {
            return Err(format!("a gap after {after}, which nobody said"));
        };
        let Some(taken) = self.taken else {
            return Ok(());
        };
        if place < taken {
            let last = self.log.get(taken).map_or("", |place| &place.uuid);
            return Err(format!("a gap after {after}, though {last} was delivered"));
        }
        match self.first_missing(taken + 1, place + 1, own) {
            Some(missing) if told == Told::Nothing => {
                Err(format!("a gap after {after}, though {missing} is missing"))
            }
            _ => Ok(()),
        }
    }

    /// The cursor covers what was taken, and nothing else.
    pub(super) fn cursor(
        &self,
        cursor: Option<&Cursor>,
        own: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let Some(cursor) = cursor else {
            return Ok(());
        };
        let Some(place) = self.place_of(cursor) else {
            return match cursor {
                Cursor::Sequence(0) => Ok(()),
                Cursor::Sequence(_) | Cursor::Event(_) => {
                    Err(format!("the cursor is {cursor}, where nothing was said"))
                }
            };
        };
        let Some(taken) = self.taken else {
            return Ok(());
        };
        if place < taken {
            return Err(format!("the cursor is {cursor}, before what was taken"));
        }
        match self.first_missing(taken + 1, place + 1, own) {
            Some(missing) if self.told == Told::Nothing => Err(format!(
                "the cursor is {cursor}, and {missing} was not taken"
            )),
            _ => Ok(()),
        }
    }

    /// Another process goes on after `cursor`.
    pub(super) fn begin_anew(&mut self, cursor: Option<&Cursor>) {
        let covered = cursor.and_then(|cursor| self.place_of(cursor));
        self.taken = self.taken.max(covered);
        self.recent.clear();
    }

    fn place_of(&self, cursor: &Cursor) -> Option<usize> {
        let place = match cursor {
            Cursor::Event(id) => self.places.get(&*id.text()).copied(),
            Cursor::Sequence(number) => usize::try_from(*number).ok()?.checked_sub(1),
        };
        place.filter(|place| *place < self.log.len())
    }

    /// Everything is delivered, or told to be missing.
    pub(super) fn settled(&self, own: impl Fn(&str) -> bool) -> Result<(), String> {
        if !self.caught_up {
            return Err("never caught up".to_owned());
        }
        let Some(taken) = self.taken else {
            return Ok(());
        };
        match self.first_missing(taken + 1, self.log.len(), own) {
            Some(missing) if self.told == Told::Nothing => Err(format!("{missing} is lost")),
            _ => Ok(()),
        }
    }

    /// The first message of others that stands there.
    fn first_missing(&self, from: usize, to: usize, own: impl Fn(&str) -> bool) -> Option<&str> {
        let missing = self.log.get(from..to)?;
        let missing = missing
            .iter()
            .find(|place| place.is_message && !own(&place.uuid))?;
        Some(&missing.uuid)
    }
}
