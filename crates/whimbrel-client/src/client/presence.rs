//! Who is here.

use whimbrel_core::limits::WATCHED_MAX;
use whimbrel_core::{Presence, Privacy, UserId};

use super::Client;
use crate::driver::Command;
use crate::error::Error;
use crate::presence::PrivacyChange;

impl Client {
    /// Watches these friends, and nobody else any more: what is known of them and what changes comes as
    /// [`Event::Presence`](crate::Event::Presence), in this session and those after it. Nobody: no more events.
    ///
    /// Whoever is no friend, or blocks one, stays unknown.
    ///
    /// # Errors
    /// [`Error::TooManyWatched`] for more than 200, [`Error::Closed`].
    pub async fn watch_presence(&self, users: &[UserId]) -> Result<(), Error> {
        let mut users = users.to_vec();
        users.sort_unstable();
        users.dedup();
        users.retain(|user| user.0 != 0);
        if users.len() > WATCHED_MAX {
            return Err(Error::TooManyWatched { asked: users.len(), max: WATCHED_MAX });
        }
        self.ask(|reply| Command::Watch { users, reply }).await
    }

    /// What was told last of somebody who is watched; unknown if nothing was, or they are not. While there is no session
    /// it may be out of date.
    pub fn presence(&self, user: UserId) -> Presence {
        self.inner.directory.presence(user).unwrap_or(Presence::unknown(user))
    }

    /// Looks offline to all friends, last seen now, or is seen again. What one says, reads and types still shows that one
    /// is here. All of the user's devices are told by [`Event::AccountChanged`](crate::Event::AccountChanged).
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Http`] when the server cannot be asked.
    pub async fn set_invisible(&self, invisible: bool) -> Result<Privacy, Error> {
        let change = PrivacyChange { invisible: Some(invisible), ..PrivacyChange::default() };
        self.rest().change_privacy(change).await
    }
}
