//! Rosters, readers and keys: who is owed a row, who has read it, who may open it.

use hashbrown::HashMap;
use sqlx::mysql::MySqlConnection;
use sqlx::query;
use whimbrel_core::limits::SMALL_GROUP;
use whimbrel_core::{ConversationId, Cursors, Roster, Seq, Span, UserId};

use super::super::directory::value::{account_from, get};
use super::super::head::push_ids;
use super::super::text::Text;
use super::super::value::{conversation, seq, user};
use crate::directory::words::owner;
use crate::groups::{GroupError, GroupKeys, ReadBy, Reader};
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

/// To whom the row was said, but for its sender: those who are in the group, and were then.
macro_rules! said_to {
    () => {
        "group_member g FORCE INDEX (PRIMARY) STRAIGHT_JOIN member m ON m.user = g.user AND m.conv = g.conv \
         WHERE g.conv = ? AND g.until = 0 AND g.since <= ? \
         AND g.user <> (SELECT sender FROM message WHERE conv = ? AND seq = ?)"
    };
}

/// Who has read the row at `seq`, with a page of them beyond `after`.
pub(super) async fn read_by(
    db: &mut MySqlConnection,
    id: ConversationId,
    place: Seq,
    after: UserId,
    limit: usize,
) -> Result<ReadBy, StoreError> {
    let conv = &id.as_bytes()[..];
    let counts = concat!(
        "SELECT COUNT(*), CAST(COALESCE(SUM(m.`read` >= ?), 0) AS UNSIGNED), \
         CAST(COALESCE(SUM(m.delivered >= ?), 0) AS UNSIGNED), (SELECT size FROM chat_group WHERE conv = ?) FROM ",
        said_to!()
    );
    let counts = query(counts).bind(place.0).bind(place.0).bind(conv).bind(conv).bind(place.0).bind(conv).bind(place.0);
    let row = counts.fetch_one(&mut *db).await?;
    let is_small = get::<Option<u32>>(&row, 3)?.is_some_and(|size| size <= SMALL_GROUP);
    let number = |column| Ok::<_, sqlx::Error>(u32::try_from(get::<u64>(&row, column)?).unwrap_or(u32::MAX));
    let (of, read) = (u32::try_from(get::<i64>(&row, 0)?).unwrap_or(u32::MAX), number(1)?);
    let delivered = if is_small { number(2)? } else { 0 };
    let page = concat!(
        "SELECT u.id, u.handle, u.display_name, u.avatar, u.created_at, s.delivered, s.`read` FROM \
         (SELECT m.user, m.delivered, m.`read` FROM ",
        said_to!(),
        " AND g.user > ? AND m.`read` >= ? ORDER BY g.user LIMIT ?) s JOIN user u ON u.id = s.user ORDER BY u.id"
    );
    let page = query(page).bind(conv).bind(place.0).bind(conv).bind(place.0);
    let rows = page.bind(after.0).bind(place.0).bind(limit as u64).fetch_all(db).await?;
    let readers = rows.iter().map(|row| {
        let cursors = Cursors { delivered: if is_small { seq(row, 5)? } else { Seq::ZERO }, read: seq(row, 6)? };
        Ok(Reader { user: account_from(row, 0)?, cursors })
    });
    Ok(ReadBy { of, read, delivered, readers: readers.collect::<sqlx::Result<_>>()? })
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
    let time = "SELECT m.key_from, m.key_to FROM group_member m WHERE m.conv = ? AND m.user = ?";
    let time = query(time).bind(conv).bind(user.0).fetch_optional(&mut *db).await.map_err(StoreError::from)?;
    let Some(time) = time else { return Err(GroupError::NoSuchGroup) };
    let (first, last): (u32, u32) =
        (get(&time, 0).map_err(StoreError::from)?, get(&time, 1).map_err(StoreError::from)?);
    let last = if last == 0 { u32::MAX } else { last };
    let read = "SELECT version, wrapped FROM relation_key WHERE conv = ? AND version > ? AND version >= ? AND version <= ? \
         ORDER BY version LIMIT ?";
    let read = query(read).bind(conv).bind(after).bind(first).bind(last).bind(limit as u64);
    let mut keys = GroupKeys::default();
    for row in read.fetch_all(db).await.map_err(StoreError::from)? {
        let version = get(&row, 0).map_err(StoreError::from)?;
        let wrapped: &[u8] = get(&row, 1).map_err(StoreError::from)?;
        let key = keyring.unwrap(&owner(id, version), wrapped).map_err(StoreError::from)?;
        keys.0.push((version, key));
    }
    Ok(keys)
}
