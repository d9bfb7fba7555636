//! Who watches whom, and what they are shown.

use whimbrel_core::limits::WATCHED_MAX;
use whimbrel_core::{Presence, PresenceState, UserId};

use crate::{FrameError, proto};

/// Reads a client's Watch: the users, in ascending order.
///
/// # Errors
/// [`FrameError::BadField`] for more than [`WATCHED_MAX`] users, for user 0, and for one that is named twice.
pub fn watch(watch: proto::Watch) -> Result<Vec<UserId>, FrameError> {
    let mut users: Vec<UserId> = watch.users.into_iter().map(UserId).collect();
    users.sort_unstable();
    let is_odd = users.first() == Some(&UserId(0)) || users.windows(2).any(|pair| pair[0] == pair[1]);
    if users.len() > WATCHED_MAX || is_odd { Err(FrameError::BadField("users")) } else { Ok(users) }
}

/// Reads a server's Presences. A state that this version does not know is [`PresenceState::Unknown`].
///
/// # Errors
/// [`FrameError::BadField`] for user 0.
pub fn presences(presences: proto::Presences) -> Result<Vec<Presence>, FrameError> {
    let read = |presence: proto::Presence| match presence.user_id {
        0 => Err(FrameError::BadField("user_id")),
        user => Ok(Presence {
            user: UserId(user),
            state: u32::try_from(presence.state).ok().and_then(PresenceState::from_number).unwrap_or_default(),
            last_seen: presence.last_seen_ms,
        }),
    };
    presences.presences.into_iter().map(read).collect()
}

impl From<Presence> for proto::Presence {
    fn from(presence: Presence) -> Self {
        Self { user_id: presence.user.0, state: presence.state as i32, last_seen_ms: presence.last_seen }
    }
}
