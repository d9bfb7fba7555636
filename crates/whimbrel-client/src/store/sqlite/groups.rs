//! Groups and settings. What REST told of one is kept in REST's words, as JSON; keys stand beside it.

use rusqlite::{Connection, Transaction, params};
use whimbrel_core::ConversationId;
use whimbrel_wire::seal::ConversationKey;

use super::super::Commit;
use crate::group::GroupInfo;
use crate::relation::RelationKey;
use crate::rest::{group_from_json, group_to_json, setting_from_json, setting_to_json};
use crate::setting::Setting;

/// What cannot be read (a later SDK wrote it) is left out, and fetched again when it is asked for.
pub(super) fn infos(connection: &Connection) -> rusqlite::Result<Vec<GroupInfo>> {
    let mut select = connection.prepare("SELECT json FROM group_info ORDER BY id")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.iter().filter_map(|json| group_from_json(json)).collect())
}

pub(super) fn settings(connection: &Connection) -> rusqlite::Result<Vec<Setting>> {
    let mut select = connection.prepare("SELECT json FROM setting ORDER BY id")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.iter().filter_map(|json| setting_from_json(json)).collect())
}

pub(super) fn keys(connection: &Connection) -> rusqlite::Result<Vec<(ConversationId, RelationKey)>> {
    let mut select = connection.prepare("SELECT id, version, key FROM group_key ORDER BY id, version")?;
    let rows = select.query_map([], |row| {
        let key = RelationKey { version: row.get(1)?, key: ConversationKey::from_bytes(row.get(2)?) };
        Ok((ConversationId::from_bytes(row.get(0)?), key))
    })?;
    rows.collect()
}

/// The conversations in a table of those that are to be fetched.
pub(super) fn due(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ConversationId>> {
    let mut select = connection.prepare(&format!("SELECT id FROM {table} ORDER BY id"))?;
    select.query_map([], |row| Ok(ConversationId::from_bytes(row.get(0)?)))?.collect()
}

pub(super) fn write(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    for info in &commit.groups {
        let mut replace = transaction.prepare_cached("INSERT OR REPLACE INTO group_info (id, json) VALUES (?1, ?2)")?;
        replace.execute(params![info.group.id.as_bytes(), group_to_json(info)])?;
    }
    for (group, key) in &commit.group_keys {
        let mut replace =
            transaction.prepare_cached("INSERT OR REPLACE INTO group_key (id, version, key) VALUES (?1, ?2, ?3)")?;
        replace.execute(params![group.as_bytes(), key.version, key.key.expose()])?;
    }
    for setting in &commit.settings {
        let mut replace = transaction.prepare_cached("INSERT OR REPLACE INTO setting (id, json) VALUES (?1, ?2)")?;
        replace.execute(params![setting.conversation.as_bytes(), setting_to_json(setting)])?;
    }
    list(transaction, "INSERT OR IGNORE INTO group_due (id) VALUES (?1)", &commit.groups_due)?;
    list(transaction, "DELETE FROM group_due WHERE id = ?1", &commit.groups_settled)?;
    list(transaction, "INSERT OR IGNORE INTO setting_due (id) VALUES (?1)", &commit.settings_due)?;
    list(transaction, "DELETE FROM setting_due WHERE id = ?1", &commit.settings_settled)
}

fn list(transaction: &Transaction<'_>, statement: &str, ids: &[ConversationId]) -> rusqlite::Result<()> {
    for id in ids {
        transaction.prepare_cached(statement)?.execute([id.as_bytes()])?;
    }
    Ok(())
}
