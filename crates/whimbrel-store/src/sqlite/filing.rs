//! [`Files`] on SQLite. Everything that changes is a job of the writer, so nothing comes between its steps.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, FileId, Message, Seq, UserId};

use super::SqliteStore;
use super::value::{all, first, first_row, number, run, small, sql, unreadable, user};
use crate::StoreError;
use crate::filing::{
    ContentHash, FileError, FileRow, FileState, Files, Kept, NewFile, NewPicture, Nonce, Picture, Usage,
};
use crate::timeline::CommitError;

macro_rules! columns {
    () => {
        "SELECT id, owner, conv, name, content_type, size, hash, encrypted, nonce, state, f.blob, idle_since, \
         created_at, keeps_metadata, announced_hash, announced_size, width, height, blur_hash, length(thumbnail) \
         FROM file f LEFT JOIN file_picture p ON p.blob = f.blob "
    };
}

const ONE: &str = concat!(columns!(), "WHERE id = ?1");

const READABLE: &str = concat!(
    columns!(),
    "WHERE id = ?2 AND state = 2 AND (owner = ?1 OR EXISTS (SELECT 1 FROM file_use u CROSS JOIN member m \
     ON m.user = ?1 AND m.conv = u.conv WHERE u.file = ?2 AND u.seq >= m.since AND (m.until = 0 OR u.seq <= m.until) \
     AND u.seq > (SELECT floor FROM conversation WHERE id = u.conv)) \
     OR EXISTS (SELECT 1 FROM file_use u CROSS JOIN member_span s ON s.user = ?1 AND s.conv = u.conv \
     AND s.until >= u.seq WHERE u.file = ?2 AND u.seq >= s.since \
     AND u.seq > (SELECT floor FROM conversation WHERE id = u.conv)))"
);

const INSERT: &str = "INSERT INTO file \
     (id, owner, conv, name, content_type, size, hash, encrypted, nonce, state, blob, idle_since, created_at, \
     keeps_metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13)";

const TAKE: &str = "INSERT INTO file_usage (user, bytes, files, uploads) VALUES (?1, ?2, 1, ?3) ON CONFLICT (user) \
     DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1, uploads = uploads + excluded.uploads";

const GIVE_BACK: &str = "UPDATE file_usage SET bytes = max(bytes - ?2, 0), files = max(files - 1, 0), uploads = max(uploads - ?3, 0) \
     WHERE user = ?1";

const IDLE: &str = "SELECT id FROM file WHERE state = ?1 AND idle_since < ?2 ORDER BY idle_since LIMIT ?3";

const NEWEST: &str = concat!(columns!(), "WHERE owner = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2");

const OLDER: &str =
    concat!(columns!(), "WHERE owner = ?1 AND (created_at, id) < (?3, ?4) ORDER BY created_at DESC, id DESC LIMIT ?2");

/// A message came with a file of its sender's.
const USE: &str = "INSERT OR IGNORE INTO file_use (file, conv, seq) VALUES (?1, ?2, ?3)";

#[async_trait]
impl Files for SqliteStore {
    async fn announce(&self, new: NewFile, room: Usage, now: u64) -> Result<FileRow, FileError> {
        self.shared.writer.write(move |db| announce(db, new, room, now)).await
    }

    async fn file(&self, id: FileId) -> Result<Option<FileRow>, StoreError> {
        self.shared.readers.read(move |db| Ok(one(db, id)?)).await
    }

    async fn readable(&self, user: UserId, id: FileId) -> Result<Option<FileRow>, StoreError> {
        self.shared.readers.read(move |db| Ok(readable(db, user, id)?)).await
    }

    async fn usage(&self, user: UserId) -> Result<Usage, StoreError> {
        self.shared.readers.read(move |db| Ok(usage(db, user)?)).await
    }

    async fn touch(&self, id: FileId, now: u64) -> Result<(), StoreError> {
        let touch = "UPDATE file SET idle_since = ?2 WHERE id = ?1 AND state = 1";
        self.shared.writer.write(move |db| Ok(run(db, touch, params![id.as_bytes(), sql(now)]).map(drop)?)).await
    }

    async fn take_nonce(&self, id: FileId) -> Result<Option<Nonce>, StoreError> {
        self.shared
            .writer
            .write(move |db| {
                let nonce = one(db, id)?.filter(|row| row.state == FileState::Uploading).and_then(|row| row.file.nonce);
                run(db, "UPDATE file SET nonce = NULL WHERE id = ?1", [id.as_bytes()])?;
                Ok(nonce)
            })
            .await
    }

