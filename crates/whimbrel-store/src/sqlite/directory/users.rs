//! Accounts.

use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, ConversationKind, DeviceId, UserId};

use super::super::groups::leave_all;
use super::super::value::{all, first_row, number, run, sql, user as user_at};
use super::tell::{Account, Teller};
use super::{change, devices};
use crate::directory::{DirectoryError, NewUser, RelationState, Rows, User};
use crate::{Keyring, StoreError};

/// What [`read`] wants, as the first columns of a row.
macro_rules! user_columns {
    () => {
        "u.id, u.handle, u.display_name, u.avatar, u.created_at"
    };
}
pub(in crate::sqlite) use user_columns;

/// A user from the first five columns.
pub(in crate::sqlite) fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: user_at(row, 0)?,
        handle: row.get(1)?,
        display_name: row.get(2)?,
        avatar: row.get(3)?,
        created_at: number(row, 4)?,
    })
}

pub(super) fn by_id(db: &Connection, user: UserId) -> rusqlite::Result<Option<User>> {
    let query = concat!("SELECT ", user_columns!(), " FROM user u WHERE u.id = ?1 AND u.deleted_at IS NULL");
    first_row(db, query, params![sql(user.0)], read)
}

pub(super) fn by_handle(db: &Connection, handle: &str) -> rusqlite::Result<Option<User>> {
    let query = concat!("SELECT ", user_columns!(), " FROM user u WHERE u.handle = ?1 AND u.deleted_at IS NULL");
    first_row(db, query, params![handle], read)
}

/// The account, or the error that says that there is none.
pub(in crate::sqlite) fn existing(db: &Connection, user: UserId) -> Result<User, DirectoryError> {
    by_id(db, user)?.ok_or(DirectoryError::NoSuchUser)
}

pub(super) fn password_hash(db: &Connection, user: UserId) -> rusqlite::Result<Option<Option<String>>> {
    let query = "SELECT password_hash FROM user WHERE id = ?1 AND deleted_at IS NULL";
    first_row(db, query, params![sql(user.0)], |row| row.get(0))
}

/// Each account with its private conversation; a taken handle fails only its own.
pub(super) fn create(
    db: &Connection,
    users: Vec<NewUser>,
    now: u64,
) -> Result<Vec<Result<User, DirectoryError>>, StoreError> {
    let created = users.into_iter().map(|new| create_one(db, new, now));
    Ok(created.map(|created| created.map(|user| user.ok_or(DirectoryError::HandleTaken))).collect::<Result<_, _>>()?)
}

fn create_one(db: &Connection, new: NewUser, now: u64) -> rusqlite::Result<Option<User>> {
    let private = ConversationId::generate();
    let insert = "INSERT INTO user (handle, display_name, password_hash, private_conversation, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (handle) DO NOTHING";
    let values = params![new.handle, new.display_name, new.password_hash, private.as_bytes(), sql(now)];
    if run(db, insert, values)? == 0 {
        return Ok(None);
    }
    let id = UserId(u64::try_from(db.last_insert_rowid()).expect("SQLite counts rowids from 1"));
    new_conversation(db, private, ConversationKind::Private, id, None, now)?;
    let NewUser { handle, display_name, .. } = new;
    Ok(Some(User { id, handle, display_name, avatar: String::new(), created_at: now }))
}

/// A conversation with its member rows: `first` (and `second`, the higher id, in a direct one).
pub(super) fn new_conversation(
    db: &Connection,
    id: ConversationId,
    kind: ConversationKind,
    first: UserId,
    second: Option<UserId>,
    now: u64,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO conversation (id, kind, first, second, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let other = sql(second.map_or(0, |user| user.0));
    run(db, insert, params![id.as_bytes(), kind as u8, sql(first.0), other, sql(now)])?;
    for user in std::iter::once(first).chain(second) {
        run(db, "INSERT INTO member (user, conv) VALUES (?1, ?2)", params![sql(user.0), id.as_bytes()])?;
    }
    Ok(())
}

pub(super) fn set_profile(
    db: &Connection,
    user: UserId,
    display_name: Option<String>,
    avatar: Option<String>,
    now: u64,
) -> Result<(User, Rows), DirectoryError> {
    let before = existing(db, user)?;
    let after = User {
        display_name: display_name.unwrap_or_else(|| before.display_name.clone()),
        avatar: avatar.unwrap_or_else(|| before.avatar.clone()),
        ..before.clone()
    };
    let mut teller = Teller::new(db, now);
    if after != before {
        let update = "UPDATE user SET display_name = ?2, avatar = ?3 WHERE id = ?1";
        run(db, update, params![sql(user.0), after.display_name, after.avatar])?;
        teller.account(user, Account::Profile)?;
        let friends = "SELECT peer FROM relation WHERE user = ?1 AND state = ?2";
        for friend in all(db, friends, params![sql(user.0), RelationState::Friends as u8], |row| user_at(row, 0))? {
            teller.relation(friend, user)?;
        }
    }
    Ok((after, teller.into_rows()))
}

pub(super) fn set_password(
    db: &Connection,
    user: UserId,
    hash: &str,
    keep: DeviceId,
    now: u64,
) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
    existing(db, user)?;
    run(db, "UPDATE user SET password_hash = ?2 WHERE id = ?1", params![sql(user.0), hash])?;
    let mut removed = devices::ids(db, user)?;
    removed.retain(|device| *device != keep);
    let mut teller = Teller::new(db, now);
    teller.account(user, Account::Password)?;
    for device in &removed {
        devices::remove(db, user, *device)?;
    }
    if !removed.is_empty() {
        teller.account(user, Account::DeviceRemoved)?;
    }
    Ok((removed, teller.into_rows()))
}

/// The account's row stays, so that its number and handle are never given again; nothing personal stays in it.
pub(super) fn delete(db: &Connection, keyring: &Keyring, user: UserId, now: u64) -> Result<Rows, DirectoryError> {
    existing(db, user)?;
    let update = "UPDATE user SET display_name = '', avatar = '', password_hash = NULL, deleted_at = ?2 WHERE id = ?1";
    run(db, update, params![sql(user.0), sql(now)])?;
    for device in devices::ids(db, user)? {
        devices::remove(db, user, device)?;
    }
    let mut teller = Teller::new(db, now);
    let peers = "SELECT peer FROM relation WHERE user = ?1";
    for peer in all(db, peers, params![sql(user.0)], |row| user_at(row, 0))? {
        change::end(db, &mut teller, user, peer, now)?;
    }
    leave_all(db, keyring, &mut teller, user, now)?;
    run(db, "DELETE FROM setting WHERE user = ?1", [sql(user.0)])?;
    run(db, "DELETE FROM member_span WHERE user = ?1", [sql(user.0)])?;
    Ok(teller.into_rows())
}
