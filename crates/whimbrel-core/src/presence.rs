//! Presence: whether somebody is here, when they were last, and what of it others are shown.
//!
//! One rule for every way on which it is told ([`Presence::shown`]): who is not a friend, who is blocked, and who does not
//! exist look the same; somebody who is invisible looks exactly like somebody who left when they became so; and while
//! nobody knows who is where, everybody is unknown, the invisible as well.

use crate::UserId;

/// Whether somebody is here. The numbers go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum PresenceState {
    /// It is not known, or not for the one who asks.
    #[default]
    Unknown = 0,
    /// No session.
    Offline = 1,
    /// At least one session.
    Online = 2,
}

impl PresenceState {
    /// The state with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Offline),
            2 => Some(Self::Online),
            _ => None,
        }
    }

    /// As in REST and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Offline => "offline",
            Self::Online => "online",
        }
    }
}

/// What one user is shown of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Presence {
    /// Of whom.
    pub user: UserId,
    /// Whether they are here.
    pub state: PresenceState,
    /// With [`PresenceState::Offline`]: when the last of their sessions ended, milliseconds since 1970; 0: not known, or
    /// not shown.
    pub last_seen: u64,
}

/// What is kept of a user, as a friend's question reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// They want to look offline.
    pub invisible: bool,
    /// They do not show when they were here.
    pub last_seen_hidden: bool,
    /// When a session of theirs ended last, or when they became invisible, milliseconds since 1970; 0: never.
    pub seen_at: u64,
}

/// How a user lets others see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privacy {
    /// Friends see them offline, last seen when this began.
    pub invisible: bool,
    /// Friends do not see when they were here last.
    pub last_seen_hidden: bool,
}

impl Presence {
    /// Nothing is known of them, or nothing is for the one who asks.
    pub const fn unknown(user: UserId) -> Self {
        Self { user, state: PresenceState::Unknown, last_seen: 0 }
    }

    /// What a user is shown of `user`. `sight`: `None` if the two are no friends; `is_here`: `None` if nobody knows;
    /// `here_until`: when the one who asks saw them here last, which may be later than what is kept.
    pub fn shown(user: UserId, sight: Option<&Sight>, is_here: Option<bool>, here_until: u64) -> Self {
        let (Some(sight), Some(is_here)) = (sight, is_here) else { return Self::unknown(user) };
        if is_here && !sight.invisible {
            return Self { user, state: PresenceState::Online, last_seen: 0 };
        }
        let last_seen = match sight {
            Sight { last_seen_hidden: true, .. } => 0,
            Sight { invisible: true, seen_at, .. } => *seen_at,
            Sight { seen_at, .. } => (*seen_at).max(here_until),
        };
        Self { user, state: PresenceState::Offline, last_seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: UserId = UserId(2);

    fn shown(sight: Sight, is_here: Option<bool>) -> (PresenceState, u64) {
        let presence = Presence::shown(BOB, Some(&sight), is_here, 70);
        (presence.state, presence.last_seen)
    }

    #[test]
    fn the_invisible_look_as_if_they_had_left_when_they_became_so() {
        let sight = Sight { invisible: true, last_seen_hidden: false, seen_at: 50 };
        let left = (PresenceState::Offline, 50);
        assert_eq!([shown(sight, Some(true)), shown(sight, Some(false))], [left, left]);
        assert_eq!(shown(sight, None), shown(Sight::default(), None), "what nobody knows gives nobody away");
    }

    #[test]
    fn who_hides_when_they_were_here_still_shows_whether_they_are() {
        let sight = Sight { invisible: false, last_seen_hidden: true, seen_at: 50 };
        assert_eq!(shown(sight, Some(true)), (PresenceState::Online, 0));
        assert_eq!(shown(sight, Some(false)), (PresenceState::Offline, 0));
        let both = Sight { invisible: true, ..sight };
        assert_eq!(shown(both, Some(true)), (PresenceState::Offline, 0));
    }

    #[test]
    fn the_later_of_what_is_kept_and_what_was_seen_is_told() {
        let kept = |seen_at| shown(Sight { seen_at, ..Sight::default() }, Some(false)).1;
        assert_eq!((kept(50), kept(90)), (70, 90));
    }

    #[test]
    fn who_is_no_friend_is_shown_nothing() {
        for is_here in [None, Some(false), Some(true)] {
            assert_eq!(Presence::shown(BOB, None, is_here, 70), Presence::unknown(BOB));
        }
    }

    #[test]
    fn states_have_their_numbers() {
        let numbers = (0..4).map(PresenceState::from_number);
        let states = [PresenceState::Unknown, PresenceState::Offline, PresenceState::Online];
        assert!(numbers.eq(states.map(Some).into_iter().chain([None])));
        assert_eq!(states.map(|state| state as u8), [0, 1, 2]);
    }
}
