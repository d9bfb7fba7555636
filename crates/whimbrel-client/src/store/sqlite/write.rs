//! Writing: one transaction for a commit.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use whimbrel_core::Message;

use super::super::{Commit, ConversationRow, Erased, check_owner};
use super::{failed, groups, read, uploads};
use crate::account::Credentials;
use crate::error::StoreError;
use crate::relation::{Relation, RelationState};

pub(super) fn credentials(connection: &mut Connection, credentials: &Credentials) -> Result<(), StoreError> {
    if let Some(saved) = read::credentials(connection)? {
        check_owner((saved.user, saved.device), credentials)?;
    }
    let json =
        serde_json::to_string(&credentials.to_exposed()).map_err(|error| StoreError::Failed(error.to_string()))?;
    let transaction = connection.transaction().map_err(failed)?;
    meta(&transaction, "credentials", json).map_err(failed)?;
    transaction.commit().map_err(failed)
}

pub(super) fn commit(connection: &mut Connection, commit: Commit) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for conversation in &commit.dropped_runs {
        let mut delete = transaction.prepare_cached("DELETE FROM message WHERE conversation = ?1")?;
        delete.execute([conversation.as_bytes()])?;
        let mut delete = transaction.prepare_cached("DELETE FROM fleeting_begun WHERE conversation = ?1")?;
        delete.execute([conversation.as_bytes()])?;
        let mut delete = transaction.prepare_cached("DELETE FROM conversation WHERE id = ?1")?;
        delete.execute([conversation.as_bytes()])?;
    }
    for row in &commit.conversations {
        conversation(&transaction, row)?;
    }
    for row in commit.messages.iter().chain(&commit.older) {
        message(&transaction, row)?;
    }
    for (conversation, seq, at) in &commit.fleeting_begun {
        let mut insert = transaction
            .prepare_cached("INSERT OR REPLACE INTO fleeting_begun (conversation, seq, at) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![conversation.as_bytes(), seq.0 as i64, *at as i64])?;
    }
    taken_back(&transaction, &commit)?;
    outbox(&transaction, &commit)?;
    uploads::write(&transaction, &commit)?;
    relations(&transaction, &commit)?;
    groups::write(&transaction, &commit)?;
    if let Some(loaded) = commit.settings_loaded {
        meta(&transaction, "settings_loaded", loaded)?;
    }
    if let Some(loaded) = commit.relations_loaded {
        meta(&transaction, "relations_loaded", loaded)?;
    }
    if let Some(readable) = commit.bodies_readable {
        meta(&transaction, "bodies_readable", readable)?;
    }
    transaction.commit()
}

fn meta(transaction: &Transaction<'_>, name: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
    insert.execute(params![name, value]).map(drop)
}

fn conversation(transaction: &Transaction<'_>, row: &ConversationRow) -> rusqlite::Result<()> {
    let mut replace = transaction.prepare_cached(
        "INSERT OR REPLACE INTO conversation (id, kind, peer, base, cursor, cursor_id, head, delivered, read,
         peer_delivered, peer_read, unread, unread_from, unread_upto, shown, mentions)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    replace.execute(params![
        row.id.as_bytes(),
        row.kind as u8,
        row.peer.map(|user| user.0 as i64),
        row.base.0 as i64,
        row.cursor.0 as i64,
        row.cursor_id.as_ref().map(|id| id.as_bytes()),
        row.head.0 as i64,
        row.own.delivered.0 as i64,
        row.own.read.0 as i64,
        row.peer_cursors.delivered.0 as i64,
        row.peer_cursors.read.0 as i64,
        row.unread as i64,
        row.unread_from.0 as i64,
        row.unread_upto.0 as i64,
        row.shown.0 as i64,
        row.mentions.iter().flat_map(|seq| seq.0.to_be_bytes()).collect::<Vec<u8>>(),
    ])?;
    Ok(())
}

fn message(transaction: &Transaction<'_>, row: &Message) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO message (conversation, seq, sender, device, message_id, kind, key_version, at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![
        row.conversation.as_bytes(),
        row.seq.0 as i64,
        row.sender.0 as i64,
        row.device.as_bytes(),
        row.message_id.as_bytes(),
        row.kind.0,
        row.key_version,
        row.at as i64,
        &row.body[..],
    ])?;
    Ok(())
}

