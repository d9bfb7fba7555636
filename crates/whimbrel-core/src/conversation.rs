//! Conversations: who is in one, and who may speak there.

use crate::{GroupStanding, Seq, UserId};

/// What a conversation is. The numbers are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConversationKind {
    /// Two users; kept for ever, whatever becomes of their friendship.
    Direct = 1,
    /// One user's own: friend requests, keys, log-outs travel here. Nobody submits drafts to it.
    Private = 2,
    /// Many users, who come and go; each sees the rows of the time in which they are in it.
    Group = 3,
}

impl ConversationKind {
    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Direct),
            2 => Some(Self::Private),
            3 => Some(Self::Group),
            _ => None,
        }
    }
}

/// What the two users of a direct conversation may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DirectStanding {
    /// They are friends.
    pub friends: bool,
    /// The first user blocks the second.
    pub first_blocks: bool,
    /// The second user blocks the first.
    pub second_blocks: bool,
}

/// Who is in a conversation, with their rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// Two users; `first < second`.
    Direct {
        /// The user with the lower id.
        first: UserId,
        /// The user with the higher id.
        second: UserId,
        /// What they may do.
        standing: DirectStanding,
    },
    /// One user.
    Private {
        /// Whose it is.
        owner: UserId,
    },
    /// Many, who are not named here: what a group's rules are. One member's rights are a [`Standing`](crate::Standing).
    Group(GroupStanding),
}

/// Whether a user may speak, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    /// Yes.
    Allowed,
    /// They are not in this conversation (or it does not exist: which of the two is not told).
    NotMember,
    /// They are no longer friends.
    NotFriends,
    /// One of the two blocks the other; who is not told.
    Blocked,
    /// Nobody submits to this kind of conversation.
    ReadOnly,
    /// Not for a time.
    Muted,
    /// It depends on the user's standing in the group: [`GroupStanding::may_speak`] says.
    Depends,
}

impl Members {
    /// May `user` submit a draft here?
    pub fn may_speak(&self, user: UserId) -> Speak {
        match self {
            Members::Direct { first, second, standing } => {
                if user != *first && user != *second {
                    Speak::NotMember
                } else if standing.first_blocks || standing.second_blocks {
                    Speak::Blocked
                } else if !standing.friends {
                    Speak::NotFriends
                } else {
                    Speak::Allowed
                }
            }
            Members::Private { owner } if user == *owner => Speak::ReadOnly,
            Members::Private { .. } => Speak::NotMember,
            Members::Group(_) => Speak::Depends,
        }
    }

    /// Can `user` be in this conversation? False is certain; of a group nobody can say without asking who is in it.
    pub fn may_contain(&self, user: UserId) -> bool {
        match self {
            Members::Direct { first, second, .. } => user == *first || user == *second,
            Members::Private { owner } => user == *owner,
            Members::Group(_) => true,
        }
    }

    /// Everyone who is owed what is placed here.
    pub fn audience(&self) -> Audience {
        match self {
            Members::Direct { first, second, .. } => Audience::Two(*first, *second),
            Members::Private { owner } => Audience::One(*owner),
            Members::Group(group) => Audience::Group { revision: group.revision, size: group.size },
        }
    }

    /// The kind of conversation that has such members.
    pub fn kind(&self) -> ConversationKind {
        match self {
            Members::Direct { .. } => ConversationKind::Direct,
            Members::Private { .. } => ConversationKind::Private,
            Members::Group(_) => ConversationKind::Group,
        }
    }
}

/// The users to whom a row is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// A private conversation's owner.
    One(UserId),
    /// The two of a direct conversation.
    Two(UserId, UserId),
    /// Whoever a [`Roster`](crate::Roster) of this revision (or a later one) owes the row to.
    Group {
        /// The last row that changed who is in the group, as of the row that is owed.
        revision: Seq,
        /// How many members there are then.
        size: u32,
    },
}

impl Audience {
    /// The users that it names, one by one. A group's audience names none: its roster does.
    pub fn named(self) -> impl Iterator<Item = UserId> {
        let (first, second) = match self {
            Audience::One(user) => (Some(user), None),
            Audience::Two(first, second) => (Some(first), Some(second)),
            Audience::Group { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(standing: DirectStanding) -> Members {
        Members::Direct { first: UserId(1), second: UserId(2), standing }
    }

    #[test]
    fn only_friends_who_do_not_block_each_other_may_speak() {
        let friends = DirectStanding { friends: true, ..Default::default() };
        assert_eq!(pair(friends).may_speak(UserId(1)), Speak::Allowed);
        assert_eq!(pair(friends).may_speak(UserId(3)), Speak::NotMember);
        assert_eq!(pair(DirectStanding::default()).may_speak(UserId(1)), Speak::NotFriends);
        for blocked in
            [DirectStanding { first_blocks: true, ..friends }, DirectStanding { second_blocks: true, ..friends }]
        {
            assert_eq!(pair(blocked).may_speak(UserId(1)), Speak::Blocked);
            assert_eq!(pair(blocked).may_speak(UserId(2)), Speak::Blocked);
        }
        assert_eq!(Members::Private { owner: UserId(1) }.may_speak(UserId(1)), Speak::ReadOnly);
    }
}
