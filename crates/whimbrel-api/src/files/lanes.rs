//! How many transfers there are at once: in all, and of each user. A place is held as long as bytes may move, and so a
//! buffer exists.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whimbrel_core::UserId;

use crate::error::{ApiError, Code};

/// The places of all transfers.
pub(crate) struct Lanes {
    all: Arc<Semaphore>,
    per_user: usize,
    /// As bounded as `all`: an entry goes with its last transfer.
    users: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// A transfer's place.
pub(crate) struct Lane {
    _place: OwnedSemaphorePermit,
    user: UserId,
    users: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Lanes {
    pub(crate) fn new(all: usize, per_user: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), per_user, users: Arc::default() }
    }

    /// A place for a transfer of this user's, or `busy`.
    pub(crate) fn take(&self, user: UserId) -> Result<Lane, ApiError> {
        let place = self.all.clone().try_acquire_owned().map_err(|_| ApiError::new(Code::Busy))?;
        let mut users = self.users.lock();
        let own = users.entry(user).or_default();
        if *own >= self.per_user {
            return Err(ApiError::new(Code::Busy).says("You have as many transfers under way as one may have."));
        }
        *own += 1;
        metrics::gauge!("whimbrel_files_transfers").increment(1.0);
        Ok(Lane { _place: place, user, users: self.users.clone() })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        metrics::gauge!("whimbrel_files_transfers").decrement(1.0);
        let mut users = self.users.lock();
        if let Some(own) = users.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_each_user_and_come_back() {
        let lanes = Lanes::new(3, 2);
        let (anna, bert) = (UserId(1), UserId(2));
        let one = lanes.take(anna).expect("free");
        let _two = lanes.take(anna).expect("free");
        assert!(lanes.take(anna).is_err());
        let _three = lanes.take(bert).expect("free");
        assert!(lanes.take(bert).is_err());
        drop(one);
        assert!(lanes.take(bert).is_ok());
        assert_eq!(lanes.users.lock().len(), 2);
    }
}
