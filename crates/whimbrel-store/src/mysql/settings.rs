//! [`Settings`] on MySQL and MariaDB: how users have conversations shown.
//!
//! Everything is decided under the lock on the user's row, and on their private conversation's, which comes before the
//! member row: whoever holds a place or a conversation may wait for a member row, and not the other way round.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, ConversationKind, Seq, UserId};

use super::MySqlStore;
use super::directory::value::get;
use super::directory::work::{Change, Stop, Work, run};
use super::directory::{place, users};
use super::head::{last_seq, push_ids};
use super::text::Text;
use super::value::{conversation, number, number_or_zero, seq};
use crate::StoreError;
use crate::directory::{DirectoryError, Rows};
use crate::settings::{Setting, SettingChange, Settings};

macro_rules! columns {
    () => {
        "SELECT conv, pinned_at, muted_until, archived, draft_key_version, draft, cleared, hidden, changed_at FROM setting "
    };
}

const ALL: &str = concat!(columns!(), "WHERE user = ");
const PAGE: &str = concat!(columns!(), "WHERE user = ? ORDER BY conv LIMIT ?");
const NEXT_PAGE: &str = concat!(columns!(), "WHERE user = ? AND conv > ? ORDER BY conv LIMIT ?");

#[async_trait]
impl Settings for MySqlStore {
    async fn change_setting(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: SettingChange,
        now: u64,
    ) -> Result<Option<(Setting, Rows)>, StoreError> {
        match run(self, &ChangeSetting { user, conversation, change, now }).await {
            Ok((setting, rows)) => Ok(setting.map(|setting| (setting, rows))),
            Err(DirectoryError::Store(error)) => Err(error),
            Err(DirectoryError::NoSuchUser) => Ok(None),
            Err(refused) => Err(StoreError::Corrupt(refused.to_string())),
        }
    }

    async fn settings(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<Option<Setting>>, StoreError> {
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.read(async |db| named(db, user, conversations).await).await?;
        Ok(conversations.iter().map(|id| found.iter().find(|setting| setting.conversation == *id).cloned()).collect())
    }

    async fn settings_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Setting>, StoreError> {
        let limit = limit as u64;
        self.read(async |db| {
            let page = match &after {
                Some(after) => query(NEXT_PAGE).bind(user.0).bind(&after.as_bytes()[..]).bind(limit),
                None => query(PAGE).bind(user.0).bind(limit),
            };
            let rows = page.fetch_all(db).await?;
            Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
        })
        .await
    }
}

/// The settings that there are for these conversations.
async fn named(
    db: &mut MySqlConnection,
    user: UserId,
    conversations: &[ConversationId],
) -> Result<Vec<Setting>, StoreError> {
    let mut text = Text::new(ALL);
    text.number(user.0).words(" AND conv IN ");
    push_ids(&mut text, conversations.iter());
    Ok(text.rows(db).await?.iter().map(read).collect::<sqlx::Result<_>>()?)
}

fn read(row: &MySqlRow) -> sqlx::Result<Setting> {
    Ok(Setting {
        conversation: conversation(row, 0)?,
        pinned_at: number(row, 1)?,
        muted_until: number(row, 2)?,
        archived: number(row, 3)? != 0,
        draft_key_version: get(row, 4)?,
        draft: Bytes::from(get::<Vec<u8>>(row, 5)?),
        cleared: seq(row, 6)?,
        hidden: seq(row, 7)?,
        changed_at: number(row, 8)?,
    })
}

struct ChangeSetting {
    user: UserId,
    conversation: ConversationId,
    change: SettingChange,
    now: u64,
}

impl Change for ChangeSetting {
    type Answer = Option<Setting>;

    async fn make(&self, work: &mut Work) -> Result<Option<Setting>, Stop> {
        let locked = users::lock_one(work, self.user).await?;
        place::lock_one(work, locked.private).await?;
        let Some(end) = end(work, self.user, self.conversation).await? else { return Ok(None) };
        let before = named(work.db(), self.user, &[self.conversation]).await?.pop();
        let before = before.unwrap_or_else(|| Setting::untouched(self.conversation));
        let mut after = before.clone();
        after.apply(self.change.clone(), end.seen);
        if after == before {
            return Ok(Some(after));
        }
        after.changed_at = self.now;
        write(work, self.user, &after).await?;
        if self.change.clear || self.change.delete {
            clear(work, self.user, self.conversation, &end).await?;
        }
        work.tell_setting(&locked, self.conversation, self.now);
        Ok(Some(after))
    }
}

/// The last row that the user sees of a conversation that is not a private one, and the count there.
struct End {
    seen: Seq,
    n: u64,
}

/// With a lock on the member row: until it is released, nobody places rows of this user that count in a group.
async fn end(work: &mut Work, user: UserId, conversation: ConversationId) -> Result<Option<End>, Stop> {
    let conv = &conversation.as_bytes()[..];
    let lock = "SELECT until FROM member WHERE user = ? AND conv = ? FOR UPDATE";
    let Some(member) = query(lock).bind(user.0).bind(conv).fetch_optional(work.db()).await? else { return Ok(None) };
    let until = seq(&member, 0)?;
    let read = concat!(
        "SELECT c.kind, h.seq, h.n FROM conversation c LEFT JOIN message h ON h.conv = c.id AND h.seq = ",
        "CASE ? WHEN 0 THEN ",
        last_seq!("c.id"),
        " ELSE ? END WHERE c.id = ?"
    );
    let read = query(read).bind(until.0).bind(until.0).bind(conv).fetch_optional(work.db()).await?;
    let Some(row) = read.filter(|row| get(row, 0).is_ok_and(|kind: u8| kind != ConversationKind::Private as u8)) else {
        return Ok(None);
    };
    Ok(Some(End { seen: until.max(Seq(number_or_zero(&row, 1)?)), n: number_or_zero(&row, 2)? }))
}

/// The cursors go to the end, and nothing before it is seen any more.
async fn clear(work: &mut Work, user: UserId, conversation: ConversationId, end: &End) -> Result<(), Stop> {
    let clear = "UPDATE member SET since = GREATEST(since, ?), delivered = GREATEST(delivered, ?), `read` = GREATEST(`read`, ?), \
         n_read = ?, own_read = own_total WHERE user = ? AND conv = ?";
    let clear = query(clear).bind(end.seen.0 + 1).bind(end.seen.0).bind(end.seen.0).bind(end.n);
    clear.bind(user.0).bind(&conversation.as_bytes()[..]).execute(work.db()).await?;
    // Nor is anything of an earlier time: the end is behind all of these.
    let earlier = "UPDATE member_span SET since = until + 1 WHERE user = ? AND conv = ?";
    query(earlier).bind(user.0).bind(&conversation.as_bytes()[..]).execute(work.db()).await?;
    Ok(())
}

async fn write(work: &mut Work, user: UserId, setting: &Setting) -> Result<(), Stop> {
    let write = "REPLACE INTO setting (user, conv, pinned_at, muted_until, archived, draft_key_version, draft, cleared, \
         hidden, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    query(write)
        .bind(user.0)
        .bind(&setting.conversation.as_bytes()[..])
        .bind(setting.pinned_at)
        .bind(setting.muted_until)
        .bind(setting.archived)
        .bind(setting.draft_key_version)
        .bind(&setting.draft[..])
        .bind(setting.cleared.0)
        .bind(setting.hidden.0)
        .bind(setting.changed_at)
        .execute(work.db())
        .await?;
    Ok(())
}
