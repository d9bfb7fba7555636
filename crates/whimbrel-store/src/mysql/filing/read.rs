//! Files, what they take up, and their content, out of rows.

use bytes::Bytes;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{Row, query};
use whimbrel_core::{ConversationId, FileId, UserId};

use super::super::value::{bytes, number, unreadable, user};
use super::optional;
use crate::StoreError;
use crate::filing::{ContentHash, FileRow, FileState, NewFile, Picture, Usage};

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, owner, conv, name, content_type, size, hash, encrypted, nonce, state, f.`blob`, idle_since, \
             created_at, keeps_metadata, announced_hash, announced_size, width, height, blur_hash, CAST(LENGTH(thumbnail) AS UNSIGNED) \
             FROM file f LEFT JOIN file_picture p ON p.`blob` = f.`blob` ",
            $rest
        )
    };
}

const READABLE: &str = columns!(
    "WHERE id = ? AND state = 2 AND (owner = ? OR EXISTS (SELECT 1 FROM file_use u STRAIGHT_JOIN member m \
     ON m.user = ? AND m.conv = u.conv WHERE u.file = f.id AND u.seq >= m.since AND (m.until = 0 OR u.seq <= m.until) \
     AND u.seq > (SELECT c.floor FROM conversation c WHERE c.id = u.conv)) \
     OR EXISTS (SELECT 1 FROM file_use u STRAIGHT_JOIN member_span s ON s.user = ? AND s.conv = u.conv \
     AND s.until >= u.seq WHERE u.file = f.id AND u.seq >= s.since \
     AND u.seq > (SELECT c.floor FROM conversation c WHERE c.id = u.conv)))"
);

pub(super) fn id(row: &MySqlRow, column: usize) -> sqlx::Result<FileId> {
    bytes(row, column).map(FileId::from_bytes)
}

fn optional_bytes<const N: usize>(row: &MySqlRow, column: usize) -> sqlx::Result<Option<[u8; N]>> {
    match row.try_get::<Option<&[u8]>, _>(column)? {
        None => Ok(None),
        Some(_) => bytes(row, column).map(Some),
    }
}

fn read(row: &MySqlRow) -> sqlx::Result<FileRow> {
    let state = FileState::from_number(row.try_get(9)?);
    Ok(FileRow {
        file: NewFile {
            id: id(row, 0)?,
            owner: user(row, 1)?,
            conversation: optional_bytes(row, 2)?.map(ConversationId::from_bytes),
            name: row.try_get(3)?,
            content_type: row.try_get(4)?,
            size: number(row, 5)?,
            hash: bytes(row, 6)?,
            encrypted: row.try_get::<u8, _>(7)? != 0,
            keeps_metadata: row.try_get::<u8, _>(13)? != 0,
            nonce: optional_bytes(row, 8)?,
        },
        announced: match optional_bytes(row, 14)? {
            Some(hash) => Some((number(row, 15)?, hash)),
            None => None,
        },
        picture: picture(row)?,
        state: state.ok_or_else(|| unreadable(9, "a state of a file that this version does not know"))?,
        blob: id(row, 10)?,
        idle_since: optional(row, 11)?,
        created_at: number(row, 12)?,
    })
}

fn picture(row: &MySqlRow) -> sqlx::Result<Option<Picture>> {
    let Some(width) = row.try_get(16)? else { return Ok(None) };
    let has_thumbnail = optional(row, 19)?.is_some_and(|len| len > 0);
    Ok(Some(Picture { width, height: row.try_get(17)?, blur_hash: row.try_get(18)?, has_thumbnail }))
}

pub(super) async fn thumbnail(db: &mut MySqlConnection, blob: FileId) -> sqlx::Result<Option<Bytes>> {
    let find = query("SELECT thumbnail FROM file_picture WHERE `blob` = ? AND LENGTH(thumbnail) > 0");
    let row = find.bind(&blob.as_bytes()[..]).fetch_optional(db).await?;
    row.map(|row| Ok(row.try_get::<Vec<u8>, _>(0)?.into())).transpose()
}

