//! Changing what two users are to each other: the rows of both, their conversation, its key, and who is told.
//!
//! Who is told follows from what each side can see: a side whose own view changed gets a row in its private
//! conversation, so a block is told to the blocker only. Whatever changes the rights in the direct conversation places
//! a row there too, which is what a stale archiver collides with.

use rusqlite::{Connection, params};
use whimbrel_core::limits::RELATIONS_MAX;
use whimbrel_core::{ConversationId, ConversationKind, DirectStanding, UserId};

use super::super::value::{first, run, sql};
use super::tell::Teller;
use super::{keys, relations, users};
use crate::Keyring;
use crate::directory::pair::Pair;
use crate::directory::{DirectoryError, Relation, RelationChange, Rows};

pub(super) fn change(
    db: &Connection,
    keyring: &Keyring,
    user: UserId,
    peer: UserId,
    change: RelationChange,
    now: u64,
) -> Result<(Relation, Rows), DirectoryError> {
    if user == peer {
        return Err(DirectoryError::NotApplicable("this is you"));
    }
    users::existing(db, user)?;
    users::existing(db, peer)?;
    let before = Pair::load(db, user, peer)?;
    let mut after = before.changed(change)?;
    check_room(db, user, before.mine.is_counted(), after.mine.is_counted())?;
    check_room(db, peer, before.theirs.is_counted(), after.theirs.is_counted())?;
    if after.is_friendship() && !before.is_friendship() {
        let conversation = match after.conversation {
            Some(kept) => kept,
            None => new_direct(db, user.min(peer), user.max(peer), now)?,
        };
        after.conversation = Some(conversation);
        keys::renew(db, keyring, conversation)?;
    }
    let mut teller = Teller::new(db, now);
    settle(db, &mut teller, (user, peer), &before, &after, now)?;
    let relation = relations::one(db, keyring, user, peer)?;
    Ok((relation.map_or_else(|| relations::stranger(db, peer), Ok)?, teller.into_rows()))
}

/// Ends everything between a user who is being deleted and a peer.
pub(super) fn end(
    db: &Connection,
    teller: &mut Teller<'_>,
    user: UserId,
    peer: UserId,
    now: u64,
) -> Result<(), DirectoryError> {
    let before = Pair::load(db, user, peer)?;
    settle(db, teller, (user, peer), &before, &before.ended(), now)
}

/// Writes the difference, and tells each side what it can see of it.
fn settle(
    db: &Connection,
    teller: &mut Teller<'_>,
    (user, peer): (UserId, UserId),
    before: &Pair,
    after: &Pair,
    now: u64,
) -> Result<(), DirectoryError> {
    after.save(db, before, user, peer, now)?;
    if after.mine != before.mine {
        teller.relation(user, peer)?;
    }
    if after.theirs != before.theirs {
        teller.relation(peer, user)?;
    }
    let standing = after.standing(user, peer);
    match after.conversation {
        Some(conversation) if standing != before.standing(user, peer) => {
            set_standing(db, conversation, standing)?;
            teller.standing(conversation, user.min(peer))?;
        }
        _ => {}
    }
    Ok(())
}

fn check_room(db: &Connection, user: UserId, was: bool, is: bool) -> Result<(), DirectoryError> {
    if was || !is {
        return Ok(());
    }
    let query = "SELECT count(*) FROM relation WHERE user = ?1 AND (state <> 0 OR blocks <> 0)";
    let count: Option<i64> = first(db, query, params![sql(user.0)])?;
    if count.unwrap_or(0) >= sql(RELATIONS_MAX) { Err(DirectoryError::TooManyRelations) } else { Ok(()) }
}

fn new_direct(db: &Connection, one: UserId, two: UserId, now: u64) -> rusqlite::Result<ConversationId> {
    let id = ConversationId::generate();
    users::new_conversation(db, id, ConversationKind::Direct, one, Some(two), now)?;
    Ok(id)
}

fn set_standing(db: &Connection, conversation: ConversationId, standing: DirectStanding) -> rusqlite::Result<()> {
    let update = "UPDATE conversation SET friends = ?2, first_blocks = ?3, second_blocks = ?4 WHERE id = ?1";
    let DirectStanding { friends, first_blocks, second_blocks } = standing;
    run(db, update, params![conversation.as_bytes(), friends, first_blocks, second_blocks])?;
    Ok(())
}
