//! Who watches whom, what is known of those who are watched, and what each session was told.

use hashbrown::{HashMap, HashSet};
use whimbrel_core::{Presence, PresenceState, SessionId, Sight, UserId};

/// "Last seen" is not told again when it differs by so little, milliseconds: what a connector saw itself is put right
/// by what is kept, a moment later.
const NEAR: u64 = 10_000;
/// Rounds after which somebody who is still thought to have been here later than is kept went without saying so.
const ROUNDS_UNSAID: u8 = 3;

pub(super) struct Book {
    /// Users of all sessions together, and the most there may be.
    watches: usize,
    most: usize,
    sessions: HashMap<SessionId, Watcher>,
    known: HashMap<UserId, Known>,
    /// Of these something else is known than before.
    touched: HashSet<UserId>,
    /// These sessions are looked through whatever was touched.
    due: HashSet<SessionId>,
    /// These have pairs of which is to be read what may be shown.
    unread: HashSet<SessionId>,
    gone: Vec<(UserId, u64)>,
}

/// A session that watches.
struct Watcher {
    user: UserId,
    /// By user, ascending.
    sees: Vec<Sees>,
}

/// One whom a session watches.
struct Sees {
    user: UserId,
    sight: Option<Sight>,
    is_unread: bool,
    /// `None`: nothing, or it got lost.
    told: Option<(PresenceState, u64)>,
}

/// One who is watched.
#[derive(Default)]
struct Known {
    watchers: usize,
    /// `None`: nobody knows.
    here: Option<bool>,
    /// When they were last known to be here, by transfers' clocks; 0: not since they are watched.
    until: u64,
    /// When they were seen last, as it is kept.
    seen_at: u64,
    /// Rounds since they left.
    away: u8,
}

impl Sees {
    /// What the session is to be told, if it was not.
    fn news(&mut self, known: &Known) -> Option<Presence> {
        let now = Presence::shown(self.user, self.sight.as_ref(), known.here, known.until);
        let same = self.told.is_some_and(|(state, last_seen)| {
            let both = last_seen != 0 && now.last_seen != 0;
            state == now.state && (last_seen == now.last_seen || both && last_seen.abs_diff(now.last_seen) < NEAR)
        });
        if same {
            return None;
        }
        self.told = Some((now.state, now.last_seen));
        Some(now)
    }
}

