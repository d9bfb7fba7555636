//! Rosters, readers and keys: who is owed a row, who has read it, who may open it.

use std::ops::RangeInclusive;

use hashbrown::HashMap;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::query;
use whimbrel_core::limits::SMALL_GROUP;
use whimbrel_core::{ConversationId, Cursors, MessageKind, Roster, Seq, Span, UserId};

use super::super::directory::value::{account_from, get};
use super::super::head::push_ids;
use super::super::text::Text;
use super::super::value::{conversation, seq, user};
use crate::directory::words::owner;
use crate::groups::{GroupError, GroupKeys, ReadBy, Reader};
use crate::history::joined;
use crate::{Keyring, StoreError};

const ROSTERS: &str = "SELECT g.conv, g.revision, m.user, m.since, m.until \
     FROM chat_group g LEFT JOIN group_member m FORCE INDEX (PRIMARY) ON m.conv = g.conv WHERE g.conv IN ";

/// The rosters of these groups, in their order: one statement, so that members and revision are of one state.
pub(super) async fn rosters(
    db: &mut MySqlConnection,
    ids: &[ConversationId],
) -> Result<Vec<Option<Roster>>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut text = Text::new(ROSTERS);
    push_ids(&mut text, ids.iter());
    let mut found: HashMap<ConversationId, (Seq, Vec<(UserId, Span)>)> = HashMap::new();
    for row in text.rows(db).await? {
        let (_, members) = found.entry(conversation(&row, 0)?).or_insert((seq(&row, 1)?, Vec::new()));
        if get::<Option<u64>>(&row, 2)?.is_some() {
            members.push((user(&row, 2)?, Span { since: seq(&row, 3)?, until: seq(&row, 4)? }));
        }
    }
    let found: HashMap<_, _> =
        found.into_iter().map(|(id, (revision, members))| (id, Roster::new(revision, members))).collect();
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

/// To whom the row was said, but for its sender, beyond a user: of one of their times in the group it is, so each is there
/// once. Values: conversation, place, place, sender, user; twice.
macro_rules! said_to {
    () => {
        "(SELECT g.user, m.delivered, m.`read` FROM group_member g FORCE INDEX (PRIMARY) \
         STRAIGHT_JOIN member m ON m.user = g.user AND m.conv = g.conv \
         WHERE g.conv = ? AND g.since <= ? AND (g.until = 0 OR g.until >= ?) AND g.user <> ? AND g.user > ? \
         UNION ALL SELECT e.user, e.delivered, e.`read` FROM member_span e FORCE INDEX (member_span_conv) \
         WHERE e.conv = ? AND e.came <= ? AND e.until >= ? AND e.user <> ? AND e.user > ?) s"
    };
}

