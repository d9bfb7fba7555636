//! Two users' relation in its table: two rows, one as each of them sees it. Both users' rows are locked, which is what
//! everybody does who changes these.

use sqlx::mysql::MySqlRow;
use sqlx::query;
use whimbrel_core::{ConversationId, UserId};

use super::value;
use super::work::{Stop, Work};
use crate::directory::pair::{Pair, Side, read_state};

pub(super) async fn load(work: &mut Work, user: UserId, peer: UserId) -> Result<Pair, Stop> {
    let read = "SELECT state, blocks, greeting, conv, user FROM relation \
         WHERE (user = ? AND peer = ?) OR (user = ? AND peer = ?)";
    let read = query(read).bind(user.0).bind(peer.0).bind(peer.0).bind(user.0);
    let mut pair = Pair { mine: Side::STRANGER, theirs: Side::STRANGER, conversation: None };
    for row in read.fetch_all(work.db()).await? {
        let (side, conversation) = read_side(&row)?;
        if value::user(&row, 4)? == user {
            (pair.mine, pair.conversation) = (side, conversation);
        } else {
            pair.theirs = side;
        }
    }
    Ok(pair)
}

/// The first four columns: state, blocks, greeting, conv.
fn read_side(row: &MySqlRow) -> sqlx::Result<(Side, Option<ConversationId>)> {
    let state = read_state(value::get(row, 0)?).ok_or_else(|| value::unreadable(0, "a relation state"))?;
    let blocks = value::get::<u8>(row, 1)? != 0;
    let conversation = value::some_bytes(row, 3)?.map(ConversationId::from_bytes);
    Ok((Side { state, blocks, greeting: value::get(row, 2)? }, conversation))
}

/// Writes the sides on which something is different from `before`; the other side must not show that anything was.
pub(super) async fn save(
    work: &mut Work,
    before: &Pair,
    after: &Pair,
    (user, peer): (UserId, UserId),
    now: u64,
) -> Result<(), Stop> {
    let upsert = "INSERT INTO relation (user, peer, state, blocks, greeting, conv, changed_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE state = VALUES(state), blocks = VALUES(blocks), \
         greeting = VALUES(greeting), conv = VALUES(conv), changed_at = VALUES(changed_at)";
    let sides = [(user, peer, &after.mine, &before.mine), (peer, user, &after.theirs, &before.theirs)];
    for (one, other, side, was) in sides {
        if side == was && after.conversation == before.conversation {
            continue;
        }
        query(upsert)
            .bind(one.0)
            .bind(other.0)
            .bind(side.state as u8)
            .bind(side.blocks)
            .bind(&side.greeting)
            .bind(after.conversation.as_ref().map(|id| &id.as_bytes()[..]))
            .bind(now)
            .execute(work.db())
            .await?;
    }
    Ok(())
}
