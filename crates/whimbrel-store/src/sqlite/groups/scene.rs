//! What the rules decide on, read by the writer: one person after the other, each by key.

use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, UserId};

use super::super::head::read_role;
use super::super::value::{first_row, number, seq, sql, until, user};
use super::read::request_kind;
use crate::directory::RelationState;
use crate::groups::rules::{MemberRow, Needs, Person, RequestRow};

pub(super) const PERSON: &str = "SELECT p.role, p.until, p.muted_until, r.kind, r.by_user FROM user u \
     LEFT JOIN group_member p ON p.conv = ?1 AND p.user = u.id \
     LEFT JOIN group_request r ON r.conv = ?1 AND r.user = u.id WHERE u.id = ?2 AND u.deleted_at IS NULL";

/// Dissolved groups take no room.
pub(super) const GROUPS: &str = "SELECT count(*) FROM member m CROSS JOIN chat_group g ON g.conv = m.conv \
     WHERE m.user = ?1 AND m.until = 0 AND g.dissolved_at IS NULL";

/// Those of these people who have an account; `of`: whose friends they are, and whom they block.
pub(super) fn people(
    db: &Connection,
    group: ConversationId,
    needs: &Needs,
    of: Option<UserId>,
) -> rusqlite::Result<Vec<Person>> {
    let mut people = Vec::with_capacity(needs.people.len());
    for user in &needs.people {
        let Some(mut person) = person(db, group, *user)? else { continue };
        if needs.groups {
            person.groups = first_row(db, GROUPS, [sql(user.0)], |row| number(row, 0))?.unwrap_or(0);
        }
        if let Some(of) = of.filter(|of| needs.blocks && of != user) {
            let relation = "SELECT state, blocks FROM relation WHERE user = ?1 AND peer = ?2";
            let found = first_row(db, relation, params![sql(user.0), sql(of.0)], |row| {
                Ok((row.get::<_, u8>(0)? == RelationState::Friends as u8, row.get(1)?))
            })?;
            (person.friend, person.blocks) = found.unwrap_or_default();
        }
        people.push(person);
    }
    Ok(people)
}

fn person(db: &Connection, group: ConversationId, id: UserId) -> rusqlite::Result<Option<Person>> {
    first_row(db, PERSON, params![group.as_bytes(), sql(id.0)], |row| {
        let is_there = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.is_some());
        let member = if is_there(0)? {
            Some(MemberRow { role: read_role(row, 0)?, until: seq(row, 1)?, muted_until: until(row, 2)? })
        } else {
            None
        };
        let request =
            if is_there(3)? { Some(RequestRow { kind: request_kind(row, 3)?, by: user(row, 4)? }) } else { None };
        Ok(Person { user: id, member, request, groups: 0, blocks: false, friend: false })
    })
}

/// Requests and invitations of a group.
pub(super) fn waiting(db: &Connection, group: ConversationId) -> rusqlite::Result<u64> {
    let query = "SELECT count(*) FROM group_request WHERE conv = ?1";
    Ok(first_row(db, query, [group.as_bytes()], |row| number(row, 0))?.unwrap_or(0))
}