impl Book {
    /// With room for so many users of all sessions together.
    pub(super) fn new(most: usize) -> Self {
        Self {
            watches: 0,
            most,
            sessions: HashMap::new(),
            known: HashMap::new(),
            touched: HashSet::new(),
            due: HashSet::new(),
            unread: HashSet::new(),
            gone: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many sessions watch.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// All who are watched.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.known.keys().copied().collect()
    }

    /// Those of these of whom nobody knows whether they are here.
    pub(super) fn unplaced(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let is_unplaced = |user: &UserId| self.known.get(user).is_some_and(|known| known.here.is_none());
        let mut unplaced: Vec<UserId> = users.into_iter().filter(is_unplaced).collect();
        unplaced.sort_unstable();
        unplaced.dedup();
        unplaced
    }

    /// A session watches these from now on, and nobody else. `users`: ascending. False: there is no room for them, and it
    /// watches nobody.
    pub(super) fn watch(&mut self, session: SessionId, user: UserId, users: Vec<UserId>) -> bool {
        self.leave(session);
        if users.is_empty() || self.watches + users.len() > self.most {
            return users.is_empty();
        }
        self.watches += users.len();
        for user in &users {
            self.known.entry(*user).or_default().watchers += 1;
        }
        let sees = |user| Sees { user, sight: None, is_unread: true, told: None };
        self.sessions.insert(session, Watcher { user, sees: users.into_iter().map(sees).collect() });
        self.unread.insert(session);
        self.due.insert(session);
        true
    }

    /// A session watches no more.
    pub(super) fn leave(&mut self, session: SessionId) {
        let Some(watcher) = self.sessions.remove(&session) else { return };
        self.unread.remove(&session);
        self.due.remove(&session);
        self.watches -= watcher.sees.len();
        for Sees { user, .. } in watcher.sees {
            if let Some(known) = self.known.get_mut(&user) {
                known.watchers -= 1;
                if known.watchers == 0 {
                    self.known.remove(&user);
                }
            }
        }
    }

    /// What a session was told got lost on its way.
    pub(super) fn lost(&mut self, session: SessionId) {
        if let Some(watcher) = self.sessions.get_mut(&session) {
            watcher.sees.iter_mut().for_each(|sees| sees.told = None);
            self.due.insert(session);
        }
    }

    /// Of these, those in `here` (ascending) were here at `as_of`.
    pub(super) fn placed(&mut self, users: &[UserId], here: &[UserId], as_of: u64) {
        for user in users {
            let Some(known) = self.known.get_mut(user) else { continue };
            let is_here = here.binary_search(user).is_ok();
            if known.here != Some(is_here) {
                known.here = Some(is_here);
                self.touched.insert(*user);
            }
            if is_here {
                (known.until, known.away) = (known.until.max(as_of), 0);
            } else if known.away < ROUNDS_UNSAID {
                known.away += 1;
                if known.away == ROUNDS_UNSAID && known.seen_at < known.until {
                    self.gone.push((*user, known.until));
                }
            }
        }
    }

    /// Nobody knows where these are.
    pub(super) fn lost_sight(&mut self, users: &[UserId]) {
        for user in users {
            if self.known.get_mut(user).is_some_and(|known| known.here.take().is_some()) {
                self.touched.insert(*user);
            }
        }
    }

    /// Of these something else may be shown; `None`: of anybody.
    pub(super) fn stirred(&mut self, users: Option<&[UserId]>) {
        let stirred: Option<HashSet<UserId>> = users.map(|users| users.iter().copied().collect());
        if stirred.as_ref().is_some_and(HashSet::is_empty) {
            return;
        }
        for (session, watcher) in &mut self.sessions {
            for sees in &mut watcher.sees {
                if stirred.as_ref().is_none_or(|stirred| stirred.contains(&sees.user)) {
                    sees.is_unread = true;
                    self.unread.insert(*session);
                }
            }
        }
    }

    /// Pairs of which is to be read what may be shown, with their sessions; about `most`.
    pub(super) fn unread(&self, most: usize) -> Vec<(SessionId, (UserId, UserId))> {
        let mut pairs = Vec::new();
        for session in &self.unread {
            let Some(watcher) = self.sessions.get(session) else { continue };
            let unread = watcher.sees.iter().filter(|sees| sees.is_unread);
            pairs.extend(unread.map(|sees| (*session, (watcher.user, sees.user))));
            if pairs.len() >= most {
                pairs.truncate(most);
                break;
            }
        }
        pairs
    }

    /// What of these pairs may be shown, in their order.
    pub(super) fn read(&mut self, pairs: &[(SessionId, (UserId, UserId))], sights: Vec<Option<Sight>>) {
        for ((session, (_, at)), sight) in pairs.iter().zip(sights) {
            let Some(watcher) = self.sessions.get_mut(session) else { continue };
            let Ok(place) = watcher.sees.binary_search_by_key(at, |sees| sees.user) else { continue };
            let sees = &mut watcher.sees[place];
            (sees.sight, sees.is_unread) = (sight, false);
            if let (Some(known), Some(sight)) = (self.known.get_mut(at), sight) {
                known.seen_at = known.seen_at.max(sight.seen_at);
            }
            self.due.insert(*session);
        }
        // Those who have nothing left to be read, of those of whom something was.
        for pairs in pairs.chunk_by(|one, two| one.0 == two.0) {
            let watcher = self.sessions.get(&pairs[0].0);
            if !watcher.is_some_and(|watcher| watcher.sees.iter().any(|sees| sees.is_unread)) {
                self.unread.remove(&pairs[0].0);
            }
        }
    }

    /// Who went without saying so, each once.
    pub(super) fn take_gone(&mut self) -> Vec<(UserId, u64)> {
        std::mem::take(&mut self.gone)
    }

    /// What each session is to be told. It counts as told.
    pub(super) fn news(&mut self) -> Vec<(SessionId, Vec<Presence>)> {
        let (touched, due) = (std::mem::take(&mut self.touched), std::mem::take(&mut self.due));
        if touched.is_empty() && due.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (session, watcher) in &mut self.sessions {
            let is_due = due.contains(session);
            if !is_due && touched.is_empty() {
                continue;
            }
            let looked = watcher.sees.iter_mut().filter(|sees| is_due || touched.contains(&sees.user));
            let news = looked.filter_map(|sees| self.known.get(&sees.user).and_then(|known| sees.news(known)));
            let news: Vec<Presence> = news.collect();
            if !news.is_empty() {
                all.push((*session, news));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
