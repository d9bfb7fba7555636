//! [`Settings`] on SQLite.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, ConversationKind, Seq, UserId};

use super::directory::tell::Teller;
use super::head::read_kind;
use super::value::{all, conversation, first_row, number, seq, small, sql, until};
use super::{SqliteStore, place};
use crate::StoreError;
use crate::directory::Rows;
use crate::settings::{Setting, SettingChange, Settings};

macro_rules! setting_sql {
    ($which:literal) => {
        concat!(
            "SELECT conv, pinned_at, muted_until, archived, draft_key_version, draft, cleared, hidden, changed_at \
             FROM setting WHERE user = ?1 AND ",
            $which
        )
    };
}

const ONE: &str = setting_sql!("conv = ?2");

/// Whether the user is or was in it, and the end that they see.
const MEMBER: &str = "SELECT c.kind, m.until, (SELECT max(seq) FROM message WHERE conv = ?2) \
     FROM member m CROSS JOIN conversation c ON c.id = m.conv WHERE m.user = ?1 AND m.conv = ?2";

const UPSERT: &str = "INSERT OR REPLACE INTO setting \
     (user, conv, pinned_at, muted_until, archived, draft_key_version, draft, cleared, hidden, changed_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Nor is anything of an earlier time: the end is behind all of these.
const CLEAR_EARLIER: &str = "UPDATE member_span SET since = until + 1 WHERE user = ?1 AND conv = ?2";

/// Nothing before the end is seen any more, and all of it is read.
const CLEAR: &str = "UPDATE member SET since = max(since, ?3 + 1), delivered = max(delivered, ?3), \
     read = max(read, ?3), n_read = ?4, own_read = own_total WHERE user = ?1 AND conv = ?2";

#[async_trait]
impl Settings for SqliteStore {
    async fn change_setting(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: SettingChange,
        now: u64,
    ) -> Result<Option<(Setting, Rows)>, StoreError> {
        self.shared.writer.write(move |db| changed(db, user, conversation, change, now)).await
    }

    async fn settings(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<Option<Setting>>, StoreError> {
        let wanted = conversations.to_vec();
        let read = move |db: &Connection| {
            let settings = wanted.iter().map(|id| one(db, user, *id));
            Ok(settings.collect::<rusqlite::Result<_>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn settings_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Setting>, StoreError> {
        let read = move |db: &Connection| {
            let after = after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
            let query = setting_sql!("conv > ?2 ORDER BY conv LIMIT ?3");
            Ok(all(db, query, params![sql(user.0), after, sql(limit as u64)], read)?)
        };
        self.shared.readers.read(read).await
    }
}

fn one(db: &Connection, user: UserId, conversation: ConversationId) -> rusqlite::Result<Option<Setting>> {
    first_row(db, ONE, params![sql(user.0), conversation.as_bytes()], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Setting> {
    Ok(Setting {
        conversation: conversation(row, 0)?,
        pinned_at: number(row, 1)?,
        muted_until: until(row, 2)?,
        archived: row.get(3)?,
        draft_key_version: small(row, 4)?,
        draft: Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?),
        cleared: seq(row, 6)?,
        hidden: seq(row, 7)?,
        changed_at: number(row, 8)?,
    })
}

fn changed(
    db: &Connection,
    user: UserId,
    conversation: ConversationId,
    change: SettingChange,
    now: u64,
) -> Result<Option<(Setting, Rows)>, StoreError> {
    let key = params![sql(user.0), conversation.as_bytes()];
    let member = first_row(db, MEMBER, key, |row| {
        let (kind, until) = (read_kind(row, 0)?, seq(row, 1)?);
        let head = Seq(super::value::number_or_zero(row, 2)?);
        Ok((kind, if until == Seq::ZERO { head } else { until }))
    })?;
    let Some((_, end)) = member.filter(|(kind, _)| *kind != ConversationKind::Private) else { return Ok(None) };
    let before = one(db, user, conversation)?;
    let mut after = before.clone().unwrap_or_else(|| Setting::untouched(conversation));
    let clears = change.clear || change.delete;
    after.apply(change, end);
    if before.as_ref().map_or_else(|| after == Setting::untouched(conversation), |before| *before == after) {
        return Ok(Some((after, Rows::new())));
    }
    after.changed_at = now;
    if clears {
        clear(db, user, conversation, end)?;
    }
    write(db, user, &after)?;
    let mut teller = Teller::new(db, now);
    teller.setting(user, conversation)?;
    Ok(Some((after, teller.into_rows())))
}

fn clear(db: &Connection, user: UserId, conversation: ConversationId, end: Seq) -> rusqlite::Result<()> {
    // Where there is no row there is nothing to count either.
    let n = place::n_at(db, conversation, end)?.unwrap_or(0);
    super::value::run(db, CLEAR, params![sql(user.0), conversation.as_bytes(), sql(end.0), sql(n)])?;
    super::value::run(db, CLEAR_EARLIER, params![sql(user.0), conversation.as_bytes()])?;
    Ok(())
}

fn write(db: &Connection, user: UserId, setting: &Setting) -> rusqlite::Result<()> {
    let values = params![
        sql(user.0),
        setting.conversation.as_bytes(),
        sql(setting.pinned_at),
        sql(setting.muted_until),
        setting.archived,
        setting.draft_key_version,
        &setting.draft[..],
        sql(setting.cleared.0),
        sql(setting.hidden.0),
        sql(setting.changed_at),
    ];
    super::value::run(db, UPSERT, values)?;
    Ok(())
}
