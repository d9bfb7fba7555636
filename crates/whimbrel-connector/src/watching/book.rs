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
            state == now.state
                && (last_seen == now.last_seen || both && last_seen.abs_diff(now.last_seen) < NEAR)
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
        let sessions = &self.sessions;
        let has_unread = |id: &SessionId| sessions.get(id).is_some_and(|w| w.sees.iter().any(|sees| sees.is_unread));
        self.unread.retain(has_unread);
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
mod tests {
    use super::*;

    const ANNA: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const CARL: UserId = UserId(3);
    const FRIEND: Option<Sight> = Some(Sight { invisible: false, last_seen_hidden: false, seen_at: 50 });

    /// Anna's session, which watches these and has read that it may see them.
    fn watching(users: &[UserId]) -> (Book, SessionId) {
        let (mut book, session) = (Book::new(1000), SessionId::generate());
        assert!(book.watch(session, ANNA, users.to_vec()));
        let pairs = book.unread(100);
        let sights = vec![FRIEND; pairs.len()];
        book.read(&pairs, sights);
        assert!(book.unread(100).is_empty());
        (book, session)
    }

    fn told(book: &mut Book) -> Vec<(UserId, PresenceState, u64)> {
        let news = book.news();
        assert!(news.len() <= 1);
        let all = news.into_iter().flat_map(|(_, news)| news);
        all.map(|presence| (presence.user, presence.state, presence.last_seen)).collect()
    }

    use PresenceState::{Offline, Online, Unknown};

    #[test]
    fn a_session_is_told_of_everybody_once_and_then_of_changes() {
        let (mut book, _) = watching(&[BOB, CARL]);
        book.placed(&[BOB, CARL], &[CARL], 100_000);
        assert_eq!(told(&mut book), [(BOB, Offline, 50), (CARL, Online, 0)]);
        book.placed(&[BOB, CARL], &[CARL], 102_000);
        assert_eq!(told(&mut book), []);
        book.placed(&[BOB, CARL], &[BOB], 104_000);
        assert_eq!(told(&mut book), [(BOB, Online, 0), (CARL, Offline, 102_000)]);
    }

    #[test]
    fn who_leaves_and_comes_back_between_two_rounds_is_not_told() {
        let (mut book, _) = watching(&[BOB]);
        book.placed(&[BOB], &[BOB], 100_000);
        told(&mut book);
        book.placed(&[BOB], &[], 102_000);
        book.placed(&[BOB], &[BOB], 104_000);
        assert_eq!(told(&mut book), []);
    }

    #[test]
    fn what_is_kept_puts_last_seen_right_and_a_little_difference_is_not_told() {
        let (mut book, session) = watching(&[BOB]);
        book.placed(&[BOB], &[BOB], 100_000);
        book.placed(&[BOB], &[], 102_000);
        assert_eq!(told(&mut book), [(BOB, Offline, 100_000)]);
        let read = |book: &mut Book, seen_at| {
            book.stirred(Some(&[BOB]));
            let pairs = book.unread(100);
            assert_eq!(pairs, [(session, (ANNA, BOB))]);
            book.read(&pairs, vec![Some(Sight { seen_at, ..Sight::default() })]);
        };
        read(&mut book, 101_000);
        assert_eq!(told(&mut book), []);
        read(&mut book, 150_000);
        assert_eq!(told(&mut book), [(BOB, Offline, 150_000)]);
    }

    #[test]
    fn who_is_no_friend_any_more_is_unknown_and_stays_so() {
        let (mut book, _) = watching(&[BOB]);
        book.placed(&[BOB], &[BOB], 100_000);
        assert_eq!(told(&mut book), [(BOB, Online, 0)]);
        book.stirred(Some(&[BOB]));
        let pairs = book.unread(100);
        book.read(&pairs, vec![None]);
        assert_eq!(told(&mut book), [(BOB, Unknown, 0)]);
        book.placed(&[BOB], &[], 102_000);
        assert_eq!(told(&mut book), []);
    }

    #[test]
    fn what_got_lost_is_told_as_it_is_then() {
        let (mut book, session) = watching(&[BOB, CARL]);
        book.placed(&[BOB, CARL], &[BOB, CARL], 100_000);
        told(&mut book);
        book.placed(&[BOB, CARL], &[BOB], 102_000);
        book.lost(session);
        assert_eq!(told(&mut book), [(BOB, Online, 0), (CARL, Offline, 100_000)]);
    }

    #[test]
    fn while_nobody_knows_everybody_is_unknown() {
        let (mut book, _) = watching(&[BOB]);
        assert_eq!(told(&mut book), [(BOB, Unknown, 0)], "nobody has said where they are");
        book.placed(&[BOB], &[BOB], 100_000);
        assert_eq!(told(&mut book), [(BOB, Online, 0)]);
        book.lost_sight(&[BOB]);
        book.lost_sight(&[BOB]);
        assert_eq!(told(&mut book), [(BOB, Unknown, 0)]);
        book.placed(&[BOB], &[BOB], 110_000);
        assert_eq!(told(&mut book), [(BOB, Online, 0)]);
    }

    #[test]
    fn who_went_without_saying_so_is_named_once() {
        let (mut book, session) = watching(&[BOB, CARL]);
        book.placed(&[BOB, CARL], &[BOB, CARL], 100_000);
        for round in 0..6 {
            book.placed(&[BOB, CARL], &[], 102_000 + round);
            if round == 0 {
                // Of Carl it is written down meanwhile.
                let sight = Some(Sight { seen_at: 101_000, ..Sight::default() });
                book.read(&[(session, (ANNA, CARL))], vec![sight]);
            }
        }
        assert_eq!(book.take_gone(), [(BOB, 100_000)]);
        assert_eq!(book.take_gone(), []);
    }

    #[test]
    fn nothing_is_kept_of_whom_nobody_watches() {
        let (mut book, session) = watching(&[BOB, CARL]);
        let other = SessionId::generate();
        book.watch(other, CARL, vec![BOB]);
        book.watch(session, ANNA, vec![BOB]);
        assert_eq!(book.users(), [BOB]);
        book.leave(session);
        book.watch(other, CARL, Vec::new());
        assert!(book.is_empty() && book.users().is_empty() && book.unread(9).is_empty() && book.news().is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_and_whoever_leaves_makes_room() {
        let (mut book, [one, two]) = (Book::new(3), [SessionId::generate(), SessionId::generate()]);
        assert!(book.watch(one, ANNA, vec![BOB, CARL]));
        assert!(!book.watch(two, BOB, vec![ANNA, CARL]));
        assert_eq!(book.sessions(), [one]);
        assert!(book.watch(one, ANNA, vec![BOB]));
        assert!(book.watch(two, BOB, vec![ANNA, CARL]));
        book.leave(two);
        assert!(book.watch(one, ANNA, vec![ANNA, BOB, CARL]));
        assert!(book.watch(one, ANNA, Vec::new()));
    }

    #[test]
    fn what_is_to_be_read_is_read_in_parts() {
        let (mut book, session) = (Book::new(1000), SessionId::generate());
        book.watch(session, ANNA, (10..20).map(UserId).collect());
        let mut parts = Vec::new();
        while let pairs @ [_, ..] = &book.unread(4)[..] {
            parts.push(pairs.len());
            book.read(pairs, vec![FRIEND; pairs.len()]);
        }
        assert_eq!(parts, [4, 4, 2]);
    }
}
