//! [`Directory`] on MySQL and MariaDB.
//!
//! | room | does |
//! |---|---|
//! | `work` | one transaction for each change, again when others were in its way; the order of locks |
//! | `tell`, `place` | the rows that tell of a change |
//! | `untold`, `ended` | what other processes have to learn if the one that changed it dies |
//! | `users`, `create`, `delete` | accounts |
//! | `devices`, `log_in`, `tokens` | devices and their refresh tokens |
//! | `change`, `pair`, `relations`, `keys` | relations with their keys |
//! | `many`, `value` | statements for many, values out of rows |
//!
//! Every change runs in a transaction of its own, which reads what it decides on under locks, writes, and places the
//! rows that tell of it. Any number of processes do so at once.

mod change;
mod create;
mod delete;
mod devices;
mod ended;
pub(super) mod keys;
mod log_in;
pub(super) mod many;
mod pair;
pub(super) mod place;
mod relations;
pub(super) mod tell;
#[cfg(test)]
pub(super) mod tests;
mod tokens;
mod untold;
pub(super) mod users;
pub(super) mod value;
pub(super) mod work;

use async_trait::async_trait;
use whimbrel_core::{ConversationId, DeviceId, Members, Seq, UserId};

use self::change::ChangeRelation;
use self::create::CreateUsers;
use self::devices::LogOut;
use self::log_in::LogInAll;
use self::tokens::Exchange;
use self::users::{SetPassword, SetProfile};
use self::work::{run, run_all};
use super::{MySqlStore, head};
use crate::StoreError;
use crate::directory::{
    Device, Directory, DirectoryError, LogIn, LoggedOut, NewUser, Refreshed, Relation, RelationChange, Rows, User,
};

#[async_trait]
impl Directory for MySqlStore {
    async fn create_users(
        &self,
        users: Vec<NewUser>,
        now: u64,
    ) -> Result<Vec<Result<User, DirectoryError>>, StoreError> {
        Ok(run_all(self, &CreateUsers { users, now }).await?.0)
    }

    async fn user(&self, user: UserId) -> Result<Option<User>, StoreError> {
        self.read(async |db| users::by_id(db, user).await).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, StoreError> {
        self.read(async |db| users::by_handle(db, handle).await).await
    }

    async fn set_profile(
        &self,
        user: UserId,
        display_name: Option<String>,
        avatar: Option<String>,
        now: u64,
    ) -> Result<(User, Rows), DirectoryError> {
        run(self, &SetProfile { user, display_name, avatar, now }).await
    }

    async fn password_hash(&self, user: UserId) -> Result<Option<Option<String>>, StoreError> {
        self.read(async |db| users::password_hash(db, user).await).await
    }

    async fn set_password(
        &self,
        user: UserId,
        hash: String,
        keep: DeviceId,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
        run(self, &SetPassword { user, hash, keep, now }).await
    }

    async fn delete_user(&self, user: UserId, now: u64) -> Result<Rows, DirectoryError> {
        delete::delete(self, user, now).await
    }

    async fn log_in(&self, log_ins: Vec<LogIn>) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError> {
        let (told, rows) = run_all(self, &LogInAll { log_ins }).await?;
        let mut rows = rows.into_iter();
        let answers = told.into_iter().map(|told| told.map(|told| rows.by_ref().take(usize::from(told)).collect()));
        Ok(answers.collect())
    }

    async fn refresh(
        &self,
        token: [u8; 32],
        successor: [u8; 32],
        now: u64,
        grace_ms: u64,
    ) -> Result<Refreshed, StoreError> {
        tokens::refresh(self, Exchange { token, successor, now, grace_ms }).await
    }

    async fn logged_in(&self, devices: &[(UserId, DeviceId)]) -> Result<Vec<bool>, StoreError> {
        self.read(async |db| devices::logged_in(db, devices).await).await
    }

    async fn logged_out_since(&self, since: u64) -> Result<Vec<LoggedOut>, StoreError> {
        self.read(async |db| ended::since(db, since).await).await
    }

    async fn untold(&self, before: u64, limit: usize) -> Result<Rows, StoreError> {
        untold::before(self, before, limit).await
    }

    async fn told(&self, rows: &[(ConversationId, Seq)]) -> Result<(), StoreError> {
        untold::told(self, rows).await
    }

    async fn devices(&self, user: UserId) -> Result<Vec<Device>, StoreError> {
        self.read(async |db| devices::list(db, user).await).await
    }

    async fn log_out(
        &self,
        user: UserId,
        device: Option<DeviceId>,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
        run(self, &LogOut { user, device, now }).await
    }

    async fn change_relation(
        &self,
        user: UserId,
        peer: UserId,
        change: RelationChange,
        now: u64,
    ) -> Result<(Relation, Rows), DirectoryError> {
        run(self, &ChangeRelation { keyring: self.keyring(), user, peer, change, now }).await
    }

    async fn relation(&self, user: UserId, peer: UserId) -> Result<Option<Relation>, StoreError> {
        self.read(async |db| relations::one(db, self.keyring(), user, peer).await).await
    }

    async fn relations(&self, user: UserId, after: UserId, limit: usize) -> Result<Vec<Relation>, StoreError> {
        self.read(async |db| relations::list(db, self.keyring(), user, after, limit).await).await
    }

    async fn members(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError> {
        self.read(async |db| Ok(head::members(db, conversations).await?)).await
    }

    async fn rewrap_keys(&self) -> Result<u64, StoreError> {
        keys::rewrap(self).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(async |db| Ok(sqlx::Connection::ping(db).await?)).await
    }
}
