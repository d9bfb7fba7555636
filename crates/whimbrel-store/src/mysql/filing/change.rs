//! Changes of files, each in an open transaction.

use sqlx::mysql::MySqlConnection;
use sqlx::query;
use whimbrel_core::{ConversationId, FileId, UserId};

use super::super::error::Fault;
use super::read::{is_used, locked, one, readable, usage};
use crate::StoreError;
use crate::filing::{FileError, FileRow, FileState, NewFile, Usage};

type Changed<T> = Result<T, Fault<FileError>>;

const INSERT: &str = "INSERT INTO file \
     (id, owner, conv, name, content_type, size, hash, encrypted, nonce, state, `blob`, idle_since, created_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Never below 0, whatever was counted: the columns are unsigned.
const GIVE_BACK: &str = "UPDATE file_usage SET bytes = bytes - LEAST(bytes, ?), files = files - LEAST(files, 1), \
     uploads = uploads - LEAST(uploads, ?) WHERE user = ?";

/// A user's usage, under its lock; the row is made if there is none.
async fn room_of(db: &mut MySqlConnection, user: UserId) -> sqlx::Result<Usage> {
    if let Some(usage) = usage(db, user, true).await? {
        return Ok(usage);
    }
    let make = "INSERT INTO file_usage (user, bytes, files, uploads) VALUES (?, 0, 0, 0) \
                ON DUPLICATE KEY UPDATE user = VALUES(user)";
    query(make).bind(user.0).execute(&mut *db).await?;
    Ok(usage(db, user, true).await?.unwrap_or_default())
}

pub(super) async fn announce(db: &mut MySqlConnection, new: &NewFile, room: Usage, now: u64) -> Changed<FileRow> {
    let taken = room_of(db, new.owner).await?;
    if let Some(there) = one(db, new.id).await? {
        return Ok(there.asked_again(new)?);
    }
    taken.admit(new.size, 1, room)?;
    let row = FileRow::begin(new.clone(), now);
    insert(db, &row).await?;
    Ok(row)
}

/// A new row, which takes up room; the owner's is locked.
async fn insert(db: &mut MySqlConnection, row: &FileRow) -> Changed<()> {
    let FileRow { file, state, blob, created_at, .. } = row;
    query(INSERT)
        .bind(&file.id.as_bytes()[..])
        .bind(file.owner.0)
        .bind(file.conversation.as_ref().map(|id: &ConversationId| &id.as_bytes()[..]))
        .bind(&file.name)
        .bind(&file.content_type)
        .bind(file.size)
        .bind(&file.hash[..])
        .bind(file.encrypted)
        .bind(file.nonce.as_ref().map(|nonce| &nonce[..]))
        .bind(*state as u8)
        .bind(&blob.as_bytes()[..])
        .bind(row.idle_since)
        .bind(*created_at)
        .execute(&mut *db)
        .await
        // Somebody else chose the same id at this moment.
        .map_err(|error| match super::super::error::duplicate_key(&error) {
            Some(_) => Fault::Own(FileError::Taken),
            None => error.into(),
        })?;
    let take = "UPDATE file_usage SET bytes = bytes + ?, files = files + 1, uploads = uploads + ? WHERE user = ?";
    let uploads = u64::from(*state == FileState::Uploading);
    query(take).bind(file.size).bind(uploads).bind(file.owner.0).execute(db).await?;
    Ok(())
}

