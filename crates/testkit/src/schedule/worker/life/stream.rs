//! The stream of what viewers send, and what becomes of it on the way.

use std::time::Duration;

use attache_protocol::{
    Bytes,
    io::{HttpRequest, Input, NetworkFailure, Refusal, StreamId},
    time::Timestamp,
};

use super::{
    super::{machine::Act, weather::StreamFate},
    Beat, Handed, Happening, Lease, Life, Line, LineLife,
};
use crate::millis;

impl Handed {
    /// Some more of the stream was handed in.
    fn note(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let numbers = text.lines().filter_map(|line| line.strip_prefix("id: "));
        let last = numbers.filter_map(|number| number.parse().ok()).max();
        self.begun = self.begun.max(last.unwrap_or(0));
        if text.ends_with("\n\n") {
            self.full = self.begun;
        }
    }
}

impl Life {
    pub(super) fn open_stream(&mut self, id: StreamId, request: &HttpRequest, after: u64) {
        let bearer = request.bearer.expose().to_owned();
        let fate = self.weather.of_stream(self.now);
        // What was handed in and not looked at is asked for again.
        self.handed = Handed {
            begun: after,
            full: after,
        };
        let admitted = self.server.admits(&bearer, self.now);
        self.stream = Some(Line {
            id,
            bearer,
            after,
            life: LineLife::Asked,
            heard: None,
            busy_until: self.now,
        });
        if fate != StreamFate::Opened {
            self.fault(&format!("{fate:?} for the stream"), Duration::ZERO);
        }
        let closed = |ending| Input::StreamClosed { id, ending };
        let refused = |status, retry_after| {
            closed(Refusal::Http {
                status,
                retry_after,
            })
        };
        let latency = self.weather.latency * 2;
        let input = match fate {
            StreamFate::Opened | StreamFate::Ended | StreamFate::Mute if admitted != 200 => {
                refused(admitted, None)
            }
            StreamFate::Opened => Input::StreamOpened { id },
            StreamFate::Ended => {
                self.plan(latency, Happening::Answer(Input::StreamOpened { id }));
                closed(Refusal::Network(NetworkFailure::Ended))
            }
            StreamFate::Mute => {
                if let Some(line) = &mut self.stream {
                    line.life = LineLife::Mute;
                }
                self.trouble(latency + self.config.liveness.stream_silence * 2);
                Input::StreamOpened { id }
            }
            StreamFate::Failed(failure) => closed(Refusal::Network(failure)),
            StreamFate::Swallowed => return,
            StreamFate::Status(status, retry_after) => {
                let cap = self.config.liveness.retry_after_cap;
                self.trouble(latency + retry_after.unwrap_or_default().min(cap));
                refused(status, retry_after)
            }
        };
        self.plan(latency, Happening::Answer(input));
    }

    pub(super) fn stream_ended(&mut self, ending: Refusal) {
        self.failures += 1;
        self.asked_pause = None;
        if let Refusal::Http {
            status,
            retry_after,
        } = ending
        {
            self.asked_pause = retry_after;
            if status == 410 {
                self.lease = Lease::Lost;
            }
            self.statuses.insert(status);
            if status == 409 {
                self.fenced = Some(status);
            }
            if matches!(status, 401 | 403)
                && let Some(held) = &self.held
            {
                self.refused.insert(held.token.clone());
            }
        }
    }

    /// Bytes for the worker, behind what is on its way already.
    pub(in crate::schedule) fn send_bytes(&mut self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.send_line(|id| Input::StreamBytes { id, bytes });
    }

    /// The server ends the stream.
    pub(in crate::schedule) fn end_stream(&mut self, failure: NetworkFailure) {
        self.send_line(|id| Input::StreamClosed {
            id,
            ending: Refusal::Network(failure),
        });
    }

