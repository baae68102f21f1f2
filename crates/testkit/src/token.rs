//! The scripted token source.

use std::collections::VecDeque;

use attache_protocol::io::{Token, TokenRefusal};

/// Part of every token in a story. It must not show up in anything that is printed.
pub const SECRET: &str = "s3cret";

/// How a question to the token source ends.
#[derive(Clone, Debug)]
pub enum TokenPlan {
    /// With the token of this name.
    Give(&'static str),
    /// With none.
    Refuse(TokenRefusal),
    /// Not at all.
    Never,
}

/// Gives the token `first`, unless told otherwise.
#[derive(Clone, Debug)]
pub struct TokenSource {
    plans: VecDeque<TokenPlan>,
    usual: TokenPlan,
    asked: usize,
}

impl Default for TokenSource {
    fn default() -> Self {
        Self {
            plans: VecDeque::new(),
            usual: TokenPlan::Give("first"),
            asked: 0,
        }
    }
}

impl TokenSource {
    /// Plans how the next unplanned question ends.
    pub fn next(&mut self, plan: TokenPlan) {
        self.plans.push_back(plan);
    }

    /// Sets how every unplanned question ends.
    pub fn always(&mut self, plan: TokenPlan) {
        self.usual = plan;
    }

    /// It answers again, whatever was planned.
    pub(crate) fn come_back(&mut self) {
        self.plans.clear();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked
    }

    pub(crate) fn ask(&mut self) -> TokenPlan {
        self.asked += 1;
        self.plans.pop_front().unwrap_or_else(|| self.usual.clone())
    }
}

/// The token called `name`.
pub(crate) fn token(name: &str) -> Token {
    Token::new(format!("{SECRET}-{name}"))
}