/// A file and its owner's usage under their locks, in their order.
async fn both(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<Option<FileRow>> {
    let Some(FileRow { file, .. }) = one(db, id).await? else { return Ok(None) };
    room_of(db, file.owner).await?;
    locked(db, id).await
}

pub(super) async fn complete(
    db: &mut MySqlConnection,
    id: FileId,
    other: Option<FileId>,
    now: u64,
) -> Changed<FileRow> {
    let row = both(db, id).await?.ok_or(FileError::NoSuchFile)?;
    if row.state == FileState::Whole {
        return Ok(row);
    }
    let blob = other.unwrap_or(row.blob);
    if other.is_none() {
        let insert = query("INSERT INTO file_blob (id, hash, size, shared) VALUES (?, ?, ?, ?)");
        let insert = insert.bind(&blob.as_bytes()[..]).bind(&row.file.hash[..]).bind(row.file.size);
        insert.bind(!row.file.encrypted).execute(&mut *db).await?;
    } else {
        lock_content(db, blob).await?.ok_or(FileError::NoSuchFile)?;
        throw_away(db, row.blob).await?;
    }
    let whole = query("UPDATE file SET state = 2, `blob` = ?, nonce = NULL, idle_since = ? WHERE id = ?");
    whole.bind(&blob.as_bytes()[..]).bind(now).bind(&id.as_bytes()[..]).execute(&mut *db).await?;
    let count = query("UPDATE file_usage SET uploads = uploads - LEAST(uploads, 1) WHERE user = ?");
    count.bind(row.file.owner.0).execute(db).await?;
    Ok(row.whole(blob, now))
}

pub(super) async fn copy(
    db: &mut MySqlConnection,
    user: UserId,
    (from, to): (FileId, FileId),
    room: Usage,
    now: u64,
) -> Changed<FileRow> {
    let taken = room_of(db, user).await?;
    let source = readable(db, user, from).await?.ok_or(FileError::NoSuchFile)?;
    if let Some(there) = one(db, to).await? {
        return Ok(there.copied_again(user, &source)?);
    }
    taken.admit(source.file.size, 0, room)?;
    lock_content(db, source.blob).await?.ok_or(FileError::NoSuchFile)?;
    let row = source.copy(user, to, now);
    insert(db, &row).await?;
    Ok(row)
}

pub(super) async fn discard(db: &mut MySqlConnection, user: UserId, id: FileId) -> Changed<()> {
    let row = both(db, id).await?.filter(|row| row.file.owner == user).ok_or(FileError::NoSuchFile)?;
    if is_used(db, id).await? {
        return Err(FileError::Attached.into());
    }
    Ok(remove(db, &row).await?)
}

/// Collects a file if nothing has needed it, as its row under its lock says.
pub(super) async fn collect(
    db: &mut MySqlConnection,
    id: FileId,
    state: FileState,
    before: u64,
) -> Result<bool, Fault<StoreError>> {
    let row = both(db, id).await?;
    let idle = row.filter(|row| row.state == state && row.idle_since.is_some_and(|since| since < before));
    let Some(row) = idle else { return Ok(false) };
    if is_used(db, id).await? {
        // One of its messages was taken back, and others were not.
        query("UPDATE file SET idle_since = NULL WHERE id = ?").bind(&id.as_bytes()[..]).execute(db).await?;
        return Ok(false);
    }
    remove(db, &row).await?;
    Ok(true)
}

/// A file ends; its content too, if nobody else has it.
async fn remove(db: &mut MySqlConnection, row: &FileRow) -> sqlx::Result<()> {
    let (id, blob) = (row.file.id, row.blob);
    query("DELETE FROM file WHERE id = ?").bind(&id.as_bytes()[..]).execute(&mut *db).await?;
    let uploads = u64::from(row.state == FileState::Uploading);
    query(GIVE_BACK).bind(row.file.size).bind(uploads).bind(row.file.owner.0).execute(&mut *db).await?;
    lock_content(db, blob).await?;
    let other = query("SELECT id FROM file WHERE `blob` = ? LIMIT 1").bind(&blob.as_bytes()[..]);
    if other.fetch_optional(&mut *db).await?.is_none() {
        query("DELETE FROM file_blob WHERE id = ?").bind(&blob.as_bytes()[..]).execute(&mut *db).await?;
        throw_away(db, blob).await?;
    }
    Ok(())
}

/// Nobody takes or ends this content meanwhile; `None` if it is not there.
async fn lock_content(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<Option<()>> {
    let lock = query("SELECT size FROM file_blob WHERE id = ? FOR UPDATE").bind(&id.as_bytes()[..]);
    Ok(lock.fetch_optional(db).await?.map(drop))
}

async fn throw_away(db: &mut MySqlConnection, content: FileId) -> sqlx::Result<()> {
    let throw = query("INSERT INTO file_trash (id) VALUES (?) ON DUPLICATE KEY UPDATE id = VALUES(id)");
    throw.bind(&content.as_bytes()[..]).execute(db).await?;
    Ok(())
}