    /// The stream breaks: what is on its way is lost.
    pub(in crate::schedule) fn break_stream(&mut self, failure: NetworkFailure) {
        let Some(line) = &self.stream else { return };
        if line.life == LineLife::Asked {
            return;
        }
        let id = line.id;
        self.lose(id);
        let ending = Refusal::Network(failure);
        let input = Input::StreamClosed { id, ending };
        self.plan(Duration::ZERO, Happening::Line(id, input));
    }

    /// Nothing passes any more, and nobody is told.
    pub(in crate::schedule) fn mute_stream(&mut self) {
        let Some(line) = &mut self.stream else { return };
        if line.life == LineLife::Open {
            line.life = LineLife::Mute;
            let id = line.id;
            self.lose(id);
            self.trouble(self.config.liveness.stream_silence * 2);
        }
    }

    /// Every call under way fails.
    pub(in crate::schedule) fn break_calls(&mut self, failure: NetworkFailure) {
        let ids: Vec<_> = self.calls.keys().copied().collect();
        for id in ids {
            self.plan(
                Duration::ZERO,
                Happening::Answer(Input::HttpFailed { id, failure }),
            );
        }
    }

    /// Hands over what has arrived for as long as the worker wants to read.
    pub(super) fn read_line(&mut self) -> Result<(), String> {
        while self.machine.worker.wants_read() {
            let Some((id, arrived, input)) = self.unread.pop_front() else {
                return Ok(());
            };
            if self.stream.as_ref().is_none_or(|line| line.id != id) {
                continue;
            }
            if let Input::StreamClosed { ending, .. } = &input {
                let ending = *ending;
                self.stream = None;
                self.stream_ended(ending);
                if arrived < self.now {
                    // It had other things to do first, and makes a new one only now.
                    self.trouble(Duration::ZERO);
                }
            }
            if let Input::StreamBytes { bytes, .. } = &input {
                self.handed.note(bytes);
                if let Some(line) = &mut self.stream {
                    line.heard = Some(self.now);
                }
            }
            let is_heard = matches!(input, Input::StreamBytes { .. });
            self.act(&Act::Input(input))?;
            // What could not be looked at yet was not heard.
            self.has_heard |= is_heard && self.machine.worker.wants_read();
        }
        Ok(())
    }

    /// The bearer of the open stream, which tells who has it.
    pub(in crate::schedule) fn stream_is_open(&self) -> bool {
        let is_open = |line: &Line| line.life == LineLife::Open && !line.bearer.is_empty();
        self.stream.as_ref().is_some_and(is_open)
    }

    /// What is sent next over the stream takes its time.
    pub(super) fn dawdle(&mut self) {
        if let Some(line) = &mut self.stream {
            let later = line.busy_until.checked_add(millis(300));
            line.busy_until = later.unwrap_or(line.busy_until);
        }
    }

    fn send_line(&mut self, input: impl FnOnce(StreamId) -> Input) {
        let latency = self.weather.latency;
        let Some(line) = &mut self.stream else { return };
        if line.life != LineLife::Open {
            return;
        }
        // A line never reorders.
        let at: Timestamp = self.now.checked_add(latency).unwrap_or(self.now);
        let at = at.max(line.busy_until);
        line.busy_until = at;
        let happening = Happening::Line(line.id, input(line.id));
        self.plan_at(at, happening);
    }

    fn lose(&mut self, id: StreamId) {
        self.unread.retain(|(line, _, _)| *line != id);
        self.agenda
            .retain(|_, happening| !matches!(happening, Happening::Line(line, _) if *line == id));
    }

    pub(in crate::schedule) fn fault(&mut self, what: &str, lasting: Duration) {
        self.counts.faults += 1;
        self.machine.note(self.now, what);
        self.trouble(lasting);
    }

    /// The machine this runs on says that it woke up.
    pub(in crate::schedule) fn wake(&mut self) -> Result<(), String> {
        if self.beat != Beat::Off {
            self.beat = Beat::Somewhere(self.now);
        }
        self.act(&Act::Input(Input::Woke)).map(drop)
    }
}
