//! [`Keeping`] on MySQL and MariaDB. A step locks the rows of one conversation's beginning for the length of one
//! transaction; whoever places does so at its end.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, ConversationKind, Seq, UserId};

use super::effects::STILL_USED;
use super::error::Fault;
use super::head::{self, last_seq, read_kind};
use super::text::Text;
use super::value::{conversation, number, number_or_zero, seq, user};
use super::{MySqlStore, erasing, history, texts};
use crate::StoreError;
use crate::keeping::{Erased, Keep, Keeping, Kept, Which, now_ms};

macro_rules! kept_sql {
    ($from:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.floor, (SELECT seq FROM message WHERE conv = c.id ORDER BY conv, seq LIMIT 1), ",
            last_seq!("c.id"),
            ", (SELECT at FROM message WHERE conv = c.id AND seq = c.floor + 1), g.keep_age, g.keep_messages FROM ",
            $from
        )
    };
}

const KEPT: &str = kept_sql!("conversation c LEFT JOIN chat_group g ON c.kind = 3 AND g.conv = c.id WHERE c.id > ");
const KEPT_SET: &str = kept_sql!(
    "chat_group g STRAIGHT_JOIN conversation c ON c.id = g.conv WHERE (g.keep_age > 0 OR g.keep_messages > 0) \
     AND g.conv > "
);

