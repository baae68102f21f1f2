//! What goes wrong on the server's side, when a story says so.

use attache_protocol::io::{Input, NetworkFailure, Refusal, SocketEnding};

use super::{HttpPlan, Line, LineId, Outgoing, Server, Upgrade, plan::Plans};
use crate::token::token;

impl Server {
    /// Everything stored so far is no longer retained.
    pub fn forget_everything(&mut self) {
        self.log.clear();
    }

    /// The oldest entries are no longer retained.
    pub fn forget(&mut self, count: usize) {
        self.log.forget(count);
    }

    /// What is stored is counted from 1 again, as in another log.
    pub fn recount(&mut self) {
        self.log.recount();
    }

    // What happens to the link.

    /// The open socket is reset.
    pub fn reset(&mut self) {
        self.end_lines(NetworkFailure::Reset);
    }

    /// The open socket ends for this reason, without a close frame.
    pub fn lose(&mut self, failure: NetworkFailure) {
        self.end_lines(failure);
    }

    /// The server closes the socket, or ends the stream, which has no codes.
    pub fn close(&mut self, code: u16, reason: &'static str) {
        let ending = SocketEnding::CloseFrame {
            code,
            reason: reason.into(),
        };
        for line in self.live_lines() {
            match line {
                LineId::Socket(id) => {
                    self.lines.remove(&line);
                    let ending = ending.clone();
                    self.hand_over(Outgoing::OverLine(line, Input::SocketClosed { id, ending }));
                }
                LineId::Stream(id) => self.end_stream(id, NetworkFailure::Ended),
            }
        }
    }

    /// The open socket goes silent in both directions, and nobody is told.
    pub fn freeze(&mut self) {
        for line in self.live_lines() {
            self.lines.insert(line, Line::Frozen);
            self.hand_over(Outgoing::Freeze(line));
        }
    }

    /// Nobody can reach the server any more, whatever was planned; open sockets are reset.
    pub fn go_down(&mut self) {
        self.reset();
        let refused = Refusal::Network(NetworkFailure::Refused);
        self.upgrades = Plans::usually(Upgrade::Refuse(refused));
        self.posts = Plans::usually(HttpPlan::Fail(NetworkFailure::Refused));
        self.lists = Plans::usually(HttpPlan::Fail(NetworkFailure::Refused));
    }

    /// Everything works again, whatever was planned.
    pub fn come_up(&mut self) {
        self.upgrades = Plans::usually(Upgrade::Accept);
        self.posts = Plans::usually(HttpPlan::Serve);
        self.lists = Plans::usually(HttpPlan::Serve);
    }

    /// Plans how the next unplanned attempt to subscribe ends.
    pub fn next_upgrade(&mut self, plan: Upgrade) {
        self.upgrades.next(plan);
    }

    /// Sets how every unplanned attempt ends.
    pub fn every_upgrade(&mut self, plan: Upgrade) {
        self.upgrades.always(plan);
    }

    /// Plans how the next unplanned post ends.
    pub fn next_post(&mut self, plan: HttpPlan) {
        self.posts.next(plan);
    }

    /// Sets how every unplanned post ends.
    pub fn every_post(&mut self, plan: HttpPlan) {
        self.posts.always(plan);
    }

    /// Plans how the next unplanned page of history ends.
    pub fn next_list(&mut self, plan: HttpPlan) {
        self.lists.next(plan);
    }

    /// Sets how every unplanned page ends.
    pub fn every_list(&mut self, plan: HttpPlan) {
        self.lists.always(plan);
    }

    /// From now on only the token of this name is good.
    pub fn accept_only(&mut self, name: &str) {
        self.accepted_token = Some(token(name));
    }

    // What it has seen.
}
