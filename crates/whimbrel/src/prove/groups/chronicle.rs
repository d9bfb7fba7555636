//! Who was in a group when, as its rows tell it.

use std::collections::BTreeMap;

use whimbrel_client::{GroupNews, Seq, UserId};

/// Rows that tell of changes of a group, each with when it was placed (milliseconds since 1970).
pub(in crate::prove) type News = BTreeMap<Seq, (GroupNews, u64)>;

/// Versions of a group's key: with more goings than that the newest one stays.
const KEY_VERSIONS_MAX: u32 = whimbrel_core::limits::KEY_VERSIONS_MAX;

/// A time that somebody was in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) struct Stay {
    /// The row with which they came.
    pub(in crate::prove) since: Seq,
    /// The row with which they went; 0: they are there.
    pub(in crate::prove) until: Seq,
    /// When these rows were placed; the latter `u64::MAX` while they are there.
    pub(in crate::prove) times: (u64, u64),
    /// The version of the key that was there when they came.
    pub(in crate::prove) key_from: u32,
}

/// Rows that somebody may see, both ends among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) struct Range {
    pub(in crate::prove) since: Seq,
    pub(in crate::prove) until: Seq,
}

impl Range {
    /// Whether this place is in it.
    pub(in crate::prove) fn holds(self, seq: Seq) -> bool {
        self.since <= seq && seq <= self.until
    }
}

/// A mute: from a row's time until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mute {
    from: u64,
    until: u64,
}

/// What became of a group's members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::prove) struct Chronicle {
    /// Everybody sees all of it.
    history: bool,
    stays: BTreeMap<UserId, Vec<Stay>>,
    mutes: BTreeMap<UserId, Vec<Mute>>,
    /// Comings after the beginning, and goings, in their order: whether they came, and who.
    pub(in crate::prove) changes: Vec<(bool, UserId)>,
}

impl Chronicle {
    /// As these rows tell it.
    pub(in crate::prove) fn of(news: &News, history: bool) -> Self {
        let (mut chronicle, mut key) = (Self { history, ..Self::default() }, 1);
        for (seq, (row, at)) in news {
            match row.what.as_str() {
                "created" | "joined" | "added" => {
                    for user in &row.users {
                        let key_from = if history { 1 } else { key };
                        let stay = Stay { since: *seq, until: Seq::ZERO, times: (*at, u64::MAX), key_from };
                        chronicle.stays.entry(*user).or_default().push(stay);
                        if row.what != "created" {
                            chronicle.changes.push((true, *user));
                        }
                    }
                }
                "left" | "removed" => {
                    key = (key + 1).min(KEY_VERSIONS_MAX);
                    for user in &row.users {
                        if let Some(stay) = chronicle.stays.get_mut(user).and_then(|stays| stays.last_mut()) {
                            (stay.until, stay.times.1) = (*seq, *at);
                        }
                        chronicle.changes.push((false, *user));
                    }
                }
                "muted" => {
                    for user in &row.users {
                        let mute = Mute { from: *at, until: row.until.unwrap_or_default() };
                        chronicle.mutes.entry(*user).or_default().push(mute);
                    }
                }
                _ => {}
            }
        }
        chronicle
    }

    /// The times that a user was in it, in their order.
    pub(in crate::prove) fn stays(&self, user: UserId) -> &[Stay] {
        self.stays.get(&user).map_or(&[], Vec::as_slice)
    }

    /// The last of them.
    pub(in crate::prove) fn last_stay(&self, user: UserId) -> Option<Stay> {
        self.stays(user).last().copied()
    }

    /// How many are in it.
    pub(in crate::prove) fn size(&self) -> usize {
        self.stays.values().filter(|stays| stays.last().is_some_and(|stay| stay.until == Seq::ZERO)).count()
    }

    /// What a user may see of a group whose last row is at `head`. Where history is for all, all from the first row to
    /// the last that they were there for; else each of their times by itself.
    pub(in crate::prove) fn ranges(&self, user: UserId, history: bool, head: Seq) -> Vec<Range> {
        let until = |stay: &Stay| if stay.until == Seq::ZERO { head } else { stay.until };
        let stays = self.stays(user);
        match (history, stays.last()) {
            (true, Some(last)) => vec![Range { since: Seq(1), until: until(last) }],
            _ => stays.iter().map(|stay| Range { since: stay.since, until: until(stay) }).collect(),
        }
    }

