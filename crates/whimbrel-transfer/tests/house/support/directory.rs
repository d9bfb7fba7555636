//! The directory, with absences to order, and with what others changed and did not live to tell.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use parking_lot::Mutex;
use whimbrel_core::{ConversationId, DeviceId, Members, PlacedRow, Seq, UserId};
use whimbrel_store::directory::{
    Device, DirectoryError, LogIn, LoggedOut, NewUser, Refreshed, Relation, RelationChange, Rows, User,
};
use whimbrel_store::sqlite::SqliteStore;
use whimbrel_store::{Directory, StoreError};

use super::wrapped::take;

pub struct WrappedDirectory {
    inner: SqliteStore,
    /// So many reads of devices, log-outs and rows fail.
    pub away: AtomicUsize,
    /// What is read as logged out lately.
    pub logged_out: Mutex<Vec<LoggedOut>>,
    /// Reads of that.
    pub looks: AtomicUsize,
    /// Rows that nobody was told of.
    pub untold: Mutex<Vec<PlacedRow>>,
    /// Groups that a test says.
    pub groups: Mutex<HashMap<ConversationId, Members>>,
    /// Devices that were asked for, by call.
    pub asked: Mutex<Vec<usize>>,
}

impl WrappedDirectory {
    pub fn new(inner: SqliteStore) -> Self {
        let (away, looks) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (logged_out, untold, groups, asked) = Default::default();
        Self { inner, away, logged_out, looks, untold, groups, asked }
    }

    fn fail(&self) -> Result<(), StoreError> {
        if take(&self.away) { Err(StoreError::Unavailable("gone for a test".into())) } else { Ok(()) }
    }
}

macro_rules! passing {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl Directory for WrappedDirectory {
            $(async fn $name(&self, $($arg: $type),*) -> $out {
                self.inner.$name($($arg),*).await
            })*

            async fn members(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError> {
                let mut members = self.inner.members(conversations).await?;
                for (conversation, members) in conversations.iter().zip(&mut members) {
                    if let Some(said) = self.groups.lock().get(conversation) {
                        *members = Some(said.clone());
                    }
                }
                Ok(members)
            }

            async fn logged_in(&self, devices: &[(UserId, DeviceId)]) -> Result<Vec<bool>, StoreError> {
                self.fail()?;
                self.asked.lock().push(devices.len());
                self.inner.logged_in(devices).await
            }

            async fn logged_out_since(&self, _: u64) -> Result<Vec<LoggedOut>, StoreError> {
                self.fail()?;
                self.looks.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
                Ok(self.logged_out.lock().clone())
            }

            async fn untold(&self, _: u64, limit: usize) -> Result<Rows, StoreError> {
                self.fail()?;
                Ok(self.untold.lock().iter().take(limit).cloned().collect())
            }

            async fn told(&self, rows: &[(ConversationId, Seq)]) -> Result<(), StoreError> {
                self.untold.lock().retain(|row| !rows.contains(&(row.message.conversation, row.message.seq)));
                Ok(())
            }
        }
    };
}

passing! {
    create_users(users: Vec<NewUser>, now: u64) -> Result<Vec<Result<User, DirectoryError>>, StoreError>;
    user(user: UserId) -> Result<Option<User>, StoreError>;
    user_by_handle(handle: &str) -> Result<Option<User>, StoreError>;
    set_profile(user: UserId, name: Option<String>, avatar: Option<String>, now: u64)
        -> Result<(User, Rows), DirectoryError>;
    password_hash(user: UserId) -> Result<Option<Option<String>>, StoreError>;
    set_password(user: UserId, hash: String, keep: DeviceId, now: u64)
        -> Result<(Vec<DeviceId>, Rows), DirectoryError>;
    delete_user(user: UserId, now: u64) -> Result<Rows, DirectoryError>;
    log_in(log_ins: Vec<LogIn>) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError>;
    refresh(token: [u8; 32], successor: [u8; 32], now: u64, grace_ms: u64) -> Result<Refreshed, StoreError>;
    devices(user: UserId) -> Result<Vec<Device>, StoreError>;
    log_out(user: UserId, device: Option<DeviceId>, now: u64) -> Result<(Vec<DeviceId>, Rows), DirectoryError>;
    change_relation(user: UserId, peer: UserId, change: RelationChange, now: u64)
        -> Result<(Relation, Rows), DirectoryError>;
    relation(user: UserId, peer: UserId) -> Result<Option<Relation>, StoreError>;
    relations(user: UserId, after: UserId, limit: usize) -> Result<Vec<Relation>, StoreError>;
    rewrap_keys() -> Result<u64, StoreError>;
    ping() -> Result<(), StoreError>;
}
