//! [`Keeping`] on SQLite. Every step is one job of the writer, among those that place.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, ConversationKind, Seq, UserId};

use super::head::read_kind;
use super::value::{all, conversation, first, number, number_or_zero, run, seq, sql, user};
use super::{SqliteStore, erasing, filing, head, history, texts};
use crate::StoreError;
use crate::keeping::{Erased, Keep, Keeping, Kept, Which, now_ms};

macro_rules! kept_sql {
    ($from:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.floor, (SELECT min(seq) FROM message WHERE conv = c.id), \
             (SELECT max(seq) FROM message WHERE conv = c.id), \
             (SELECT at FROM message WHERE conv = c.id AND seq = c.floor + 1), g.keep_age, g.keep_messages FROM ",
            $from
        )
    };
}

const KEPT: &str = kept_sql!(
    "conversation c LEFT JOIN chat_group g ON c.kind = 3 AND g.conv = c.id WHERE c.id > ?1 ORDER BY c.id LIMIT ?2"
);
const KEPT_SET: &str = kept_sql!(
    "chat_group g CROSS JOIN conversation c ON c.id = g.conv WHERE g.conv > ?1 \
     AND (g.keep_age > 0 OR g.keep_messages > 0) ORDER BY g.conv LIMIT ?2"
);

const BEHIND: &str = "SELECT m.user FROM group_member g CROSS JOIN member m ON m.user = g.user AND m.conv = g.conv \
     WHERE g.conv = ?1 AND g.user > ?2 AND m.read < ?3 AND (m.until = 0 OR m.read < m.until) ORDER BY g.user LIMIT ?4";

const FLOOR: &str = "UPDATE conversation SET floor = ?2 WHERE id = ?1 AND floor < ?2 \
     AND EXISTS (SELECT 1 FROM message WHERE conv = ?1 AND seq = ?2)";

#[async_trait]
impl Keeping for SqliteStore {
    async fn kept(
        &self,
        which: Which,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, Option<ConversationId>), StoreError> {
        let read = move |db: &Connection| {
            let after = after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
            let statement = if which == Which::All { KEPT } else { KEPT_SET };
            let kept = all(db, statement, params![after, sql(limit as u64)], read_kept)?;
            let next = kept.last().filter(|_| kept.len() == limit).map(|last| last.id);
            Ok((kept, next))
        };
        self.shared.readers.read(read).await
    }

    async fn first_since(
        &self,
        conversation: ConversationId,
        after: Seq,
        upto: Seq,
        at: u64,
    ) -> Result<Seq, StoreError> {
        let read = move |db: &Connection| Ok(Seq(history::first_since(db, conversation, after.0, upto.0, at)?));
        self.shared.readers.read(read).await
    }

    async fn behind(
        &self,
        conversation: ConversationId,
        floor: Seq,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.shared.readers.read(move |db| Ok(behind(db, conversation, floor, after, limit)?)).await
    }

    async fn raise_floor(&self, conversation: ConversationId, floor: Seq) -> Result<Seq, StoreError> {
        self.shared.writer.write(move |db| Ok::<_, StoreError>(raise_floor(db, conversation, floor)?)).await
    }

    async fn erase(&self, user: UserId) -> Result<(), StoreError> {
        let note = move |db: &Connection| {
            run(db, "INSERT OR REPLACE INTO erasure (user) VALUES (?1)", [sql(user.0)])?;
            Ok::<_, StoreError>(())
        };
        self.shared.writer.write(note).await
    }

    async fn erasures(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let read = move |db: &Connection| {
            let query = "SELECT user FROM erasure ORDER BY user LIMIT ?1";
            Ok(all(db, query, [sql(limit as u64)], |row| user(row, 0))?)
        };
        self.shared.readers.read(read).await
    }

    async fn erase_some(&self, user: UserId, look: usize) -> Result<Erased, StoreError> {
        self.shared.writer.write(move |db| erasing::step(db, user, look)).await
    }

