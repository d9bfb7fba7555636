//! New accounts, many at once: each with its private conversation, and each answered for itself.
//!
//! Which handles are free is read before; who takes one in between makes the whole batch begin again, and it is taken
//! then.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::query;
use whimbrel_core::{ConversationId, ConversationKind, UserId};

use super::many::{STEP, filled, insert, repeat, rows};
use super::users::insert_members;
use super::value;
use super::work::{Change, Stop, Work};
use crate::directory::{DirectoryError, NewUser, User};

pub(super) struct CreateUsers {
    pub(super) users: Vec<NewUser>,
    pub(super) now: u64,
}

/// Their ids by their handles.
type Ids = BTreeMap<String, UserId>;

impl Change for CreateUsers {
    type Answer = Vec<Result<User, DirectoryError>>;

    async fn make(&self, work: &mut Work) -> Result<Self::Answer, Stop> {
        let handles: Vec<&str> = self.users.iter().map(|user| user.handle.as_str()).collect();
        let mut taken: BTreeSet<String> = with_handles(work, &handles).await?.into_keys().collect();
        let is_new: Vec<bool> = self.users.iter().map(|user| taken.insert(user.handle.clone())).collect();
        let new = self.users.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
        let new: Vec<(&NewUser, ConversationId)> = new.map(|(user, _)| (user, ConversationId::generate())).collect();
        insert_users(work, &new, self.now).await?;
        let handles: Vec<&str> = new.iter().map(|(user, _)| user.handle.as_str()).collect();
        let ids = with_handles(work, &handles).await?;
        insert_private(work, &new, &ids, self.now).await?;
        let answers = self.users.iter().zip(&is_new).map(|(user, is_new)| match ids.get(&user.handle) {
            Some(id) if *is_new => Ok(created(user, *id, self.now)),
            _ => Err(DirectoryError::HandleTaken),
        });
        Ok(answers.collect())
    }
}

fn created(new: &NewUser, id: UserId, now: u64) -> User {
    let NewUser { handle, display_name, .. } = new.clone();
    User { id, handle, display_name, avatar: String::new(), created_at: now }
}

/// Accounts that have one of these handles, deleted ones too.
async fn with_handles(work: &mut Work, handles: &[&str]) -> Result<Ids, Stop> {
    let mut ids = Ids::new();
    for chunk in handles.chunks(STEP) {
        let chunk = filled(chunk);
        let text = repeat("SELECT handle, id FROM user WHERE handle IN (", "?", ", ", chunk.len(), ")");
        let read = chunk.iter().fold(query(text), |read, handle| read.bind(*handle));
        for row in read.fetch_all(work.db()).await? {
            ids.insert(value::get(&row, 0)?, value::user(&row, 1)?);
        }
    }
    Ok(ids)
}

async fn insert_users(work: &mut Work, new: &[(&NewUser, ConversationId)], now: u64) -> Result<(), Stop> {
    let table = "user (handle, display_name, avatar, password_hash, private_conversation, created_at)";
    for chunk in rows(new) {
        let text = insert(table, 6, chunk.len());
        let insert = chunk.iter().fold(query(text), |insert, (user, private)| {
            let insert = insert.bind(user.handle.as_str()).bind(user.display_name.as_str()).bind("");
            insert.bind(user.password_hash.as_deref()).bind(&private.as_bytes()[..]).bind(now)
        });
        insert.execute(work.db()).await?;
    }
    Ok(())
}

async fn insert_private(work: &mut Work, new: &[(&NewUser, ConversationId)], ids: &Ids, now: u64) -> Result<(), Stop> {
    let owned = new.iter().filter_map(|(user, private)| Some((*ids.get(&user.handle)?, *private)));
    let owned: Vec<(UserId, ConversationId)> = owned.collect();
    for chunk in rows(&owned) {
        let text = insert("conversation (id, kind, first, created_at)", 4, chunk.len());
        let insert = chunk.iter().fold(query(text), |insert, (owner, private)| {
            let insert = insert.bind(&private.as_bytes()[..]).bind(ConversationKind::Private as u8);
            insert.bind(owner.0).bind(now)
        });
        insert.execute(work.db()).await?;
    }
    insert_members(work, &owned).await
}
