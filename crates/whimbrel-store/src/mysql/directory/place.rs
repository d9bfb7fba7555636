//! Placing the rows that tell of a change, at the ends of their conversations, in the change's transaction.
//!
//! In private conversations nobody else places while this holds the lock on the conversation. In direct ones and groups an
//! archiver may, who locks nothing: their ends are read with a lock on the last row, which waits for a row that is being
//! placed, and directly before the rows go in. Who comes between all the same takes the place, and the change is made
//! again.
//!
//! What begins or ends with a group's row (who is a member, and what they see) is written behind it: an archiver, too,
//! takes its places first and member rows then.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::mysql::MySqlRow;
use sqlx::query;
use whimbrel_core::{
    ConversationId, ConversationKind, DeviceId, DirectStanding, GroupStanding, Members, Message, MessageId, PlacedRow,
    Seq, UserId,
};

use super::super::groups::Turn;
use super::super::head::{last_seq, members, read_kind, read_members};
use super::many::{STEP, filled, insert, repeat, rows};
use super::tell::Letter;
use super::value;
use super::work::{Stop, Work};
use crate::directory::Rows;
use crate::{Head, StoreError};

/// Rights to write into a direct conversation.
pub(in crate::mysql) type NewStanding = (ConversationId, DirectStanding);

type Ends = BTreeMap<ConversationId, Head>;

const MESSAGE: &str = "message (conv, seq, sender, device, message_id, kind, key_version, at, n, own, hash, body)";

/// The end of one conversation in which others place. Waits for a row that is being placed there.
const SHARED_END: &str = "SELECT conv, seq, n, own, sender, at FROM message FORCE INDEX (PRIMARY) \
     WHERE conv = ? ORDER BY conv DESC, seq DESC LIMIT 1 FOR UPDATE";

/// Places everything that the change has to tell; the rows, in the order in which it was told.
pub(in crate::mysql) async fn post(work: &mut Work) -> Result<Rows, Stop> {
    let letters = std::mem::take(&mut work.letters);
    if letters.is_empty() {
        return Ok(Rows::new());
    }
    let mut ids: Vec<ConversationId> = letters.iter().map(|letter| letter.conversation).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut ends = lock(work, &ids).await?;
    for (conversation, standing) in std::mem::take(&mut work.standings) {
        set_standing(work, conversation, standing).await?;
    }
    private_ends(work, &mut ends).await?;
    shared_ends(work, &mut ends).await?;
    standing_groups(work, &mut ends).await?;
    let mut placed = Vec::with_capacity(letters.len());
    for letter in letters {
        let late = work.late(letter.now);
        let end = ends.get_mut(&letter.conversation).ok_or_else(|| missing(letter.conversation))?;
        let turn = work.turns.get(&letter.conversation);
        placed.push(next(end, letter, turn, late));
    }
    write(work, &placed).await?;
    for (conversation, turn) in std::mem::take(&mut work.turns) {
        let end = ends.get(&conversation).ok_or_else(|| missing(conversation))?;
        turn.write(work, conversation, end).await?;
    }
    Ok(placed.into_iter().map(|new| new.row).collect())
}

/// A row on its way into the table.
struct New {
    row: PlacedRow,
    n: u64,
    own: u64,
    late: u64,
}

fn next(end: &mut Head, letter: Letter, turn: Option<&Turn>, late: u64) -> New {
    let own = match &end.members {
        Members::Direct { first, .. } if *first == letter.sender => end.first_own,
        Members::Direct { .. } => end.n - end.first_own,
        Members::Private { .. } | Members::Group(_) => 0,
    };
    end.seq = end.seq.next();
    end.at = end.at.max(letter.now);
    let change = turn.map(|turn| Arc::new(turn.change(end.seq)));
    if let (Members::Group(group), Some(_)) = (&mut end.members, turn) {
        group.revision = end.seq;
    }
    let message = Message {
        conversation: letter.conversation,
        seq: end.seq,
        sender: letter.sender,
        device: DeviceId::from_bytes([0; 16]),
        message_id: MessageId::generate(),
        kind: letter.kind,
        key_version: 0,
        body: letter.body,
        at: end.at,
    };
    New { row: PlacedRow { message, audience: end.members.audience(), change }, n: end.n, own, late }
}

/// Locks one conversation that others may lock with it, before what stands behind conversations in the order of locks.
pub(in crate::mysql) async fn lock_one(work: &mut Work, id: ConversationId) -> Result<(), Stop> {
    let lock = "SELECT id FROM conversation WHERE id = ? FOR UPDATE";
    query(lock).bind(&id.as_bytes()[..]).fetch_optional(work.db()).await?;
    Ok(())
}

/// Locks these conversations (in ascending order of their ids) and says who is in them.
async fn lock(work: &mut Work, ids: &[ConversationId]) -> Result<Ends, Stop> {
    let mut ends = Ends::new();
    for chunk in ids.chunks(STEP) {
        let chunk = filled(chunk);
        let text = repeat(
            "SELECT id, kind, first, second, friends, first_blocks, second_blocks, 0, 0, 0, NULL \
             FROM conversation FORCE INDEX (PRIMARY) WHERE id IN (",
            "?",
            ", ",
            chunk.len(),
            ") ORDER BY id FOR UPDATE",
        );
        let lock = chunk.iter().fold(query(text), |lock, id| lock.bind(&id.as_bytes()[..]));
        for row in lock.fetch_all(work.db()).await? {
            let id = value::conversation(&row, 0)?;
            // What a group is with this change, its change knows.
            let members = match work.turns.get(&id) {
                Some(turn) => Members::Group(turn.after),
                // Read when its end is locked.
                None if read_kind(&row, 1)? == ConversationKind::Group => Members::Group(GroupStanding::default()),
                None => read_members(&row)?,
            };
            ends.insert(id, Head { seq: Seq::ZERO, n: 0, first_own: 0, at: 0, members });
        }
    }
    Ok(ends)
}

