//! Changes of files, each in an open transaction.

use sqlx::mysql::MySqlConnection;
use sqlx::query;
use whimbrel_core::{ConversationId, FileId, UserId};

use super::super::error::Fault;
use super::super::value::{bytes, number};
use super::read::{is_used, locked, one, readable, usage};
use crate::StoreError;
use crate::filing::{ContentHash, FileError, FileRow, FileState, Kept, NewFile, NewPicture, Picture, Usage};

type Changed<T> = Result<T, Fault<FileError>>;

const INSERT: &str = "INSERT INTO file \
     (id, owner, conv, name, content_type, size, hash, encrypted, nonce, state, `blob`, idle_since, created_at, \
     keeps_metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

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
        .bind(file.keeps_metadata)
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
    kept: Kept,
    picture: Option<&NewPicture>,
    now: u64,
) -> Changed<FileRow> {
    let row = both(db, id).await?.ok_or(FileError::NoSuchFile)?;
    if row.state == FileState::Whole {
        return Ok(row);
    }
    let (blob, content) = match kept {
        Kept::Own => (row.blob, (row.file.size, row.file.hash)),
        Kept::Made { hash, size } => (row.made(), (size, hash)),
        Kept::Shared(blob) => (blob, lock_content(db, blob).await?.ok_or(FileError::NoSuchFile)?),
    };
    if !matches!(kept, Kept::Shared(_)) {
        let insert = query("INSERT INTO file_blob (id, hash, size, shared) VALUES (?, ?, ?, ?)");
        let insert = insert.bind(&blob.as_bytes()[..]).bind(&content.1[..]).bind(content.0);
        insert.bind(!row.file.encrypted).execute(&mut *db).await?;
    }
    for name in row.names().filter(|name| *name != blob) {
        throw_away(db, name).await?;
    }
    if let Some(picture) = picture {
        note(db, blob, picture).await?;
    }
    let (owner, before) = (row.file.owner, row.file.size);
    let row = row.whole(blob, content, now);
    let whole = "UPDATE file SET state = 2, `blob` = ?, nonce = NULL, idle_since = ?, size = ?, hash = ?, \
                 announced_size = ?, announced_hash = ? WHERE id = ?";
    let whole = query(whole).bind(&blob.as_bytes()[..]).bind(now).bind(content.0).bind(&content.1[..]);
    let whole = whole.bind(row.announced.map(|(size, _)| size));
    let whole = whole.bind(row.announced.as_ref().map(|(_, hash)| &hash[..]));
    whole.bind(&id.as_bytes()[..]).execute(&mut *db).await?;
    let count = "UPDATE file_usage SET uploads = uploads - LEAST(uploads, 1), \
                 bytes = bytes - LEAST(bytes, ?) + ? WHERE user = ?";
    query(count).bind(before).bind(content.0).bind(owner.0).execute(&mut *db).await?;
    // Content that others share may have been seen before.
    let is_seen = picture.is_some() || matches!(kept, Kept::Shared(_));
    let seen = if is_seen { one(db, id).await? } else { None };
    Ok(seen.unwrap_or(row))
}

/// What content looks like, unless that is known.
async fn note(db: &mut MySqlConnection, blob: FileId, picture: &NewPicture) -> sqlx::Result<()> {
    let NewPicture { picture: Picture { width, height, blur_hash, .. }, thumbnail } = picture;
    let insert = query(
        "INSERT INTO file_picture (`blob`, width, height, blur_hash, thumbnail) VALUES (?, ?, ?, ?, ?) \
         ON DUPLICATE KEY UPDATE width = width",
    );
    let insert = insert.bind(&blob.as_bytes()[..]).bind(width).bind(height).bind(blur_hash);
    insert.bind(&thumbnail[..]).execute(db).await?;
    Ok(())
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
        query("DELETE FROM file_picture WHERE `blob` = ?").bind(&blob.as_bytes()[..]).execute(&mut *db).await?;
        throw_away(db, blob).await?;
    }
    if row.state == FileState::Uploading {
        for name in row.names().filter(|name| *name != blob) {
            throw_away(db, name).await?;
        }
    }
    Ok(())
}

/// Nobody takes or ends this content meanwhile: its size and hash; `None` if it is not there.
async fn lock_content(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<Option<(u64, ContentHash)>> {
    let lock = query("SELECT size, hash FROM file_blob WHERE id = ? FOR UPDATE").bind(&id.as_bytes()[..]);
    let row = lock.fetch_optional(db).await?;
    row.map(|row| Ok((number(&row, 0)?, bytes(&row, 1)?))).transpose()
}

async fn throw_away(db: &mut MySqlConnection, content: FileId) -> sqlx::Result<()> {
    let throw = query("INSERT INTO file_trash (id) VALUES (?) ON DUPLICATE KEY UPDATE id = VALUES(id)");
    throw.bind(&content.as_bytes()[..]).execute(db).await?;
    Ok(())
}
