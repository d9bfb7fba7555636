//! Which relations have to be fetched by REST, one request at a time.
//!
//! All are fetched once in a store's life, after the first comparison of that session: from then on the rows of one's
//! private conversation say which have changed, and none of them lies before the start of that conversation's run.
//! What is due is stored with the row that said so, so that a crash in between forgets nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use whimbrel_core::UserId;

/// After so many failures messages are shown sealed rather than held back.
const PATIENCE: u32 = 3;
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is to be fetched.
#[derive(Debug)]
pub(crate) struct Due {
    /// Everything, from after this user on.
    all: Option<Option<UserId>>,
    users: BTreeSet<UserId>,
    failures: u32,
    retry_at: Option<Instant>,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// The page after this user.
    Page(Option<UserId>),
    /// The relation with this user.
    One(UserId),
}

impl Due {
    pub(crate) fn new(loaded: bool, users: Vec<UserId>) -> Self {
        Self { all: (!loaded).then_some(None), users: users.into_iter().collect(), failures: 0, retry_at: None }
    }

    pub(crate) fn all(&mut self) {
        self.all = Some(None);
    }

    pub(crate) fn user(&mut self, user: UserId) {
        self.users.insert(user);
    }

    /// The request to make now.
    pub(crate) fn next(&self, now: Instant) -> Option<Fetch> {
        if self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        match (self.all, self.users.first()) {
            (Some(after), _) => Some(Fetch::Page(after)),
            (None, Some(user)) => Some(Fetch::One(*user)),
            (None, None) => None,
        }
    }

    /// A page came; `last`: the user to go on after, if it was full. Says whether all are fetched now.
    pub(crate) fn page(&mut self, last: Option<UserId>) -> bool {
        self.succeeded();
        self.all = last.map(Some);
        self.all.is_none()
    }

    /// A single one came.
    pub(crate) fn settled(&mut self, user: UserId) {
        self.succeeded();
        self.users.remove(&user);
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures += 1;
        let pause = PAUSE_MIN * 2u32.pow(self.failures.min(8) - 1);
        self.retry_at = Some(now + pause.min(PAUSE_MAX));
    }

    /// Whether what waits for a key should wait no longer.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.failures >= PATIENCE
    }

    /// Whether nothing is due, or nothing can be had at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        self.failures > 0 || (self.all.is_none() && self.users.is_empty())
    }

    /// Whether this user's relation is to be fetched, alone or with all.
    pub(crate) fn awaits(&self, user: UserId) -> bool {
        self.all.is_some() || self.users.contains(&user)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }
}