#[async_trait]
impl Keeping for MySqlStore {
    async fn kept(
        &self,
        which: Which,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, Option<ConversationId>), StoreError> {
        let (words, order) = match which {
            Which::All => (KEPT, " ORDER BY c.id LIMIT "),
            Which::Set => (KEPT_SET, " ORDER BY g.conv LIMIT "),
        };
        let mut text = Text::new(words);
        text.bytes(after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..])).words(order).number(limit as u64);
        self.read(async |db| {
            let kept = text.rows(db).await?.iter().map(read_kept).collect::<Result<Vec<_>, sqlx::Error>>()?;
            let next = kept.last().filter(|_| kept.len() == limit).map(|last| last.id);
            Ok((kept, next))
        })
        .await
    }

    async fn first_since(
        &self,
        conversation: ConversationId,
        after: Seq,
        upto: Seq,
        at: u64,
    ) -> Result<Seq, StoreError> {
        self.read(async |db| Ok(Seq(history::first_since(db, conversation, after.0, upto.0, at).await?))).await
    }

    async fn behind(
        &self,
        conversation: ConversationId,
        floor: Seq,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.read(async |db| Ok(behind(db, conversation, floor, after, limit).await?)).await
    }

    async fn raise_floor(&self, conversation: ConversationId, floor: Seq) -> Result<Seq, StoreError> {
        self.retried(|| async {
            let mut change = self.begin().await?;
            let result = raise_floor(&mut change, conversation, floor).await.map_err(Fault::<StoreError>::from);
            change.end(result).await
        })
        .await
    }

    async fn erase(&self, user: UserId) -> Result<(), StoreError> {
        let note = sqlx::query("REPLACE INTO erasure (user) VALUES (?)").bind(user.0);
        self.read(async |db| Ok(note.execute(db).await.map(|_| ())?)).await
    }

    async fn erasures(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let mut text = Text::new("SELECT user FROM erasure ORDER BY user LIMIT ");
        text.number(limit as u64);
        self.read(async |db| {
            Ok(text.rows(db).await?.iter().map(|row| user(row, 0)).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }

    async fn erase_some(&self, user: UserId, look: usize) -> Result<Erased, StoreError> {
        erasing::step(self, user, look).await
    }

    async fn sweep(&self, conversation: ConversationId, limit: usize) -> Result<usize, StoreError> {
        self.retried(|| async {
            let mut change = self.begin().await?;
            let result = sweep(&mut change, conversation, limit).await.map_err(Fault::<StoreError>::from);
            change.end(result).await
        })
        .await
    }
}

fn read_kept(row: &MySqlRow) -> Result<Kept, sqlx::Error> {
    Ok(Kept {
        id: conversation(row, 0)?,
        kind: read_kind(row, 1)?,
        floor: seq(row, 2)?,
        first: Seq(number_or_zero(row, 3)?),
        head: Seq(number_or_zero(row, 4)?),
        oldest_at: row.try_get(5)?,
        keep: Keep { age_ms: number_or_zero(row, 6)?, messages: number_or_zero(row, 7)? },
    })
}

/// In a group those whom it names; else the one or two whom the conversation names.
async fn behind(
    db: &mut MySqlConnection,
    id: ConversationId,
    floor: Seq,
    after: UserId,
    limit: usize,
) -> Result<Vec<UserId>, sqlx::Error> {
    let members = head::members(db, &[id]).await?.pop().flatten();
    let Some(members) = members else { return Ok(Vec::new()) };
    let mut text = Text::default();
    if members.kind() == ConversationKind::Group {
        text.words(
            "SELECT m.user FROM group_member g FORCE INDEX (PRIMARY) STRAIGHT_JOIN member m FORCE INDEX (PRIMARY) ",
        );
        text.words("ON m.user = g.user AND m.conv = g.conv WHERE g.conv = ").bytes(id.as_bytes());
        text.words(" AND g.user > ").number(after.0).words(" AND m.`read` < ").number(floor.0);
        text.words(" AND (m.until = 0 OR m.`read` < m.until) ORDER BY g.user LIMIT ").number(limit as u64);
    } else {
        text.words("SELECT user FROM member FORCE INDEX (PRIMARY) WHERE conv = ").bytes(id.as_bytes());
        text.words(" AND user > ").number(after.0).words(" AND `read` < ").number(floor.0);
        text.each(members.audience().named(), " AND user IN (", ",", |text, user| {
            text.number(user.0);
        });
        text.words(") ORDER BY user LIMIT ").number(limit as u64);
    }
    text.rows(db).await?.iter().map(|row| user(row, 0)).collect()
}

/// The floor, locked.
async fn lock_floor(db: &mut MySqlConnection, id: ConversationId) -> Result<u64, sqlx::Error> {
    let mut text = Text::new("SELECT floor FROM conversation WHERE id = ");
    text.bytes(id.as_bytes()).words(" FOR UPDATE");
    text.rows(db).await?.first().map_or(Ok(0), |row| number(row, 0))
}

async fn raise_floor(db: &mut MySqlConnection, id: ConversationId, floor: Seq) -> Result<Seq, sqlx::Error> {
    let stands = lock_floor(db, id).await?;
    if stands >= floor.0 {
        return Ok(Seq(stands));
    }
    let mut text = Text::new("SELECT seq FROM message WHERE conv = ");
    text.bytes(id.as_bytes()).words(" AND seq = ").number(floor.0);
    if text.rows(db).await?.is_empty() {
        return Ok(Seq(stands));
    }
    let mut text = Text::new("UPDATE conversation SET floor = ");
    text.number(floor.0).words(" WHERE id = ").bytes(id.as_bytes());
    text.words(";UPDATE message FORCE INDEX (PRIMARY) SET body = '' WHERE conv = ").bytes(id.as_bytes());
    text.words(" AND seq = ").number(floor.0).words(";");
    texts::push_drop(&mut text, None, id, (floor.0, floor.0));
    free_files(&mut text, None, id, (floor.0, floor.0));
    text.run(db).await?;
    Ok(floor)
}

/// What came with the messages at these places is needed by them no more. `of`: only messages of this one. Ends without a
/// semicolon.
pub(super) fn free_files(text: &mut Text, of: Option<UserId>, id: ConversationId, (from, upto): (u64, u64)) {
    let push_range = |text: &mut Text, [conv, seq]: [&'static str; 2]| {
        text.words(conv).bytes(id.as_bytes()).words(seq).number(from).words(" AND ").number(upto);
    };
    // A file's messages are all its owner's.
    let push_of = |text: &mut Text| {
        if let Some(user) = of {
            text.words(" STRAIGHT_JOIN message m ON m.conv = u.conv AND m.seq = u.seq AND m.sender = ").number(user.0);
        }
    };
    text.words("UPDATE file_use u");
    push_of(text);
    text.words(" STRAIGHT_JOIN file f ON f.id = u.file SET f.idle_since = ").number(now_ms());
    push_range(text, [" WHERE u.conv = ", " AND u.seq BETWEEN "]);
    text.words(";").words(STILL_USED);
    push_range(text, ["u.conv = ", " AND u.seq BETWEEN "]);
    push_range(text, [" AND NOT (o.conv = ", " AND o.seq BETWEEN "]);
    text.words(");DELETE u FROM file_use u");
    push_of(text);
    push_range(text, [" WHERE u.conv = ", " AND u.seq BETWEEN "]);
}

/// Notes first: what is left of an interrupted sweep is found by the messages that are still there. Read without locks:
/// a floor that is older than the one that is says less.
async fn sweep(db: &mut MySqlConnection, id: ConversationId, limit: usize) -> Result<usize, sqlx::Error> {
    let mut text = Text::new("SELECT c.floor, (SELECT seq FROM message WHERE conv = c.id ORDER BY conv, seq LIMIT 1) ");
    text.words("FROM conversation c WHERE c.id = ").bytes(id.as_bytes());
    let rows = text.rows(db).await?;
    let Some(row) = rows.first() else { return Ok(0) };
    let (floor, first) = (number(row, 0)?, number_or_zero(row, 1)?);
    let mut gone = 0;
    for table in ["follow_up", "mark"] {
        let mut text = Text::new("DELETE FROM ");
        text.words(table).words(" WHERE conv = ").bytes(id.as_bytes()).words(" AND target < ").number(floor);
        text.words(" ORDER BY conv, target, seq LIMIT ").number(limit as u64);
        gone += text.affected(db).await?;
    }
    if first < floor {
        let end = floor.min(first.saturating_add(limit as u64));
        let mut text = Text::default();
        texts::push_drop(&mut text, None, id, (0, end - 1));
        free_files(&mut text, None, id, (0, end - 1));
        text.run(db).await?;
        let mut text = Text::new("DELETE FROM message WHERE conv = ");
        text.bytes(id.as_bytes()).words(" AND seq < ").number(end);
        gone += text.affected(db).await?;
    }
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
