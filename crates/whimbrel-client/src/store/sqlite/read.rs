//! Reading.

use rusqlite::{Connection, OptionalExtension, Row, params};
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, Message, MessageId, MessageKind, Seq, UserId,
};
use whimbrel_wire::seal::ConversationKey;

use super::super::{ConversationRow, Snapshot};
use super::write::{meta_value, state_from};
use super::{failed, groups};
use crate::account::{Credentials, SavedCredentials};
use crate::error::StoreError;
use crate::relation::{Profile, Relation, RelationKey};

const MESSAGE: &str = "conversation, seq, sender, device, message_id, kind, key_version, at, body";

pub(super) fn credentials(connection: &Connection) -> Result<Option<Credentials>, StoreError> {
    let Some(json) = meta_value::<String>(connection, "credentials").map_err(failed)? else { return Ok(None) };
    let saved = serde_json::from_str::<SavedCredentials>(&json).ok().and_then(SavedCredentials::into_credentials);
    saved.map(Some).ok_or_else(|| StoreError::Unreadable("the credentials in it are damaged".into()))
}

pub(super) fn snapshot(connection: &Connection) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        conversations: conversations(connection)?,
        outbox: outbox(connection).map_err(failed)?,
        relations: relations(connection).map_err(failed)?,
        relations_loaded: meta_value(connection, "relations_loaded").map_err(failed)?.unwrap_or(false),
        relations_due: relations_due(connection).map_err(failed)?,
        groups: groups::infos(connection).map_err(failed)?,
        group_keys: groups::keys(connection).map_err(failed)?,
        groups_due: groups::due(connection, "group_due").map_err(failed)?,
        settings: groups::settings(connection).map_err(failed)?,
        settings_loaded: meta_value(connection, "settings_loaded").map_err(failed)?.unwrap_or(false),
        settings_due: groups::due(connection, "setting_due").map_err(failed)?,
        fleeting: fleeting(connection).map_err(failed)?,
        fleeting_begun: fleeting_begun(connection).map_err(failed)?,
        bodies_readable: meta_value(connection, "bodies_readable").map_err(failed)?,
    })
}

pub(super) fn conversations(connection: &Connection) -> Result<Vec<ConversationRow>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(
            "SELECT id, kind, peer, base, cursor, cursor_id, head, delivered, read, peer_delivered, peer_read, unread,
             unread_from, unread_upto, shown, mentions FROM conversation ORDER BY id",
        )?;
        select.query_map([], conversation)?.collect::<rusqlite::Result<_>>()
    };
    read().map_err(failed)
}

fn conversation(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    let cursors = |first: usize| -> rusqlite::Result<Cursors> {
        Ok(Cursors { delivered: seq(row, first)?, read: seq(row, first + 1)? })
    };
    Ok(ConversationRow {
        id: ConversationId::from_bytes(row.get(0)?),
        kind: ConversationKind::from_number(row.get(1)?).unwrap_or(ConversationKind::Direct),
        peer: row.get::<_, Option<i64>>(2)?.map(|user| UserId(user as u64)),
        base: seq(row, 3)?,
        cursor: seq(row, 4)?,
        cursor_id: row.get::<_, Option<[u8; 16]>>(5)?.map(MessageId::from_bytes),
        head: seq(row, 6)?,
        own: cursors(7)?,
        peer_cursors: cursors(9)?,
        unread: row.get::<_, i64>(11)? as u64,
        unread_from: seq(row, 12)?,
        unread_upto: seq(row, 13)?,
        shown: seq(row, 14)?,
        mentions: seqs(&row.get::<_, Vec<u8>>(15)?),
    })
}

/// Places as they are stored: 8 bytes each, big-endian.
fn seqs(bytes: &[u8]) -> Vec<Seq> {
    bytes.chunks_exact(8).map(|seq| Seq(u64::from_be_bytes(seq.try_into().unwrap_or_default()))).collect()
}

fn fleeting(connection: &Connection) -> rusqlite::Result<Vec<Message>> {
    let mut select = connection
        .prepare(&format!("SELECT {MESSAGE} FROM message INDEXED BY fleeting WHERE kind = 10 AND length(body) > 0"))?;
    select.query_map([], message)?.collect()
}

fn fleeting_begun(connection: &Connection) -> rusqlite::Result<Vec<(ConversationId, Seq, u64)>> {
    let mut select =
        connection.prepare("SELECT conversation, seq, at FROM fleeting_begun ORDER BY conversation, seq")?;
    let begun =
        |row: &Row<'_>| Ok((ConversationId::from_bytes(row.get(0)?), seq(row, 1)?, row.get::<_, i64>(2)? as u64));
    select.query_map([], begun)?.collect()
}

/// Through the index on what follow-ups are about: the 8 bytes sort as the places do.
pub(super) fn follow_ups(
    connection: &Connection,
    conversation: ConversationId,
    from: Seq,
    upto: Seq,
) -> Result<Vec<Message>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM message INDEXED BY follow_up WHERE conversation = ?1 AND kind BETWEEN 500 AND 999
             AND substr(body, 1, 8) BETWEEN ?2 AND ?3 ORDER BY seq"
        ))?;
        let (from, upto) = (from.0.to_be_bytes(), upto.0.to_be_bytes());
        let rows = select.query_map(params![conversation.as_bytes(), from, upto], message)?;
        let rows: Vec<Message> = rows.collect::<rusqlite::Result<_>>()?;
        // Bodies that are too short for a target sort between others.
        Ok(rows.into_iter().filter(|row| row.kind.target(&row.body).is_some()).collect())
    };
    read().map_err(failed)
}

