//! The log, held against what everybody has said and was shown.

use std::fs;

use tokio::time::Instant;

use super::World;
use crate::{
    program::{LIMIT, output},
    record::Record,
};

impl World {
    /// Waits until everybody has been shown everything, and holds the log against it all.
    pub(super) async fn check(&mut self) {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.hear_what_is_there().await;
            let record = self.record().await;
            let sound = record
                .holds(&self.accepted)
                .and_then(|()| record.says_only(&self.said))
                .and_then(|()| self.told_once(&record));
            if let Err(wrong) = sound {
                self.fail(&wrong);
            }
            // What was said last may still be on its way.
            let complete = self
                .views
                .iter()
                .try_for_each(|view| {
                    record.against(view)?;
                    record.settled_as(view)?;
                    match view.open.first() {
                        Some(prompt) => Err(format!("prompt {prompt} is still shown")),
                        None => Ok(()),
                    }
                })
                .and_then(|()| self.followed_is(&record))
                .and_then(|()| record.prompts())
                .and_then(|()| record.is_heeded());
            let Err(missing) = complete else { return };
            self.hear(deadline, &missing).await;
        }
    }

    fn followed_is(&self, record: &Record) -> Result<(), String> {
        if self.followed == record.lines {
            return Ok(());
        }
        let followed = self.followed.iter();
        let at = followed
            .zip(&record.lines)
            .take_while(|(followed, logged)| followed == logged)
            .count();
        Err(format!(
            "followed {} lines, logged {}; at {at} followed {:?}, logged {:?}",
            self.followed.len(),
            record.lines.len(),
            self.followed.get(at),
            record.lines.get(at),
        ))
    }

    fn told_once(&self, record: &Record) -> Result<(), String> {
        for entry in fs::read_dir(self.heard_folder()).unwrap() {
            let heard = fs::read(entry.unwrap().path()).unwrap();
            record.told_once(&String::from_utf8_lossy(&heard))?;
        }
        Ok(())
    }

    /// The log as it is now.
    pub(super) async fn record(&self) -> Record {
        match output(&mut self.command_line(&["log", &self.session])).await {
            Ok(log) => Record::new(&log),
            Err(failure) => self.fail(&failure),
        }
    }
}
