//! Two users' relation in its table: two rows, one as each of them sees it.

use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, UserId};

use super::super::value::{first_row, run, small, sql, unreadable};
use crate::directory::pair::{Pair, Side, read_state};

impl Pair {
    pub(super) fn load(db: &Connection, user: UserId, peer: UserId) -> rusqlite::Result<Self> {
        let query = "SELECT state, blocks, greeting, conv FROM relation WHERE user = ?1 AND peer = ?2";
        let side = |one: UserId, other: UserId| {
            first_row(db, query, params![sql(one.0), sql(other.0)], |row| {
                let state = read_state(small(row, 0)?).ok_or_else(|| unreadable(0, "a relation state"))?;
                let conversation = row.get::<_, Option<[u8; 16]>>(3)?.map(ConversationId::from_bytes);
                Ok((Side { state, blocks: row.get(1)?, greeting: row.get(2)? }, conversation))
            })
        };
        let (mine, conversation) = side(user, peer)?.unwrap_or((Side::STRANGER, None));
        let (theirs, _) = side(peer, user)?.unwrap_or((Side::STRANGER, None));
        Ok(Self { mine, theirs, conversation })
    }

    /// Writes the sides on which something is different from `before`; the other side must not show that anything was.
    pub(super) fn save(
        &self,
        db: &Connection,
        before: &Pair,
        user: UserId,
        peer: UserId,
        now: u64,
    ) -> rusqlite::Result<()> {
        let upsert = "INSERT INTO relation (user, peer, state, blocks, greeting, conv, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (user, peer) DO UPDATE SET state = excluded.state, \
             blocks = excluded.blocks, greeting = excluded.greeting, conv = excluded.conv, \
             changed_at = excluded.changed_at";
        let sides = [(user, peer, &self.mine, &before.mine), (peer, user, &self.theirs, &before.theirs)];
        for (one, other, side, was) in sides {
            if side == was && self.conversation == before.conversation {
                continue;
            }
            let conv = self.conversation.as_ref().map(ConversationId::as_bytes);
            let (one, other, state) = (sql(one.0), sql(other.0), side.state as u8);
            run(db, upsert, params![one, other, state, side.blocks, side.greeting, conv, sql(now)])?;
        }
        Ok(())
    }
}
