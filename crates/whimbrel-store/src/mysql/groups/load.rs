//! What a change is decided on: the group with the lock on its conversation, and the people whom the change names. They are
//! locked before, so that what is read of them stands.

use std::collections::BTreeMap;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::query;
use whimbrel_core::{ConversationId, ConversationKind, Role, UserId};

use super::super::directory::users::Locked;
use super::super::directory::work::{Stop, Work};
use super::super::text::Text;
use super::super::value::{conversation, seq, user};
use super::read;
use super::value::{get, request_kind, role};
use crate::StoreError;
use crate::directory::RelationState;
use crate::groups::Group;
use crate::groups::rules::{MemberRow, Needs, Person, RequestRow};

/// Accounts whose rows are locked.
pub(super) type Accounts = BTreeMap<UserId, Locked>;

/// Locks a group by the row of its conversation: nobody else changes it until this change is over.
pub(super) async fn lock_group(work: &mut Work, id: ConversationId) -> Result<Option<Group>, Stop> {
    let lock = "SELECT kind FROM conversation WHERE id = ? FOR UPDATE";
    let row = query(lock).bind(&id.as_bytes()[..]).fetch_optional(work.db()).await?;
    let is_group = row.is_some_and(|row| get(&row, 0).is_ok_and(|kind: u8| kind == ConversationKind::Group as u8));
    if is_group { Ok(read::by_id(work.db(), id).await?) } else { Ok(None) }
}

/// Those of the people who have an account, ascending. `by`: who acts, and whose friends and blocks count.
pub(super) async fn people(
    work: &mut Work,
    id: ConversationId,
    accounts: &Accounts,
    needs: &Needs,
    by: Option<UserId>,
) -> Result<Vec<Person>, Stop> {
    let users: Vec<UserId> = accounts.keys().copied().collect();
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let members = "SELECT user, role, until, muted_until FROM group_member FORCE INDEX (PRIMARY) WHERE conv=";
    let members = of_group(work, members, id, &users, read_member).await?;
    let requests = "SELECT user, kind, by_user FROM group_request FORCE INDEX (PRIMARY) WHERE conv=";
    let requests = of_group(work, requests, id, &users, read_request).await?;
    let groups = if needs.groups { count_groups(work, &users).await? } else { BTreeMap::new() };
    let relations = match by {
        Some(by) if needs.blocks => relations_to(work, by, &users).await?,
        _ => BTreeMap::new(),
    };
    let person = |user: &UserId| {
        let (friend, blocks) = relations.get(user).copied().unwrap_or_default();
        Person {
            user: *user,
            member: members.get(user).copied(),
            request: requests.get(user).copied(),
            groups: groups.get(user).copied().unwrap_or(0),
            blocks,
            friend,
        }
    };
    Ok(users.iter().map(person).collect())
}

fn push_users(text: &mut Text, users: &[UserId]) {
    text.each(users, "(", ",", |text, user| {
        text.number(user.0);
    });
    text.words(")");
}

/// Rows of one group, by their users, whose number is the first column.
async fn of_group<T>(
    work: &mut Work,
    words: &'static str,
    id: ConversationId,
    users: &[UserId],
    read: impl Fn(&MySqlRow) -> sqlx::Result<T>,
) -> Result<BTreeMap<UserId, T>, Stop> {
    let mut text = Text::new(words);
    text.bytes(id.as_bytes()).words(" AND user IN ");
    push_users(&mut text, users);
    let rows = text.rows(work.db()).await?;
    Ok(rows.iter().map(|row| Ok((user(row, 0)?, read(row)?))).collect::<sqlx::Result<_>>()?)
}

fn read_member(row: &MySqlRow) -> sqlx::Result<MemberRow> {
    Ok(MemberRow { role: role(row, 1)?, until: seq(row, 2)?, muted_until: get(row, 3)? })
}

fn read_request(row: &MySqlRow) -> sqlx::Result<RequestRow> {
    Ok(RequestRow { kind: request_kind(row, 1)?, by: user(row, 2)? })
}

