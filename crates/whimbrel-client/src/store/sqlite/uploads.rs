//! Uploads.

use bytes::Bytes;
use rusqlite::{Connection, Transaction, params};
use whimbrel_core::{ConversationId, FileId, MessageKind};

use super::super::{Commit, UploadRow};

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<UploadRow>> {
    let mut select = connection.prepare_cached(
        "SELECT file, conversation, kind, path, keeps_metadata, content_hash, attachment FROM upload ORDER BY file",
    )?;
    let rows = select.query_map([], |row| {
        Ok(UploadRow {
            file: FileId::from_bytes(row.get(0)?),
            conversation: ConversationId::from_bytes(row.get(1)?),
            kind: MessageKind(row.get(2)?),
            path: row.get(3)?,
            keeps_metadata: row.get(4)?,
            content_hash: row.get(5)?,
            attachment: Bytes::from(row.get::<_, Vec<u8>>(6)?),
        })
    })?;
    rows.collect()
}

pub(super) fn write(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    for row in &commit.uploads {
        let mut replace = transaction.prepare_cached(
            "INSERT OR REPLACE INTO upload (file, conversation, kind, path, keeps_metadata, content_hash, attachment)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        replace.execute(params![
            row.file.as_bytes(),
            row.conversation.as_bytes(),
            row.kind.0,
            row.path,
            row.keeps_metadata,
            row.content_hash,
            &row.attachment[..],
        ])?;
    }
    for file in &commit.uploads_ended {
        transaction.prepare_cached("DELETE FROM upload WHERE file = ?1")?.execute([file.as_bytes()])?;
    }
    Ok(())
}