    async fn sweep(&self, conversation: ConversationId, limit: usize) -> Result<usize, StoreError> {
        self.shared.writer.write(move |db| Ok::<_, StoreError>(sweep(db, conversation, limit)?)).await
    }
}

fn read_kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        id: conversation(row, 0)?,
        kind: read_kind(row, 1)?,
        floor: seq(row, 2)?,
        first: Seq(number_or_zero(row, 3)?),
        head: Seq(number_or_zero(row, 4)?),
        oldest_at: row.get::<_, Option<i64>>(5)?.map(i64::unsigned_abs),
        keep: Keep { age_ms: number_or_zero(row, 6)?, messages: number_or_zero(row, 7)? },
    })
}

/// In a group those whom it names; else the one or two whom the conversation names.
fn behind(
    db: &Connection,
    id: ConversationId,
    floor: Seq,
    after: UserId,
    limit: usize,
) -> rusqlite::Result<Vec<UserId>> {
    let Some(members) = head::members(db, id)? else { return Ok(Vec::new()) };
    if members.kind() == ConversationKind::Group {
        let values = params![id.as_bytes(), sql(after.0), sql(floor.0), sql(limit as u64)];
        return all(db, BEHIND, values, |row| user(row, 0));
    }
    let mut found = Vec::new();
    for user in members.audience().named().filter(|user| *user > after) {
        let query = "SELECT 1 FROM member WHERE user = ?1 AND conv = ?2 AND read < ?3";
        if first::<i64>(db, query, params![sql(user.0), id.as_bytes(), sql(floor.0)])?.is_some() {
            found.push(user);
        }
    }
    found.truncate(limit);
    Ok(found)
}

fn floor_of(db: &Connection, id: ConversationId) -> rusqlite::Result<u64> {
    let query = "SELECT floor FROM conversation WHERE id = ?1";
    Ok(super::value::first_row(db, query, [id.as_bytes()], |row| number(row, 0))?.unwrap_or(0))
}

fn raise_floor(db: &Connection, id: ConversationId, floor: Seq) -> rusqlite::Result<Seq> {
    if run(db, FLOOR, params![id.as_bytes(), sql(floor.0)])? > 0 {
        let empty = "UPDATE message SET body = x'' WHERE conv = ?1 AND seq = ?2";
        run(db, empty, params![id.as_bytes(), sql(floor.0)])?;
        filing::unused(db, id, floor, now_ms())?;
        texts::drop_at(db, id, floor)?;
    }
    Ok(Seq(floor_of(db, id)?))
}

/// Notes first: what is left of an interrupted sweep is found by the messages that are still there.
fn sweep(db: &Connection, id: ConversationId, limit: usize) -> rusqlite::Result<usize> {
    let (floor, limit) = (floor_of(db, id)?, sql(limit as u64));
    let mut gone = 0;
    let with_files = "SELECT seq FROM file_use WHERE conv = ?1 AND seq < ?2 ORDER BY seq LIMIT ?3";
    for place in all(db, with_files, params![id.as_bytes(), sql(floor), limit], |row| seq(row, 0))? {
        filing::unused(db, id, place, now_ms())?;
        gone += 1;
    }
    texts::drop_below(db, id, floor, limit)?;
    for delete in [
        "DELETE FROM follow_up WHERE (conv, target, seq) IN \
         (SELECT conv, target, seq FROM follow_up WHERE conv = ?1 AND target < ?2 ORDER BY target, seq LIMIT ?3)",
        "DELETE FROM mark WHERE (conv, target, seq) IN \
         (SELECT conv, target, seq FROM mark WHERE conv = ?1 AND target < ?2 ORDER BY target, seq LIMIT ?3)",
        "DELETE FROM message WHERE conv = ?1 AND seq < ?2 \
         AND seq < (SELECT min(seq) FROM message WHERE conv = ?1) + ?3",
    ] {
        gone += run(db, delete, params![id.as_bytes(), sql(floor), limit])?;
    }
    Ok(gone)
}
