//! Presence, as far as it is kept: whether a user wants to be seen, when they were here last, and whom all of that is
//! shown to. Who is here now stands in [`UserStatus`](crate::UserStatus) and nowhere here.
//!
//! Nothing of this is on the way of a message. "Last seen" is written for many users at once, seldom, and may be lost
//! for the last moments before a crash; the settings are a change like any other, told by a row of the private
//! conversation in the same transaction.

use async_trait::async_trait;
use whimbrel_core::{Privacy, Sight, UserId};

use crate::StoreError;
use crate::directory::{DirectoryError, Rows};

/// Parts that are to become something else; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrivacyChange {
    /// To look offline.
    pub invisible: Option<bool>,
    /// Not to show when one was here.
    pub last_seen_hidden: Option<bool>,
}

impl PrivacyChange {
    /// What becomes of it.
    pub(crate) fn on(self, before: Privacy) -> Privacy {
        Privacy {
            invisible: self.invisible.unwrap_or(before.invisible),
            last_seen_hidden: self.last_seen_hidden.unwrap_or(before.last_seen_hidden),
        }
    }
}

/// Who looks, and at whom.
pub type Pair = (UserId, UserId);

/// What users show of their coming and going, and to whom.
#[async_trait]
pub trait Presences: Send + Sync + 'static {
    /// What is kept of the second of each pair, in their order; `None` unless the two are friends and neither blocks the
    /// other. One round trip.
    async fn sights(&self, pairs: &[Pair]) -> Result<Vec<Option<Sight>>, StoreError>;
    /// These users were here at these times (milliseconds since 1970). Later times stay, and so does that of who is
    /// invisible.
    async fn seen(&self, sightings: &[(UserId, u64)], now: u64) -> Result<(), StoreError>;
    /// These users are here at this time: as [`Presences::seen`], but nothing else is to be shown of them now, so they are
    /// not among those who [`stirred`](Presences::stirred).
    async fn here(&self, users: &[UserId], at: u64) -> Result<(), StoreError>;
    /// Users of whom others may be shown something else since this time (milliseconds since 1970): by settings, by
    /// [`Presences::seen`], by becoming friends or none. At most about twice `limit`; if there are `limit` or more, there
    /// may be others.
    async fn stirred(&self, since: u64, limit: usize) -> Result<Vec<UserId>, StoreError>;
    /// How a user lets others see them.
    async fn privacy(&self, user: UserId) -> Result<Privacy, StoreError>;
    /// Changes it. Who becomes invisible was seen now, and is seen no more.
    async fn set_privacy(
        &self,
        user: UserId,
        change: PrivacyChange,
        now: u64,
    ) -> Result<(Privacy, Rows), DirectoryError>;
}