pub(super) fn erasures(connection: &Connection, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM message INDEXED BY erased WHERE conversation = ?1 AND kind = 1006 ORDER BY seq"
        ))?;
        select.query_map([conversation.as_bytes()], message)?.collect::<rusqlite::Result<_>>()
    };
    read().map_err(failed)
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(column)? as u64))
}

fn outbox(connection: &Connection) -> rusqlite::Result<Vec<(ConversationId, Draft)>> {
    let mut select =
        connection.prepare("SELECT conversation, message_id, kind, key_version, body FROM outbox ORDER BY place")?;
    let drafts = select.query_map([], |row| {
        let draft = Draft {
            message_id: MessageId::from_bytes(row.get(1)?),
            kind: MessageKind(row.get(2)?),
            key_version: row.get(3)?,
            body: row.get::<_, Vec<u8>>(4)?.into(),
        };
        Ok((ConversationId::from_bytes(row.get(0)?), draft))
    })?;
    drafts.collect()
}

fn relations(connection: &Connection) -> rusqlite::Result<Vec<Relation>> {
    let mut select = connection.prepare(
        "SELECT user, handle, display_name, avatar, state, blocked, greeting, conversation, changed_at FROM relation",
    )?;
    let mut relations: Vec<Relation> = select.query_map([], relation)?.collect::<rusqlite::Result<_>>()?;
    let mut keys = connection.prepare("SELECT version, key FROM relation_key WHERE user = ?1 ORDER BY version")?;
    for relation in &mut relations {
        let found = keys.query_map([relation.peer.id.0 as i64], |row| {
            Ok(RelationKey { version: row.get(0)?, key: ConversationKey::from_bytes(row.get(1)?) })
        })?;
        relation.keys = found.collect::<rusqlite::Result<_>>()?;
    }
    Ok(relations)
}

fn relation(row: &Row<'_>) -> rusqlite::Result<Relation> {
    Ok(Relation {
        peer: Profile {
            id: UserId(row.get::<_, i64>(0)? as u64),
            handle: row.get(1)?,
            display_name: row.get(2)?,
            avatar: row.get(3)?,
        },
        state: state_from(row.get(4)?),
        blocked: row.get(5)?,
        greeting: row.get(6)?,
        conversation: row.get::<_, Option<[u8; 16]>>(7)?.map(ConversationId::from_bytes),
        keys: Vec::new(),
        changed_at: row.get::<_, i64>(8)? as u64,
    })
}

fn relations_due(connection: &Connection) -> rusqlite::Result<Vec<UserId>> {
    let mut select = connection.prepare("SELECT user FROM relation_due ORDER BY user")?;
    select.query_map([], |row| Ok(UserId(row.get::<_, i64>(0)? as u64)))?.collect()
}

pub(super) fn messages(
    connection: &Connection,
    conversation: ConversationId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM message WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
        ))?;
        let rows = select.query_map(params![conversation.as_bytes(), after.0 as i64, limit as i64], message)?;
        rows.collect::<rusqlite::Result<_>>()
    };
    read().map_err(failed)
}

pub(super) fn last_messages(connection: &Connection) -> Result<Vec<Message>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(
            "SELECT m.conversation, m.seq, m.sender, m.device, m.message_id, m.kind, m.key_version, m.at, m.body
             FROM conversation c JOIN message m ON m.conversation = c.id AND m.seq = c.cursor",
        )?;
        select.query_map([], message)?.collect::<rusqlite::Result<_>>()
    };
    read().map_err(failed)
}

/// Looks from the end: who asks, asks about what was just sent.
pub(super) fn find_message(
    connection: &Connection,
    conversation: ConversationId,
    message_id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let read = || {
        let mut select = connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM message WHERE conversation = ?1 AND message_id = ?2 ORDER BY seq DESC LIMIT 1"
        ))?;
        select.query_row(params![conversation.as_bytes(), message_id.as_bytes()], message).optional()
    };
    read().map_err(failed)
}

pub(super) fn count_incoming(
    connection: &Connection,
    conversation: ConversationId,
    me: UserId,
    after: Seq,
    upto: Seq,
) -> Result<u64, StoreError> {
    let read = || {
        let mut select = connection
            .prepare_cached("SELECT sender, kind FROM message WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3")?;
        let mut rows = select.query(params![conversation.as_bytes(), after.0 as i64, upto.0 as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let incoming = row.get::<_, i64>(0)? as u64 != me.0;
            count += u64::from(incoming && MessageKind(row.get(1)?).is_countable());
        }
        Ok(count)
    };
    read().map_err(failed)
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        conversation: ConversationId::from_bytes(row.get(0)?),
        seq: seq(row, 1)?,
        sender: UserId(row.get::<_, i64>(2)? as u64),
        device: DeviceId::from_bytes(row.get(3)?),
        message_id: MessageId::from_bytes(row.get(4)?),
        kind: MessageKind(row.get(5)?),
        key_version: row.get(6)?,
        at: row.get::<_, i64>(7)? as u64,
        body: row.get::<_, Vec<u8>>(8)?.into(),
    })
}