/// In how many groups that stand each of them is. They are locked: who comes or goes is locked by whoever changes that.
async fn count_groups(work: &mut Work, users: &[UserId]) -> Result<BTreeMap<UserId, u64>, Stop> {
    let mut text = Text::new(
        "SELECT m.user, COUNT(*) FROM member m FORCE INDEX (PRIMARY) STRAIGHT_JOIN chat_group g ON g.conv=m.conv \
         WHERE m.until=0 AND g.dissolved_at IS NULL AND m.user IN ",
    );
    push_users(&mut text, users);
    text.words(" GROUP BY m.user");
    let rows = text.rows(work.db()).await?;
    let counts = rows.iter().map(|row| Ok((user(row, 0)?, get::<i64>(row, 1)?.unsigned_abs())));
    Ok(counts.collect::<sqlx::Result<_>>()?)
}

/// Who of them is a friend of this user, and who blocks them.
async fn relations_to(work: &mut Work, by: UserId, users: &[UserId]) -> Result<BTreeMap<UserId, (bool, bool)>, Stop> {
    let mut text = Text::new("SELECT user, state, blocks FROM relation FORCE INDEX (PRIMARY) WHERE peer=");
    text.number(by.0).words(" AND user IN ");
    push_users(&mut text, users);
    let rows = text.rows(work.db()).await?;
    let relations = rows.iter().map(|row| {
        let is_friend = get::<u8>(row, 1)? == RelationState::Friends as u8;
        Ok((user(row, 0)?, (is_friend, get::<u8>(row, 2)? != 0)))
    });
    Ok(relations.collect::<sqlx::Result<_>>()?)
}

/// Requests and invitations of the group.
pub(super) async fn waiting(work: &mut Work, id: ConversationId) -> Result<u64, Stop> {
    let count = "SELECT COUNT(*) FROM group_request WHERE conv = ?";
    let row = query(count).bind(&id.as_bytes()[..]).fetch_one(work.db()).await?;
    Ok(get::<i64>(&row, 0)?.unsigned_abs())
}

/// Whether another group has this handle. Who takes it in between makes the change begin again.
pub(super) async fn is_taken(work: &mut Work, handle: &str) -> Result<bool, Stop> {
    Ok(read::by_handle(work.db(), handle).await?.is_some())
}

/// Who of a role has been in the group longest, but for somebody.
pub(in crate::mysql) const OLDEST: &str = "SELECT user FROM group_member FORCE INDEX (group_member_heir) \
     WHERE conv = ? AND until = 0 AND role = ? AND user <> ? ORDER BY joined_at, user LIMIT 1";

/// Who gets the group of somebody who goes: the oldest admin, else the oldest member.
pub(super) async fn heir(work: &mut Work, id: ConversationId, but: UserId) -> Result<Option<UserId>, Stop> {
    for role in [Role::Admin, Role::Member] {
        let oldest = query(OLDEST).bind(&id.as_bytes()[..]).bind(role as u8).bind(but.0);
        if let Some(row) = oldest.fetch_optional(work.db()).await? {
            return Ok(Some(user(&row, 0)?));
        }
    }
    Ok(None)
}

/// The owner and admins, owner first, at most so many.
pub(super) async fn answerers(work: &mut Work, id: ConversationId, limit: usize) -> Result<Vec<UserId>, Stop> {
    let answerers = "SELECT user FROM group_member FORCE INDEX (group_member_role) WHERE conv = ? AND role >= ? AND until = 0 \
         ORDER BY role DESC, user LIMIT ?";
    let answerers = query(answerers).bind(&id.as_bytes()[..]).bind(Role::Admin as u8).bind(limit as u64);
    let rows = answerers.fetch_all(work.db()).await?;
    Ok(rows.iter().map(|row| user(row, 0)).collect::<sqlx::Result<_>>()?)
}

/// Whether somebody is in the group.
pub(super) async fn is_member(work: &mut Work, id: ConversationId, user: UserId) -> Result<bool, Stop> {
    let read = "SELECT user FROM group_member WHERE conv = ? AND user = ? AND until = 0";
    Ok(query(read).bind(&id.as_bytes()[..]).bind(user.0).fetch_optional(work.db()).await?.is_some())
}

/// The next groups that somebody is in.
pub(in crate::mysql) async fn groups_of(
    db: &mut MySqlConnection,
    user: UserId,
    limit: usize,
) -> Result<Vec<ConversationId>, StoreError> {
    let read = "SELECT m.conv FROM member m STRAIGHT_JOIN chat_group g ON g.conv = m.conv \
         WHERE m.user = ? AND m.until = 0 ORDER BY m.conv LIMIT ?";
    let rows = query(read).bind(user.0).bind(limit as u64).fetch_all(db).await?;
    Ok(rows.iter().map(|row| conversation(row, 0)).collect::<sqlx::Result<_>>()?)
}
