//! Which relations, groups and settings have to be fetched by REST, one request at a time.
//!
//! All are fetched once in a store's life, after the first comparison of that session: from then on the rows of one's
//! private conversation say which have changed, and none of them lies before the start of that conversation's run.
//! Settings likewise. A group is fetched, with its keys, when its conversation is first seen, when a row says that
//! something about it changed, and when a message needs a key that is not here.
//! What is due is stored with the row that said so, so that a crash in between forgets nothing. What becomes due again
//! while it is being fetched stays due: the answer that is under way may be from before.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use whimbrel_core::{ConversationId, UserId};

use crate::store::Snapshot;

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
    groups: BTreeSet<ConversationId>,
    /// All settings, from after this conversation on.
    all_settings: Option<Option<ConversationId>>,
    settings: BTreeSet<ConversationId>,
    /// The request that is under way, and whether it became due again since it began.
    under_way: Option<Fetch>,
    again: bool,
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
    /// This group, with its keys.
    Group(ConversationId),
    /// The page of settings after this conversation.
    Settings(Option<ConversationId>),
    /// How this conversation is shown.
    Setting(ConversationId),
}

impl Due {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self {
            all: (!snapshot.relations_loaded).then_some(None),
            users: snapshot.relations_due.iter().copied().collect(),
            groups: snapshot.groups_due.iter().copied().collect(),
            all_settings: (!snapshot.settings_loaded).then_some(None),
            settings: snapshot.settings_due.iter().copied().collect(),
            under_way: None,
            again: false,
            failures: 0,
            retry_at: None,
        }
    }

    pub(crate) fn group(&mut self, group: ConversationId) {
        self.again |= self.under_way == Some(Fetch::Group(group));
        self.groups.insert(group);
    }

    pub(crate) fn all_settings(&mut self) {
        self.again |= matches!(self.under_way, Some(Fetch::Settings(_)));
        self.all_settings = Some(None);
    }

    pub(crate) fn setting(&mut self, conversation: ConversationId) {
        self.again |= self.under_way == Some(Fetch::Setting(conversation));
        self.settings.insert(conversation);
    }

    pub(crate) fn all(&mut self) {
        self.again |= matches!(self.under_way, Some(Fetch::Page(_)));
        self.all = Some(None);
    }

    pub(crate) fn user(&mut self, user: UserId) {
        self.again |= self.under_way == Some(Fetch::One(user));
        self.users.insert(user);
    }

    /// The request to make now.
    pub(crate) fn next(&self, now: Instant) -> Option<Fetch> {
        if self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let people = self.all.map(Fetch::Page).or_else(|| self.users.first().map(|user| Fetch::One(*user)));
        let groups = || self.groups.first().map(|group| Fetch::Group(*group));
        let settings = || self.all_settings.map(Fetch::Settings);
        let setting = || self.settings.first().map(|conversation| Fetch::Setting(*conversation));
        people.or_else(groups).or_else(settings).or_else(setting)
    }

    /// This request is made now.
    pub(crate) fn begin(&mut self, fetch: Fetch) {
        (self.under_way, self.again) = (Some(fetch), false);
    }

    /// A page came; `last`: the user to go on after, if it was full. Says whether all are fetched now.
    pub(crate) fn page(&mut self, last: Option<UserId>) -> bool {
        if self.succeeded() {
            self.all = last.map(Some);
        }
        self.all.is_none()
    }

    /// A single one came. Says whether it is settled by that.
    pub(crate) fn settled(&mut self, user: UserId) -> bool {
        let is_settled = self.succeeded();
        if is_settled {
            self.users.remove(&user);
        }
        is_settled
    }

    /// A group came. Says whether it is settled by that.
    pub(crate) fn group_settled(&mut self, group: ConversationId) -> bool {
        let is_settled = self.succeeded();
        if is_settled {
            self.groups.remove(&group);
        }
        is_settled
    }

    /// A page of settings came. Says whether all are fetched now.
    pub(crate) fn settings_page(&mut self, next: Option<ConversationId>) -> bool {
        if self.succeeded() {
            self.all_settings = next.map(Some);
        }
        self.all_settings.is_none()
    }

    /// A single setting came. Says whether it is settled by that.
    pub(crate) fn setting_settled(&mut self, conversation: ConversationId) -> bool {
        let is_settled = self.succeeded();
        if is_settled {
            self.settings.remove(&conversation);
        }
        is_settled
    }

    /// Whether this group is to be fetched.
    pub(crate) fn awaits_group(&self, group: ConversationId) -> bool {
        self.groups.contains(&group)
    }

    /// An answer came. Says whether it counts: it does not if what was asked for became due again meanwhile.
    fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.retry_at = None;
        self.under_way = None;
        !std::mem::take(&mut self.again)
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        (self.under_way, self.again) = (None, false);
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
        let people = self.all.is_none() && self.users.is_empty();
        let others = self.groups.is_empty() && self.all_settings.is_none() && self.settings.is_empty();
        self.failures > 0 || (people && others)
    }

    /// Whether this user's relation is to be fetched, alone or with all.
    pub(crate) fn awaits(&self, user: UserId) -> bool {
        self.all.is_some() || self.users.contains(&user)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due() -> Due {
        Due::new(&Snapshot { relations_loaded: true, settings_loaded: true, ..Snapshot::default() })
    }

    /// Of each kind: what becomes due again while it is fetched is fetched again, and then it is settled.
    #[test]
    fn what_becomes_due_while_it_is_fetched_stays_due() {
        let (user, id) = (UserId(7), ConversationId::from_bytes([7; 16]));
        type Case = (fn(&mut Due), fn(&mut Due) -> bool);
        let cases: [Case; 5] = [
            (|due| due.user(UserId(7)), |due| due.settled(UserId(7))),
            (
                |due| due.group(ConversationId::from_bytes([7; 16])),
                |due| due.group_settled(ConversationId::from_bytes([7; 16])),
            ),
            (
                |due| due.setting(ConversationId::from_bytes([7; 16])),
                |due| due.setting_settled(ConversationId::from_bytes([7; 16])),
            ),
            (Due::all, |due| due.page(None)),
            (Due::all_settings, |due| due.settings_page(None)),
        ];
        let now = Instant::now();
        for (number, (mark, settle)) in cases.into_iter().enumerate() {
            let mut due = due();
            mark(&mut due);
            let asked = due.next(now).expect("it is due");
            due.begin(asked);
            // Something else does not matter.
            due.user(UserId(99));
            mark(&mut due);
            assert!(!settle(&mut due), "case {number}: the answer is from before");
            due.users.remove(&UserId(99));
            assert_eq!(due.next(now), Some(asked), "case {number}");
            due.begin(asked);
            assert!(settle(&mut due), "case {number}");
            assert_eq!(due.next(now), None, "case {number}");
        }
        let mut due = due();
        due.group(id);
        due.begin(Fetch::Group(id));
        due.group(id);
        due.failed(now);
        due.user(user);
        due.begin(Fetch::Group(id));
        assert!(due.group_settled(id), "what was asked for after a failure is new");
    }
}