/// The newest first.
pub(super) async fn files_of(
    db: &mut MySqlConnection,
    owner: UserId,
    before: Option<(u64, FileId)>,
    limit: usize,
) -> sqlx::Result<Vec<FileRow>> {
    let rows = match before {
        None => {
            let find = query(columns!("WHERE owner = ? ORDER BY created_at DESC, id DESC LIMIT ?"));
            find.bind(owner.0).bind(limit as u64).fetch_all(db).await?
        }
        // As a sum: MySQL seeks by this form, and not by the comparison of pairs.
        Some((at, id)) => {
            let find = query(columns!(
                "WHERE owner = ? AND created_at <= ? AND (created_at < ? OR id < ?) \
                 ORDER BY created_at DESC, id DESC LIMIT ?"
            ));
            let find = find.bind(owner.0).bind(at).bind(at).bind(&id.as_bytes()[..]);
            find.bind(limit as u64).fetch_all(db).await?
        }
    };
    rows.iter().map(read).collect()
}

pub(super) async fn one(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<Option<FileRow>> {
    let row = query(columns!("WHERE id = ?")).bind(&id.as_bytes()[..]).fetch_optional(db).await?;
    row.as_ref().map(read).transpose()
}

/// The same under its lock.
pub(super) async fn locked(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<Option<FileRow>> {
    let row = query(columns!("WHERE id = ? FOR UPDATE")).bind(&id.as_bytes()[..]).fetch_optional(db).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn readable(db: &mut MySqlConnection, user: UserId, id: FileId) -> sqlx::Result<Option<FileRow>> {
    let read_it = query(READABLE).bind(&id.as_bytes()[..]).bind(user.0).bind(user.0).bind(user.0);
    read_it.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// What a user's files take up; `lock`: nobody changes it meanwhile.
pub(super) async fn usage(db: &mut MySqlConnection, user: UserId, lock: bool) -> sqlx::Result<Option<Usage>> {
    let text = match lock {
        true => "SELECT bytes, files, uploads FROM file_usage WHERE user = ? FOR UPDATE",
        false => "SELECT bytes, files, uploads FROM file_usage WHERE user = ?",
    };
    let row = query(text).bind(user.0).fetch_optional(db).await?;
    let read = |row: &MySqlRow| Ok(Usage { bytes: number(row, 0)?, files: number(row, 1)?, uploads: number(row, 2)? });
    row.as_ref().map(read).transpose()
}

pub(super) async fn shared(db: &mut MySqlConnection, hash: ContentHash, size: u64) -> sqlx::Result<Option<FileId>> {
    let find = query("SELECT id FROM file_blob WHERE hash = ? AND size = ? AND shared = 1 LIMIT 1");
    find.bind(&hash[..]).bind(size).fetch_optional(db).await?.as_ref().map(|row| id(row, 0)).transpose()
}

/// Whether a message refers to it.
pub(super) async fn is_used(db: &mut MySqlConnection, id: FileId) -> sqlx::Result<bool> {
    let find = query("SELECT seq FROM file_use WHERE file = ? LIMIT 1");
    Ok(find.bind(&id.as_bytes()[..]).fetch_optional(db).await?.is_some())
}

/// Files that nothing has needed since before then, as far as can be told without locks.
pub(super) async fn idle(
    db: &mut MySqlConnection,
    state: FileState,
    before: u64,
    limit: usize,
) -> Result<Vec<FileId>, StoreError> {
    let find = query("SELECT id FROM file WHERE state = ? AND idle_since < ? ORDER BY idle_since LIMIT ?");
    let rows = find.bind(state as u8).bind(before).bind(limit as u64).fetch_all(db).await?;
    Ok(rows.iter().map(|row| id(row, 0)).collect::<sqlx::Result<_>>()?)
}
