//! [`Directory`] on SQLite.
//!
//! Every change runs as one job of the writer: it reads what it decides on, writes, and places the rows that tell of
//! it, all in one transaction. Everything slow is done before (password hashes arrive made, keys are random bytes).

mod change;
mod devices;
pub(super) mod keys;
mod pair;
mod relations;
pub(super) mod tell;
mod tokens;
pub(super) mod users;

use async_trait::async_trait;
use rusqlite::Connection;
use whimbrel_core::{ConversationId, DeviceId, Members, Seq, UserId};

use super::{SqliteStore, head};
use crate::StoreError;
use crate::directory::{
    Device, Directory, DirectoryError, LogIn, LoggedOut, NewUser, Refreshed, Relation, RelationChange, Rows, User,
};

#[async_trait]
impl Directory for SqliteStore {
    async fn create_users(
        &self,
        users: Vec<NewUser>,
        now: u64,
    ) -> Result<Vec<Result<User, DirectoryError>>, StoreError> {
        self.shared.writer.write(move |db| users::create(db, users, now)).await
    }

    async fn user(&self, user: UserId) -> Result<Option<User>, StoreError> {
        self.shared.readers.read(move |db| Ok(users::by_id(db, user)?)).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, StoreError> {
        let handle = handle.to_owned();
        self.shared.readers.read(move |db| Ok(users::by_handle(db, &handle)?)).await
    }

    async fn set_profile(
        &self,
        user: UserId,
        display_name: Option<String>,
        avatar: Option<String>,
        now: u64,
    ) -> Result<(User, Rows), DirectoryError> {
        self.shared.writer.write(move |db| users::set_profile(db, user, display_name, avatar, now)).await
    }

    async fn password_hash(&self, user: UserId) -> Result<Option<Option<String>>, StoreError> {
        self.shared.readers.read(move |db| Ok(users::password_hash(db, user)?)).await
    }

    async fn set_password(
        &self,
        user: UserId,
        hash: String,
        keep: DeviceId,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
        self.shared.writer.write(move |db| users::set_password(db, user, &hash, keep, now)).await
    }

    async fn delete_user(&self, user: UserId, now: u64) -> Result<Rows, DirectoryError> {
        let keyring = self.keyring();
        self.shared.writer.write(move |db| users::delete(db, &keyring, user, now)).await
    }

    async fn log_in(&self, log_ins: Vec<LogIn>) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError> {
        self.shared.writer.write(move |db| devices::log_in_all(db, &log_ins)).await
    }

    async fn refresh(
        &self,
        token: [u8; 32],
        successor: [u8; 32],
        now: u64,
        grace_ms: u64,
    ) -> Result<Refreshed, StoreError> {
        self.shared.writer.write(move |db| tokens::refresh(db, &token, &successor, now, grace_ms)).await
    }

    async fn logged_in(&self, devices: &[(UserId, DeviceId)]) -> Result<Vec<bool>, StoreError> {
        let asked = devices.to_vec();
        let read = move |db: &Connection| {
            let answers = asked.iter().map(|(user, device)| devices::is_logged_in(db, *user, *device));
            Ok(answers.collect::<rusqlite::Result<_>>()?)
        };
        self.shared.readers.read(read).await
    }

    /// None: every session is a session of this process, which hears of each log-out itself.
    async fn logged_out_since(&self, _: u64) -> Result<Vec<LoggedOut>, StoreError> {
        Ok(Vec::new())
    }

    /// None: whoever was not told ended with this process, and syncs.
    async fn untold(&self, _: u64, _: usize) -> Result<Rows, StoreError> {
        Ok(Vec::new())
    }

    async fn told(&self, _: &[(ConversationId, Seq)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn devices(&self, user: UserId) -> Result<Vec<Device>, StoreError> {
        self.shared.readers.read(move |db| Ok(devices::list(db, user)?)).await
    }

    async fn log_out(
        &self,
        user: UserId,
        device: Option<DeviceId>,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
        self.shared.writer.write(move |db| devices::log_out(db, user, device, now)).await
    }

    async fn change_relation(
        &self,
        user: UserId,
        peer: UserId,
        change: RelationChange,
        now: u64,
    ) -> Result<(Relation, Rows), DirectoryError> {
        let keyring = self.keyring();
        self.shared.writer.write(move |db| change::change(db, &keyring, user, peer, change, now)).await
    }

    async fn relation(&self, user: UserId, peer: UserId) -> Result<Option<Relation>, StoreError> {
        let keyring = self.keyring();
        self.shared.readers.read(move |db| relations::one(db, &keyring, user, peer)).await
    }

    async fn relations(&self, user: UserId, after: UserId, limit: usize) -> Result<Vec<Relation>, StoreError> {
        let keyring = self.keyring();
        self.shared.readers.read(move |db| relations::list(db, &keyring, user, after, limit)).await
    }

    async fn members(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError> {
        let wanted = conversations.to_vec();
        self.shared
            .readers
            .read(move |db| Ok(wanted.iter().map(|id| head::members(db, *id)).collect::<Result<_, _>>()?))
            .await
    }

    async fn rewrap_keys(&self) -> Result<u64, StoreError> {
        let mut changed = 0;
        let mut after = keys::Position::default();
        loop {
            let keyring = self.keyring();
            let step = self.shared.writer.write(move |db| keys::rewrap_step(db, &keyring, after)).await?;
            changed += step.changed;
            match step.next {
                Some(next) => after = next,
                None => return Ok(changed),
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.shared.readers.read(|db| Ok(db.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
        self.shared.writer.write(|_| Ok(())).await
    }
}