    /// Whether there was a moment between these two at which the user was not in it.
    pub(in crate::prove) fn was_outside(&self, user: UserId, from: u64, until: u64) -> bool {
        // The times are in order and apart, so what is outside begins before the first or with the end of one.
        let stays = self.stays(user);
        let first = stays.first().is_none_or(|stay| from < stay.times.0);
        first
            || stays.iter().enumerate().any(|(index, stay)| {
                let back = stays.get(index + 1).map_or(u64::MAX, |next| next.times.0);
                stay.times.1 <= until && from < back
            })
    }

    /// Whether the user may by then have come (again) behind this place, and see nothing of it any more.
    pub(in crate::prove) fn may_not_see(&self, user: UserId, place: Seq, until: u64) -> bool {
        !self.history && self.stays(user).iter().any(|stay| stay.times.0 <= until && stay.since > place)
    }

    /// Whether there was a moment between these two at which the user was muted.
    pub(in crate::prove) fn was_muted(&self, user: UserId, from: u64, until: u64) -> bool {
        let mutes = self.mutes.get(&user).map_or(&[][..], Vec::as_slice);
        mutes.iter().any(|mute| mute.from <= until && from < mute.until)
    }
}

#[cfg(test)]
pub(in crate::prove) mod tests {
    use super::*;

    /// A row that tells of these.
    pub(in crate::prove) fn news(rows: &[(u64, &str, &[u64])]) -> News {
        let row = |(seq, what, users): &(u64, &str, &[u64])| {
            let users = users.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let json = format!(r#"{{"what":"{what}","by":1,"users":[{users}],"until":{}}}"#, seq * 1000 + 5000);
            (Seq(*seq), (GroupNews::read(json.as_bytes()).expect("such a row"), seq * 1000))
        };
        rows.iter().map(row).collect()
    }

    const USER: UserId = UserId(2);

    fn ranges(chronicle: &Chronicle, history: bool) -> Vec<(u64, u64)> {
        chronicle.ranges(USER, history, Seq(30)).iter().map(|range| (range.since.0, range.until.0)).collect()
    }

    #[test]
    fn who_goes_and_comes_back_sees_two_ranges_or_where_history_is_for_all_everything() {
        let rows = news(&[(1, "created", &[1, 2]), (7, "left", &[2]), (9, "removed", &[5]), (12, "joined", &[2])]);
        let chronicle = Chronicle::of(&rows, false);
        assert_eq!(ranges(&chronicle, false), [(1, 7), (12, 30)]);
        assert_eq!(ranges(&chronicle, true), [(1, 30)]);
        assert_eq!(chronicle.last_stay(USER).map(|stay| stay.key_from), Some(3));
        assert_eq!(chronicle.changes, [(false, USER), (false, UserId(5)), (true, USER)]);
        let gone = Chronicle::of(&news(&[(1, "created", &[1, 2]), (7, "removed", &[2])]), true);
        assert_eq!(ranges(&gone, true), [(1, 7)], "nothing after the row of the removal");
        assert_eq!((gone.size(), chronicle.size()), (1, 2));
        assert!(gone.ranges(UserId(9), true, Seq(30)).is_empty(), "a stranger sees nothing");
    }

    #[test]
    fn somebody_was_outside_between_their_times_and_before_the_first_and_after_the_last() {
        let rows = news(&[(1, "created", &[1]), (5, "added", &[2]), (7, "left", &[2]), (12, "joined", &[2])]);
        let chronicle = Chronicle::of(&rows, false);
        for (from, until, outside) in
            [(0, 100, true), (5000, 6999, false), (5000, 7000, true), (11_999, 13_000, true), (12_000, 13_000, false)]
        {
            assert_eq!(chronicle.was_outside(USER, from, until), outside, "from {from} until {until}");
        }
        assert!(!chronicle.was_outside(UserId(1), 1000, 99_000));
    }

    #[test]
    fn somebody_was_muted_until_the_time_that_the_row_names() {
        let chronicle = Chronicle::of(&news(&[(1, "created", &[2]), (3, "muted", &[2])]), false);
        assert!(chronicle.was_muted(USER, 7999, 9000) && chronicle.was_muted(USER, 0, 3000));
        assert!(!chronicle.was_muted(USER, 8000, 9000) && !chronicle.was_muted(USER, 0, 2999));
        assert!(!chronicle.was_muted(UserId(1), 0, 9000));
    }
}
