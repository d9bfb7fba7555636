//! Changing what two users are to each other: the rows of both, their conversation, its key, and who is told.
//!
//! Who is told follows from what each side can see: a side whose own view changed gets a row in its private
//! conversation, so a block is told to the blocker only. Whatever changes the rights in the direct conversation places
//! a row there too, which is what a stale archiver collides with.

use std::collections::BTreeMap;

use sqlx::query;
use whimbrel_core::limits::RELATIONS_MAX;
use whimbrel_core::{ConversationId, ConversationKind, UserId};

use super::users::{self, Locked};
use super::work::{Change, Stop, Work};
use super::{keys, pair, relations, value};
use crate::Keyring;
use crate::directory::pair::Pair;
use crate::directory::{DirectoryError, Relation, RelationChange, RelationState};

pub(super) struct ChangeRelation<'a> {
    pub(super) keyring: &'a Keyring,
    pub(super) user: UserId,
    pub(super) peer: UserId,
    pub(super) change: RelationChange,
    pub(super) now: u64,
}

impl Change for ChangeRelation<'_> {
    type Answer = Relation;

    async fn make(&self, work: &mut Work) -> Result<Relation, Stop> {
        let (user, peer) = (self.user, self.peer);
        if user == peer {
            return Err(DirectoryError::NotApplicable("this is you").into());
        }
        let locked = users::lock(work, &[user, peer]).await?;
        if locked.len() < 2 {
            return Err(DirectoryError::NoSuchUser.into());
        }
        let before = pair::load(work, user, peer).await?;
        let mut after = before.changed(self.change.clone())?;
        check_room(work, user, before.mine.is_counted(), after.mine.is_counted()).await?;
        check_room(work, peer, before.theirs.is_counted(), after.theirs.is_counted()).await?;
        if after.is_friendship() && !before.is_friendship() {
            let conversation = match after.conversation {
                Some(kept) => kept,
                None => new_direct(work, user.min(peer), user.max(peer), self.now).await?,
            };
            after.conversation = Some(conversation);
            keys::renew(work, self.keyring, conversation).await?;
        }
        settle(work, &locked, (user, peer), &before, &after, self.now).await?;
        let relation = relations::one(work.db(), self.keyring, user, peer).await?;
        Ok(relation.unwrap_or_else(|| stranger(&locked[&peer])))
    }
}

/// Writes the difference, and tells each side that is locked, which those are who still exist, what it can see of it.
pub(super) async fn settle(
    work: &mut Work,
    locked: &BTreeMap<UserId, Locked>,
    (user, peer): (UserId, UserId),
    before: &Pair,
    after: &Pair,
    now: u64,
) -> Result<(), Stop> {
    pair::save(work, before, after, (user, peer), now).await?;
    let sides = [(user, peer, &after.mine, &before.mine), (peer, user, &after.theirs, &before.theirs)];
    for (one, other, side, was) in sides {
        match locked.get(&one) {
            Some(told) if side != was => work.tell_relation(one, told.private, other, now),
            _ => {}
        }
    }
    let standing = after.standing(user, peer);
    match after.conversation {
        Some(conversation) if standing != before.standing(user, peer) => {
            work.standings.push((conversation, standing));
            work.tell_standing(conversation, user.min(peer), now);
        }
        _ => {}
    }
    Ok(())
}

/// What a user is to a peer with whom there never was anything.
fn stranger(peer: &Locked) -> Relation {
    let (state, greeting, keys) = (RelationState::None, String::new(), Vec::new());
    Relation { peer: peer.user.clone(), state, blocked: false, greeting, conversation: None, keys, changed_at: 0 }
}

/// Counted under the user's lock, so that it still holds at the commit.
async fn check_room(work: &mut Work, user: UserId, was: bool, is: bool) -> Result<(), Stop> {
    if was || !is {
        return Ok(());
    }
    let count = "SELECT COUNT(*) FROM relation WHERE user = ? AND (state <> 0 OR blocks <> 0)";
    let row = query(count).bind(user.0).fetch_one(work.db()).await?;
    let count: i64 = value::get(&row, 0)?;
    if count.unsigned_abs() >= RELATIONS_MAX { Err(DirectoryError::TooManyRelations.into()) } else { Ok(()) }
}

async fn new_direct(work: &mut Work, first: UserId, second: UserId, now: u64) -> Result<ConversationId, Stop> {
    let id = ConversationId::generate();
    query("INSERT INTO conversation (id, kind, first, second, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(&id.as_bytes()[..])
        .bind(ConversationKind::Direct as u8)
        .bind(first.0)
        .bind(second.0)
        .bind(now)
        .execute(work.db())
        .await?;
    users::insert_members(work, &[(first, id), (second, id)]).await?;
    Ok(id)
}