/// Counts read every member: this is for people who ask about one message.
pub(super) async fn read_by(
    db: &mut MySqlConnection,
    (id, place): (ConversationId, Seq),
    asker: UserId,
    after: UserId,
    limit: usize,
) -> Result<ReadBy, StoreError> {
    let conv = &id.as_bytes()[..];
    let said = "SELECT m.sender, m.kind, g.size FROM message m JOIN chat_group g ON g.conv = m.conv \
         WHERE m.conv = ? AND m.seq = ? AND (EXISTS (SELECT 1 FROM member a WHERE a.user = ? AND a.conv = m.conv \
         AND a.since <= m.seq AND (a.until = 0 OR a.until >= m.seq)) OR EXISTS (SELECT 1 FROM member_span e \
         WHERE e.user = ? AND e.conv = m.conv AND e.since <= m.seq AND e.until >= m.seq))";
    let said = query(said).bind(conv).bind(place.0).bind(asker.0).bind(asker.0);
    let Some(said) = said.fetch_optional(&mut *db).await? else { return Ok(ReadBy::default()) };
    let (sender, is_small) = (user(&said, 0)?, get::<u32>(&said, 2)? <= SMALL_GROUP);
    if !MessageKind(get(&said, 1)?).is_countable() {
        return Ok(ReadBy::default());
    }
    let counts = concat!(
        "SELECT COUNT(*), COUNT(IF(s.`read` >= ?, 1, NULL)), COUNT(IF(s.delivered >= ?, 1, NULL)) FROM ",
        said_to!()
    );
    let mut counts = query(counts).bind(place.0).bind(place.0);
    for _ in 0..2 {
        counts = counts.bind(conv).bind(place.0).bind(place.0).bind(sender.0).bind(0_u64);
    }
    let counts = counts.fetch_one(&mut *db).await?;
    let number = |column| Ok::<_, sqlx::Error>(u32::try_from(get::<i64>(&counts, column)?).unwrap_or(u32::MAX));
    let page = concat!(
        "SELECT u.id, u.handle, u.display_name, u.avatar, u.created_at, r.delivered, r.`read` FROM (SELECT s.* FROM ",
        said_to!(),
        " ORDER BY s.user LIMIT ?) r JOIN user u ON u.id = r.user ORDER BY u.id"
    );
    let mut page = query(page);
    for _ in 0..2 {
        page = page.bind(conv).bind(place.0).bind(place.0).bind(sender.0).bind(after.0);
    }
    let readers = page.bind(limit as u64).fetch_all(&mut *db).await?;
    let readers = readers.iter().map(|row| {
        let delivered = if is_small { seq(row, 5)? } else { Seq::ZERO };
        Ok(Reader { user: account_from(row, 0)?, cursors: Cursors { delivered, read: seq(row, 6)? } })
    });
    let delivered = if is_small { number(2)? } else { 0 };
    Ok(ReadBy { of: number(0)?, read: number(1)?, delivered, readers: readers.collect::<sqlx::Result<_>>()? })
}

/// Versions of the group's key above `after` that are of the user's time in it.
pub(super) async fn keys(
    db: &mut MySqlConnection,
    keyring: &Keyring,
    (id, user): (ConversationId, UserId),
    after: u32,
    limit: usize,
) -> Result<GroupKeys, GroupError> {
    let conv = &id.as_bytes()[..];
    let times = "SELECT m.key_from, m.key_to FROM chat_group g \
         LEFT JOIN group_member m ON m.conv = g.conv AND m.user = ? WHERE g.conv = ? \
         UNION ALL SELECT key_from, key_to FROM member_span WHERE user = ? AND conv = ?";
    let times = query(times).bind(user.0).bind(conv).bind(user.0).bind(conv);
    let times = times.fetch_all(&mut *db).await.map_err(StoreError::from)?;
    if times.is_empty() {
        return Err(GroupError::NoSuchGroup);
    }
    let versions = versions(&times, after).map_err(StoreError::from)?;
    if versions.is_empty() {
        return Err(GroupError::NotMember);
    }
    let mut read = Text::new("SELECT version, wrapped FROM relation_key FORCE INDEX (PRIMARY) WHERE conv=");
    read.bytes(conv).each(versions, " AND (", " OR ", |text, range| {
        text.words("version BETWEEN ").number(*range.start()).words(" AND ").number(*range.end());
    });
    read.words(") ORDER BY version LIMIT ").number(limit as u64);
    let mut keys = GroupKeys::default();
    for row in &read.rows(db).await.map_err(StoreError::from)? {
        let version = get(row, 0).map_err(StoreError::from)?;
        let wrapped: &[u8] = get(row, 1).map_err(StoreError::from)?;
        let key = keyring.unwrap(&owner(id, version), wrapped).map_err(StoreError::from)?;
        keys.0.push((version, key));
    }
    Ok(keys)
}

/// The versions above `after` of all times of a user in a group; a range that may be empty for each; none: they were never
/// in it.
fn versions(times: &[MySqlRow], after: u32) -> sqlx::Result<Vec<RangeInclusive<u64>>> {
    let mut versions = Vec::new();
    for row in times {
        if let Some(first) = get::<Option<u32>>(row, 0)? {
            let last: u32 = get(row, 1)?;
            versions.push(u64::from(first)..=u64::from(if last == 0 { u32::MAX } else { last }));
        }
    }
    let beyond = |range: RangeInclusive<u64>| (*range.start()).max(u64::from(after) + 1)..=*range.end();
    Ok(joined(versions).into_iter().map(beyond).collect())
}
