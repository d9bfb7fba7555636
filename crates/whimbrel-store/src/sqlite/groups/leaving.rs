//! What a deleted account leaves behind: it leaves every group, and what it asked for is gone.

use rusqlite::{Connection, params};
use whimbrel_core::UserId;

use super::super::directory::tell::Teller;
use super::super::value::{all, conversation, run, sql};
use super::read;
use super::write::{Writing, heir};
use crate::directory::DirectoryError;
use crate::groups::{GroupError, rules};
use crate::{Keyring, StoreError};

pub(in crate::sqlite) fn leave_all(
    db: &Connection,
    keyring: &Keyring,
    teller: &mut Teller<'_>,
    user: UserId,
    now: u64,
) -> Result<(), DirectoryError> {
    let groups = "SELECT m.conv FROM member m CROSS JOIN chat_group g ON g.conv = m.conv \
         WHERE m.user = ?1 AND m.until = 0 ORDER BY m.conv";
    for id in all(db, groups, params![sql(user.0)], |row| conversation(row, 0))? {
        let missing = || StoreError::Corrupt(format!("group {id} is missing"));
        let group = read::by_id(db, id)?.ok_or_else(missing)?;
        let heir = if group.owner == user { heir(db, id, user)? } else { None };
        let effect = rules::bereft(&group, user, heir, now);
        let writing = Writing { db, keyring, by: user, now };
        writing.write(teller, &group, effect).map_err(|refusal| match refusal {
            GroupError::Store(failure) => failure,
            other => StoreError::Corrupt(format!("group {id}: {other}")),
        })?;
    }
    run(db, "DELETE FROM group_request WHERE user = ?1", params![sql(user.0)])?;
    Ok(())
}