    async fn shared(&self, hash: ContentHash, size: u64) -> Result<Option<FileId>, StoreError> {
        self.shared.readers.read(move |db| Ok(shared(db, hash, size)?)).await
    }

    async fn complete(
        &self,
        id: FileId,
        kept: Kept,
        picture: Option<NewPicture>,
        now: u64,
    ) -> Result<FileRow, FileError> {
        self.shared.writer.write(move |db| complete(db, id, kept, picture, now)).await
    }

    async fn thumbnail(&self, blob: FileId) -> Result<Option<Bytes>, StoreError> {
        let query = "SELECT thumbnail FROM file_picture WHERE blob = ?1 AND length(thumbnail) > 0";
        let read = |row: &Row<'_>| row.get::<_, Vec<u8>>(0).map(Bytes::from);
        self.shared.readers.read(move |db| Ok(first_row(db, query, [blob.as_bytes()], read)?)).await
    }

    async fn files_of(
        &self,
        owner: UserId,
        before: Option<(u64, FileId)>,
        limit: usize,
    ) -> Result<Vec<FileRow>, StoreError> {
        let limit = sql(limit as u64);
        let find = move |db: &Connection| match before {
            None => all(db, NEWEST, params![sql(owner.0), limit], read),
            Some((at, id)) => all(db, OLDER, params![sql(owner.0), limit, sql(at), id.as_bytes()], read),
        };
        self.shared.readers.read(move |db| Ok(find(db)?)).await
    }

    async fn copy_file(
        &self,
        user: UserId,
        from: FileId,
        to: FileId,
        room: Usage,
        now: u64,
    ) -> Result<FileRow, FileError> {
        self.shared.writer.write(move |db| copy(db, user, from, to, room, now)).await
    }

    async fn discard(&self, user: UserId, id: FileId) -> Result<(), FileError> {
        self.shared
            .writer
            .write(move |db| {
                let row = one(db, id)?.filter(|row| row.file.owner == user).ok_or(FileError::NoSuchFile)?;
                if is_used(db, id)? { Err(FileError::Attached) } else { Ok(remove(db, &row)?) }
            })
            .await
    }

    async fn collect(&self, uploads_before: u64, files_before: u64, limit: usize) -> Result<usize, StoreError> {
        let limit = limit as u64;
        self.shared.writer.write(move |db| Ok(collect(db, [uploads_before, files_before], limit)?)).await
    }

    async fn trash(&self, limit: usize) -> Result<Vec<FileId>, StoreError> {
        let limit = sql(limit as u64);
        let read = move |db: &Connection| Ok(all(db, "SELECT id FROM file_trash LIMIT ?1", [limit], |row| id(row, 0))?);
        self.shared.readers.read(read).await
    }

