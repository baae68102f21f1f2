//! `demo --script`: a whole conversation without a keyboard, with a relay that crashes in the middle of
//! it, and a check that nothing was lost or repeated.

use std::{
    io::{self, LineWriter, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use attache_protocol::{
    SessionId,
    policy::{Delays, Limit, RetryRule},
    viewer::{Allow, Content, Decision, Event, History, MessageId, Standing, Status, ViewerConfig},
};
use attache_relay::MemoryStore;
use attache_tokio::{Events, Session};
use tokio::sync::mpsc;

use super::{
    direction::{Director, Report},
    process::Bridged,
    record::{Record, verify},
    stage::Stage,
};
use crate::{
    attach::{Countdown, Face, Moment, Terminal, Watching},
    exit::{Exit, Failure},
    signals::Signals,
};

/// The whole script must be over by then.
const LIMIT: Duration = Duration::from_secs(60);
/// The time between two words of the agent.
const PACE: Duration = Duration::from_millis(10);
/// The time between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// Words to hear before interrupting.
const ENOUGH: usize = 12;
/// What the agent says while nobody can hear it.
const UNHEARD: [&str; 3] = [
    "Is anybody there?",
    "It seems that the relay is down. I go on; the bridge keeps it.",
    "You will read this when you are back.",
];

pub(super) async fn run() -> Result<(), Failure> {
    let mut signals = Signals::listen();
    let store = Arc::new(MemoryStore::new());
    let mut stage = Stage::open(store.clone()).await?;
    let (director, address) = Director::wait().await?;
    let bridged = Bridged::start(&stage, PACE, Some(address))?;
    let result = tokio::select! {
        result = tokio::time::timeout(LIMIT, play(&mut stage, &store, &bridged, director)) => {
            result.unwrap_or_else(|_| Err(Failure::timed_out("the script to end")))
        }
        _ = signals.next() => Err(Failure::Silent(Exit::Interrupted)),
    };
    bridged.end().await?;
    let Played {
        session_id,
        mut record,
        mut reports,
    } = result?;
    // The agent has left, so its record ends.
    while let Some(report) = reports.recv().await {
        record.report(report);
    }
    let summary = verify(&record, &*store, &session_id).await?;
    writeln!(io::stdout(), "{summary}")?;
    Ok(())
}

/// What is left of the script when it has been played.
struct Played {
    session_id: SessionId,
    record: Record,
    reports: mpsc::UnboundedReceiver<Report>,
}

async fn play(
    stage: &mut Stage,
    store: &Arc<MemoryStore>,
    bridged: &Bridged,
    director: Director,
) -> Result<Played, Failure> {
    let Director { cues, mut reports } = director;
    let session_id = bridged.session().await?;
    let mut record = Record::default();
    while !record.has_begun() {
        let report = reports.recv().await;
        record.report(report.ok_or_else(lost)?);
    }

    let (session, events, _driver) =
        attache_tokio::spawn(config(&session_id), stage.options()?, stage.token())?;
    let mut player = Player {
        session,
        events,
        terminal: Terminal::new(
            LineWriter::new(anstream::stdout()),
            anstream::stdout(),
            Countdown::Once,
            Watching::Only,
        ),
        reports,
        record,
    };

    player.until(Record::is_live).await?;

    player.say("Please roll the dice.").await?;
    player
        .until(|record| record.open_prompt().is_some())
        .await?;
    player.decide("allowing it", Decision::allow()).await?;
    player.until(|record| record.turns == 1).await?;

    player.say("Roll again.").await?;
    player
        .until(|record| record.open_prompt().is_some())
        .await?;
    player
        .decide("denying it", Decision::deny("once is enough"))
        .await?;
    player.until(|record| record.turns == 2).await?;

    player.say("Now count as far as you can.").await?;
    let words = player.record.words;
    player
        .until(|record| record.words >= words + ENOUGH)
        .await?;
    player.narrate("interrupting")?;
    player
        .session
        .interrupt()
        .await
        .map_err(|error| refused("the interrupt", &error))?;
    player
        .until(|record| record.turns == 3 && record.interrupts == 1)
        .await?;

    player.say("One last roll, please.").await?;
    player
        .until(|record| record.open_prompt().is_some())
        .await?;
    player.narrate("the relay crashes: every connection breaks, the port is closed")?;
    stage.crash(store.clone()).await;
    player.until(|record| !record.is_live()).await?;
    let anyway = Allow {
        standing: Standing::EvenIfUnverified,
        ..Allow::default()
    };
    player
        .decide(
            "allowing it while the relay is down",
            Decision::Allow(anyway),
        )
        .await?;
    player.say("Are you still there?").await?;
    player.narrate("the agent goes on talking, and the bridge keeps it")?;
    for line in UNHEARD {
        let _ = cues.send(line.to_owned());
    }
    player.until_spoken(UNHEARD.len()).await?;
    player.narrate("the relay is back on the same port")?;
    stage.reopen().await?;
    player
        .until(|record| record.turns == 5 && record.is_live() && record.is_settled())
        .await?;

    let Player {
        session,
        mut events,
        mut terminal,
        mut record,
        reports,
    } = player;
    let _ = session.close().await;
    while let Some(event) = events.next().await {
        record.event(&event);
    }
    terminal.finish()?;
    Ok(Played {
        session_id,
        record,
        reports,
    })
}

fn config(session: &SessionId) -> ViewerConfig {
    let mut config = ViewerConfig::new(session.clone());
    config.history = History::All;
    config.initialize = true;
    config.profile.drops = RetryRule {
        delays: Delays::Constant(RETRY),
        limit: Limit::Retries(200),
    };
    config.profile.restart_window = Duration::ZERO;
    config
}

fn lost() -> Failure {
    Failure::new(
        Exit::Failure,
        "the session ended in the middle of the script",
    )
}

fn refused(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, format!("{what} was refused: {error}"))
}

/// The viewer's part in the script.
struct Player<O: Write, N: Write> {
    session: Session,
    events: Events,
    terminal: Terminal<O, N>,
    reports: mpsc::UnboundedReceiver<Report>,
    record: Record,
}

impl<O: Write, N: Write> Player<O, N> {
    /// Shows what happens until `enough`.
    async fn until(&mut self, enough: impl Fn(&Record) -> bool) -> Result<(), Failure> {
        while !enough(&self.record) {
            tokio::select! {
                event = self.events.next() => self.event(event)?,
                Some(report) = self.reports.recv() => self.record.report(report),
            }
        }
        self.terminal.flush()?;
        Ok(())
    }

    /// Shows what happens until the agent has said `lines` lines on cue.
    async fn until_spoken(&mut self, lines: usize) -> Result<(), Failure> {
        let before = self.record.spoken;
        self.until(|record| record.spoken >= before + lines).await
    }

    fn event(&mut self, event: Option<Event>) -> Result<(), Failure> {
        let event = event.ok_or_else(lost)?;
        self.record.event(&event);
        let now = Moment {
            instant: Instant::now(),
            timestamp: self.session.now(),
        };
        // The attempts in between are many and alike.
        if !matches!(
            event,
            Event::Status(
                Status::Connecting { attempt: 1.. } | Status::Waiting { attempt: 2.., .. }
            )
        ) {
            self.terminal.event(&event, now)?;
        }
        match event {
            Event::Closed(_) => Err(lost()),
            _ => Ok(()),
        }
    }

    async fn say(&mut self, text: &str) -> Result<MessageId, Failure> {
        self.narrate(&format!("saying: {text}"))?;
        let sent = self.session.send(Content::text(text)).await;
        let id = sent.map_err(|error| refused("the message", &error))?;
        self.record.said.push(id.as_str().to_owned());
        Ok(id)
    }

    /// Answers the prompt that is open.
    async fn decide(&mut self, what: &str, decision: Decision) -> Result<(), Failure> {
        self.narrate(what)?;
        let Some(request_id) = self.record.open_prompt() else {
            return Err(Failure::new(Exit::Failure, "the prompt went away"));
        };
        self.session
            .decide(request_id.clone(), decision)
            .await
            .map_err(|error| refused("the answer", &error))?;
        self.record.answered.push(request_id);
        Ok(())
    }

    fn narrate(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.terminal.narrate(text)?)
    }
}