async fn set_standing(work: &mut Work, conversation: ConversationId, to: DirectStanding) -> Result<(), Stop> {
    query("UPDATE conversation SET friends = ?, first_blocks = ?, second_blocks = ? WHERE id = ?")
        .bind(to.friends)
        .bind(to.first_blocks)
        .bind(to.second_blocks)
        .bind(&conversation.as_bytes()[..])
        .execute(work.db())
        .await?;
    Ok(())
}

/// One seek for each last row.
async fn private_ends(work: &mut Work, ends: &mut Ends) -> Result<(), Stop> {
    let private = ends.iter().filter(|(_, end)| matches!(end.members, Members::Private { .. }));
    let ids: Vec<ConversationId> = private.map(|(id, _)| *id).collect();
    for chunk in ids.chunks(STEP) {
        let chunk = filled(chunk);
        let text = repeat(
            concat!(
                "SELECT m.conv, m.seq, m.n, m.own, m.sender, m.at FROM conversation c JOIN message m \
                 ON m.conv = c.id AND m.seq = ",
                last_seq!("c.id"),
                " WHERE c.id IN ("
            ),
            "?",
            ", ",
            chunk.len(),
            ")",
        );
        let read = chunk.iter().fold(query(text), |read, id| read.bind(&id.as_bytes()[..]));
        for row in read.fetch_all(work.db()).await? {
            set_end(ends, &row)?;
        }
    }
    Ok(())
}

async fn shared_ends(work: &mut Work, ends: &mut Ends) -> Result<(), Stop> {
    let shared = ends.iter().filter(|(_, end)| !matches!(end.members, Members::Private { .. }));
    let ids: Vec<ConversationId> = shared.map(|(id, _)| *id).collect();
    for id in ids {
        let last = query(SHARED_END).bind(&id.as_bytes()[..]).fetch_optional(work.db()).await?;
        if let Some(row) = last {
            set_end(ends, &row)?;
        }
    }
    Ok(())
}

/// Groups that this does not change, as they are at their ends: whoever changes one places a row behind them.
async fn standing_groups(work: &mut Work, ends: &mut Ends) -> Result<(), Stop> {
    let is_standing = |id, end: &Head| matches!(end.members, Members::Group(_)) && !work.turns.contains_key(id);
    let ids: Vec<ConversationId> = ends.iter().filter(|(id, end)| is_standing(id, end)).map(|(id, _)| *id).collect();
    for (id, members) in ids.iter().zip(members(work.db(), &ids).await?) {
        ends.get_mut(id).ok_or_else(|| missing(*id))?.members = members.ok_or_else(|| missing(*id))?;
    }
    Ok(())
}

/// The columns: conv, seq, n, own, sender, at.
fn set_end(ends: &mut Ends, row: &MySqlRow) -> Result<(), StoreError> {
    let conversation = value::conversation(row, 0)?;
    let end = ends.get_mut(&conversation).ok_or_else(|| missing(conversation))?;
    let (own, sender): (u64, UserId) = (value::get(row, 3)?, value::user(row, 4)?);
    (end.seq, end.n, end.at) = (value::seq(row, 1)?, value::get(row, 2)?, value::get(row, 5)?);
    end.first_own = match end.members {
        Members::Direct { first, .. } if sender == first => own,
        Members::Direct { .. } => end.n.saturating_sub(own),
        Members::Private { .. } | Members::Group(_) => 0,
    };
    Ok(())
}

fn missing(conversation: ConversationId) -> StoreError {
    StoreError::Corrupt(format!("conversation {conversation} is missing"))
}

/// The rows, and that nobody was told of them yet.
async fn write(work: &mut Work, placed: &[New]) -> Result<(), Stop> {
    for chunk in rows(placed) {
        let mut insert_rows = query(insert(MESSAGE, 12, chunk.len()));
        for New { row: PlacedRow { message, .. }, n, own, .. } in chunk {
            let hash = Sha256::digest(&message.body);
            insert_rows = insert_rows
                .bind(&message.conversation.as_bytes()[..])
                .bind(message.seq.0)
                .bind(message.sender.0)
                .bind(&message.device.as_bytes()[..])
                .bind(&message.message_id.as_bytes()[..])
                .bind(message.kind.0)
                .bind(message.key_version)
                .bind(message.at)
                .bind(*n)
                .bind(*own)
                .bind(&hash[..])
                .bind(&message.body[..]);
        }
        insert_rows.execute(work.db()).await?;
    }
    for chunk in rows(placed) {
        let untold = query(insert("untold (conv, seq, at)", 3, chunk.len()));
        let untold = chunk.iter().fold(untold, |untold, New { row: PlacedRow { message, .. }, late, .. }| {
            untold.bind(&message.conversation.as_bytes()[..]).bind(message.seq.0).bind(*late)
        });
        untold.execute(work.db()).await?;
    }
    Ok(())
}