/// Nothing of what was taken back stays: the bodies' old pages are overwritten, since the file deletes securely.
fn taken_back(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    for (conversation, target) in &commit.taken_back {
        let mut empty =
            transaction.prepare_cached("UPDATE message SET body = x'' WHERE conversation = ?1 AND seq = ?2")?;
        empty.execute(params![conversation.as_bytes(), target.0 as i64])?;
        let mut forget =
            transaction.prepare_cached("DELETE FROM fleeting_begun WHERE conversation = ?1 AND seq = ?2")?;
        forget.execute(params![conversation.as_bytes(), target.0 as i64])?;
        let mut cut = transaction.prepare_cached(
            "UPDATE message INDEXED BY follow_up SET body = substr(body, 1, 8) WHERE conversation = ?1
             AND kind BETWEEN 500 AND 999 AND kind IN (500, 503, 504) AND substr(body, 1, 8) = ?2",
        )?;
        cut.execute(params![conversation.as_bytes(), target.0.to_be_bytes()])?;
    }
    commit.erased.iter().try_for_each(|part| erased(transaction, part))?;
    for (conversation, upto) in &commit.cleared {
        let mut forget =
            transaction.prepare_cached("DELETE FROM fleeting_begun WHERE conversation = ?1 AND seq <= ?2")?;
        forget.execute(params![conversation.as_bytes(), upto.0 as i64])?;
        let mut delete = transaction.prepare_cached("DELETE FROM message WHERE conversation = ?1 AND seq <= ?2")?;
        delete.execute(params![conversation.as_bytes(), upto.0 as i64])?;
    }
    Ok(())
}

/// One statement for all that they said: it reads the part and writes what is not empty yet.
fn erased(transaction: &Transaction<'_>, erased: &Erased) -> rusqlite::Result<()> {
    let part =
        params![erased.conversation.as_bytes(), erased.from.0 as i64, erased.before.0 as i64, erased.user.0 as i64,];
    let mut empty = transaction.prepare_cached(
        "UPDATE message SET body = CASE WHEN kind < 500 THEN x'' ELSE substr(body, 1, 8) END
         WHERE conversation = ?1 AND seq >= ?2 AND seq < ?3 AND sender = ?4 AND kind < 1000
         AND length(body) > CASE WHEN kind < 500 THEN 0 ELSE 8 END",
    )?;
    empty.execute(part)?;
    let mut forget = transaction.prepare_cached(
        "DELETE FROM fleeting_begun WHERE conversation = ?1 AND seq >= ?2 AND seq < ?3 AND EXISTS (SELECT 1 FROM message
         WHERE conversation = ?1 AND seq = fleeting_begun.seq AND sender = ?4)",
    )?;
    forget.execute(part).map(drop)
}

fn outbox(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    for (conversation, draft) in &commit.drafts {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO outbox (conversation, message_id, kind, key_version, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute(params![
            conversation.as_bytes(),
            draft.message_id.as_bytes(),
            draft.kind.0,
            draft.key_version,
            &draft.body[..],
        ])?;
    }
    for message_id in &commit.answered {
        transaction.prepare_cached("DELETE FROM outbox WHERE message_id = ?1")?.execute([message_id.as_bytes()])?;
    }
    Ok(())
}

fn relations(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    for relation in &commit.relations {
        put_relation(transaction, relation)?;
    }
    for user in &commit.relations_due {
        let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO relation_due (user) VALUES (?1)")?;
        insert.execute([user.0 as i64])?;
    }
    for user in &commit.relations_settled {
        transaction.prepare_cached("DELETE FROM relation_due WHERE user = ?1")?.execute([user.0 as i64])?;
    }
    Ok(())
}

fn put_relation(transaction: &Transaction<'_>, relation: &Relation) -> rusqlite::Result<()> {
    let user = relation.peer.id.0 as i64;
    let mut replace = transaction.prepare_cached(
        "INSERT OR REPLACE INTO relation (user, handle, display_name, avatar, state, blocked, greeting, conversation,
         changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    replace.execute(params![
        user,
        relation.peer.handle,
        relation.peer.display_name,
        relation.peer.avatar,
        state_number(relation.state),
        relation.blocked,
        relation.greeting,
        relation.conversation.as_ref().map(|id| id.as_bytes()),
        relation.changed_at as i64,
    ])?;
    for key in &relation.keys {
        let mut insert = transaction
            .prepare_cached("INSERT OR REPLACE INTO relation_key (user, version, key) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![user, key.version, key.key.expose()])?;
    }
    Ok(())
}

const STATES: [RelationState; 4] =
    [RelationState::None, RelationState::RequestSent, RelationState::RequestReceived, RelationState::Friends];

fn state_number(state: RelationState) -> i64 {
    STATES.iter().position(|known| *known == state).map_or(0, |place| place as i64)
}

pub(super) fn state_from(number: i64) -> RelationState {
    usize::try_from(number).ok().and_then(|place| STATES.get(place)).copied().unwrap_or(RelationState::None)
}

/// The value of this name.
pub(super) fn meta_value<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}