    async fn swept(&self, ids: &[FileId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.shared
            .writer
            .write(move |db| {
                for id in ids {
                    run(db, "DELETE FROM file_trash WHERE id = ?1", [id.as_bytes()])?;
                }
                Ok(())
            })
            .await
    }
}

/// Whether a message of this user's may come with the file: it is whole, and theirs.
pub(super) fn may_be_said(db: &Connection, file: FileId, owner: UserId) -> rusqlite::Result<bool> {
    let query = "SELECT 1 FROM file WHERE id = ?1 AND owner = ?2 AND state = 2";
    Ok(first::<i64>(db, query, params![file.as_bytes(), sql(owner.0)])?.is_some())
}

/// A row of a message is in its place: what came with it is needed from now on.
pub(super) fn used(db: &Connection, message: &Message) -> Result<(), CommitError> {
    let Some(file) = message.kind.file(&message.body) else { return Ok(()) };
    if !may_be_said(db, file, message.sender)? {
        return Err(CommitError::NoFile);
    }
    run(db, USE, params![file.as_bytes(), message.conversation.as_bytes(), sql(message.seq.0)])?;
    run(db, "UPDATE file SET idle_since = NULL WHERE id = ?1", [file.as_bytes()])?;
    Ok(())
}

/// The message at a place was taken back.
pub(super) fn unused(db: &Connection, conversation: ConversationId, seq: Seq, now: u64) -> rusqlite::Result<()> {
    let place = params![conversation.as_bytes(), sql(seq.0)];
    for file in all(db, "SELECT file FROM file_use WHERE conv = ?1 AND seq = ?2", place, |row| id(row, 0))? {
        run(
            db,
            "DELETE FROM file_use WHERE file = ?1 AND conv = ?2 AND seq = ?3",
            params![file.as_bytes(), conversation.as_bytes(), sql(seq.0)],
        )?;
        if !is_used(db, file)? {
            run(db, "UPDATE file SET idle_since = ?2 WHERE id = ?1", params![file.as_bytes(), sql(now)])?;
        }
    }
    Ok(())
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<FileId> {
    row.get(column).map(FileId::from_bytes)
}

fn one(db: &Connection, id: FileId) -> rusqlite::Result<Option<FileRow>> {
    first_row(db, ONE, [id.as_bytes()], read)
}

fn readable(db: &Connection, user: UserId, id: FileId) -> rusqlite::Result<Option<FileRow>> {
    first_row(db, READABLE, params![sql(user.0), id.as_bytes()], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let state = FileState::from_number(small(row, 9)?);
    Ok(FileRow {
        file: NewFile {
            id: id(row, 0)?,
            owner: user(row, 1)?,
            conversation: row.get::<_, Option<[u8; 16]>>(2)?.map(ConversationId::from_bytes),
            name: row.get(3)?,
            content_type: row.get(4)?,
            size: number(row, 5)?,
            hash: row.get(6)?,
            encrypted: row.get(7)?,
            keeps_metadata: row.get(13)?,
            nonce: row.get(8)?,
        },
        announced: match row.get::<_, Option<[u8; 32]>>(14)? {
            Some(hash) => Some((number(row, 15)?, hash)),
            None => None,
        },
        picture: match row.get::<_, Option<u32>>(16)? {
            Some(width) => Some(Picture {
                width,
                height: row.get(17)?,
                blur_hash: row.get(18)?,
                has_thumbnail: row.get::<_, i64>(19)? > 0,
            }),
            None => None,
        },
        state: state.ok_or_else(|| unreadable(9, "a state of a file that this version does not know"))?,
        blob: id(row, 10)?,
        idle_since: row.get::<_, Option<i64>>(11)?.map(i64::unsigned_abs),
        created_at: number(row, 12)?,
    })
}

fn usage(db: &Connection, whose: UserId) -> rusqlite::Result<Usage> {
    let query = "SELECT bytes, files, uploads FROM file_usage WHERE user = ?1";
    let read = |row: &Row<'_>| Ok(Usage { bytes: number(row, 0)?, files: number(row, 1)?, uploads: number(row, 2)? });
    Ok(first_row(db, query, [sql(whose.0)], read)?.unwrap_or_default())
}

fn shared(db: &Connection, hash: ContentHash, size: u64) -> rusqlite::Result<Option<FileId>> {
    let query = "SELECT id FROM file_blob WHERE hash = ?1 AND size = ?2 AND shared = 1 LIMIT 1";
    first_row(db, query, params![hash, sql(size)], |row| id(row, 0))
}

fn is_used(db: &Connection, id: FileId) -> rusqlite::Result<bool> {
    Ok(first_row(db, "SELECT 1 FROM file_use WHERE file = ?1 LIMIT 1", [id.as_bytes()], |_| Ok(()))?.is_some())
}

fn announce(db: &Connection, new: NewFile, room: Usage, now: u64) -> Result<FileRow, FileError> {
    if let Some(there) = one(db, new.id)? {
        return there.asked_again(&new);
    }
    usage(db, new.owner)?.admit(new.size, 1, room)?;
    let row = FileRow::begin(new, now);
    insert(db, &row)?;
    Ok(row)
}

/// A new row, which takes up room.
fn insert(db: &Connection, row: &FileRow) -> rusqlite::Result<()> {
    let FileRow { file, state, blob, created_at, .. } = row;
    let values = params![
        file.id.as_bytes(),
        sql(file.owner.0),
        file.conversation.as_ref().map(ConversationId::as_bytes),
        file.name,
        file.content_type,
        sql(file.size),
        file.hash,
        file.encrypted,
        file.nonce,
        *state as u8,
        blob.as_bytes(),
        sql(*created_at),
        file.keeps_metadata,
    ];
    run(db, INSERT, values)?;
    run(db, TAKE, params![sql(file.owner.0), sql(file.size), u8::from(*state == FileState::Uploading)])?;
    Ok(())
}

fn complete(
    db: &Connection,
    id: FileId,
    kept: Kept,
    picture: Option<NewPicture>,
    now: u64,
) -> Result<FileRow, FileError> {
    let row = one(db, id)?.ok_or(FileError::NoSuchFile)?;
    if row.state == FileState::Whole {
        return Ok(row);
    }
    let (blob, size, hash) = match kept {
        Kept::Own => (row.blob, row.file.size, row.file.hash),
        Kept::Made { hash, size } => (row.made(), size, hash),
        Kept::Shared(blob) => {
            let query = "SELECT size, hash FROM file_blob WHERE id = ?1";
            let there = first_row(db, query, [blob.as_bytes()], |row| Ok((blob, number(row, 0)?, row.get(1)?)))?;
            there.ok_or(FileError::NoSuchFile)?
        }
    };
    if !matches!(kept, Kept::Shared(_)) {
        let insert = "INSERT INTO file_blob (id, hash, size, shared) VALUES (?1, ?2, ?3, ?4)";
        run(db, insert, params![blob.as_bytes(), hash, sql(size), !row.file.encrypted])?;
    }
    for name in row.names().filter(|name| *name != blob) {
        throw_away(db, name)?;
    }
    if let Some(NewPicture { picture, thumbnail }) = picture {
        let insert = "INSERT OR IGNORE INTO file_picture (blob, width, height, blur_hash, thumbnail) \
                      VALUES (?1, ?2, ?3, ?4, ?5)";
        let Picture { width, height, blur_hash, .. } = picture;
        run(db, insert, params![blob.as_bytes(), width, height, blur_hash, &thumbnail[..]])?;
    }
    let (before, owner) = (row.file.size, sql(row.file.owner.0));
    let row = row.whole(blob, (size, hash), now);
    let said = row.announced;
    let whole = "UPDATE file SET state = 2, blob = ?2, nonce = NULL, idle_since = ?3, size = ?4, hash = ?5, \
                 announced_size = ?6, announced_hash = ?7 WHERE id = ?1";
    let announced = (said.map(|(size, _)| sql(size)), said.map(|(_, hash)| hash));
    run(db, whole, params![id.as_bytes(), blob.as_bytes(), sql(now), sql(size), hash, announced.0, announced.1])?;
    let usage = "UPDATE file_usage SET uploads = max(uploads - 1, 0), bytes = max(bytes - ?2, 0) + ?3 WHERE user = ?1";
    run(db, usage, params![owner, sql(before), sql(size)])?;
    // Content that others share may have been seen before.
    Ok(one(db, id)?.unwrap_or(row))
}

fn copy(db: &Connection, user: UserId, from: FileId, to: FileId, room: Usage, now: u64) -> Result<FileRow, FileError> {
    let source = readable(db, user, from)?.ok_or(FileError::NoSuchFile)?;
    if let Some(there) = one(db, to)? {
        return there.copied_again(user, &source);
    }
    usage(db, user)?.admit(source.file.size, 0, room)?;
    let row = source.copy(user, to, now);
    insert(db, &row)?;
    Ok(row)
}

fn collect(db: &Connection, before: [u64; 2], limit: u64) -> rusqlite::Result<usize> {
    let mut collected = 0;
    for (state, before) in [FileState::Uploading, FileState::Whole].into_iter().zip(before) {
        let idle = all(db, IDLE, params![state as u8, sql(before), sql(limit)], |row| id(row, 0))?;
        for file in idle {
            if let Some(row) = one(db, file)?
                && !is_used(db, file)?
            {
                remove(db, &row)?;
                collected += 1;
            }
        }
    }
    Ok(collected)
}

/// A file ends; its content too, if nobody else has it.
fn remove(db: &Connection, row: &FileRow) -> rusqlite::Result<()> {
    let (blob, owner) = (row.blob, sql(row.file.owner.0));
    run(db, "DELETE FROM file WHERE id = ?1", [row.file.id.as_bytes()])?;
    run(db, GIVE_BACK, params![owner, sql(row.file.size), u8::from(row.state == FileState::Uploading)])?;
    let other = first_row(db, "SELECT 1 FROM file WHERE blob = ?1 LIMIT 1", [blob.as_bytes()], |_| Ok(()))?;
    if other.is_none() {
        run(db, "DELETE FROM file_blob WHERE id = ?1", [blob.as_bytes()])?;
        run(db, "DELETE FROM file_picture WHERE blob = ?1", [blob.as_bytes()])?;
        throw_away(db, blob)?;
    }
    if row.state == FileState::Uploading {
        for name in row.names().filter(|name| *name != blob) {
            throw_away(db, name)?;
        }
    }
    Ok(())
}

fn throw_away(db: &Connection, content: FileId) -> rusqlite::Result<()> {
    run(db, "INSERT OR IGNORE INTO file_trash (id) VALUES (?1)", [content.as_bytes()])?;
    Ok(())
}
