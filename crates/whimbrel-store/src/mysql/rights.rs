//! What a row's rights depend on beyond its head: a sender's standing in a group, the message that a follow-up is about,
//! the file that a message comes with.

use hashbrown::{HashMap, HashSet};
use sqlx::Row;
use sqlx::mysql::MySqlConnection;
use whimbrel_core::{ConversationId, FileId, MessageKind, Role, Seq, Standing, UserId};

use super::text::Text;
use super::value::{bytes, conversation, number, seq, unreadable, user};
use crate::timeline::Target;

const STANDINGS: &str = "SELECT conv, user, role, muted_until, \
     (SELECT m.since FROM member m WHERE m.user=g.user AND m.conv=g.conv) \
     FROM group_member g FORCE INDEX (PRIMARY) WHERE until=0 AND (";

const TARGETS: &str = "SELECT m.conv, m.seq, m.sender, m.kind, m.at, OCTET_LENGTH(m.body), \
     CAST(COALESCE(NULLIF((SELECT f.nth FROM follow_up f FORCE INDEX (PRIMARY) \
     WHERE f.conv=m.conv AND f.target=m.seq ORDER BY f.seq DESC LIMIT 1),0),\
     (SELECT COUNT(*) FROM follow_up f WHERE f.conv=m.conv AND f.target=m.seq)) AS UNSIGNED), \
     (SELECT x.kind FROM message x FORCE INDEX (PRIMARY) WHERE x.conv=m.conv AND x.seq=\
     (SELECT f.seq FROM follow_up f FORCE INDEX (PRIMARY) WHERE f.conv=m.conv AND f.target=m.seq \
     ORDER BY f.seq DESC LIMIT 1)) \
     FROM message m FORCE INDEX (PRIMARY) WHERE (";

const FILES: &str = "SELECT id, owner FROM file FORCE INDEX (PRIMARY) WHERE state=2 AND (";

/// Keys in one statement. Each is a range of its own for the server, whose room to find ranges in is bounded.
const STATEMENT: usize = 512;

/// The standings of these users in these groups, in their order.
pub(super) async fn standings(
    db: &mut MySqlConnection,
    wanted: &[(ConversationId, UserId)],
) -> Result<Vec<Option<Standing>>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let text = keys(STANDINGS, wanted, |text, (conversation, user)| {
        text.words("conv=").bytes(conversation.as_bytes()).words(" AND user=").number(user.0);
    });
    let mut found = HashMap::new();
    for row in text.run(db).await?.iter().flatten() {
        let role = Role::from_number(row.try_get(2)?).ok_or_else(|| unreadable(2, "a role"))?;
        let standing = Standing { role, muted_until: number(row, 3)?, sees_from: seq(row, 4)? };
        found.insert((conversation(row, 0)?, user(row, 1)?), standing);
    }
    Ok(wanted.iter().map(|key| found.get(key).copied()).collect())
}

/// The messages at these places, in their order.
pub(super) async fn targets(
    db: &mut MySqlConnection,
    wanted: &[(ConversationId, Seq)],
) -> Result<Vec<Option<Target>>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let text = keys(TARGETS, wanted, |text, (conversation, seq)| {
        text.words("m.conv=").bytes(conversation.as_bytes()).words(" AND m.seq=").number(seq.0);
    });
    let mut found = HashMap::new();
    for row in text.run(db).await?.iter().flatten() {
        let kind = MessageKind(row.try_get(3)?);
        let (len, follow_ups): (i64, u64) = (row.try_get(5)?, row.try_get(6)?);
        let target = Target {
            sender: user(row, 2)?,
            kind,
            at: number(row, 4)?,
            recalled: kind.is_countable() && len == 0,
            follow_ups: u32::try_from(follow_ups).unwrap_or(u32::MAX),
            finished: row.try_get::<Option<u32>, _>(7)?.map(MessageKind) == Some(MessageKind::FINISH),
        };
        found.insert((conversation(row, 0)?, seq(row, 1)?), target);
    }
    Ok(wanted.iter().map(|key| found.get(key).copied()).collect())
}

/// Whether these files are whole and these users' own, in their order.
pub(super) async fn files(db: &mut MySqlConnection, wanted: &[(FileId, UserId)]) -> Result<Vec<bool>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let text = keys(FILES, wanted, |text, (file, _)| {
        text.words("id=").bytes(file.as_bytes());
    });
    let mut found = HashSet::new();
    for row in text.run(db).await?.iter().flatten() {
        found.insert((FileId::from_bytes(bytes(row, 0)?), user(row, 1)?));
    }
    Ok(wanted.iter().map(|key| found.contains(key)).collect())
}

/// As many statements as these keys need, in one text.
fn keys<T>(statement: &'static str, wanted: &[T], mut write: impl FnMut(&mut Text, &T)) -> Text {
    let mut text = Text::default();
    for part in wanted.chunks(STATEMENT) {
        text.words(statement).each(part, "(", " OR (", |text, key| {
            write(text, key);
            text.words(")");
        });
        text.words(");");
    }
    text
}
