//! Groups: roles, what each may do, and who may speak now. The table is tested, and docs/groups.md prints it.

use crate::{Seq, Speak};

/// What a member is. The numbers are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// One of many.
    Member = 1,
    /// Keeps order.
    Admin = 2,
    /// One in each group.
    Owner = 3,
}

impl Role {
    /// The role with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Member),
            2 => Some(Self::Admin),
            3 => Some(Self::Owner),
            _ => None,
        }
    }

    /// Its word in REST and in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// May somebody of this role do this?
    pub const fn may(self, action: Action) -> bool {
        use Action::{
            Answer, Call, Dissolve, Invite, Keep, Leave, Mute, MuteAll, Read, RecallOther, Remove, SetRole, Settle,
            Speak, SpeakMuted, Transfer,
        };
        match action {
            Read | Speak | Invite => true,
            Leave => !matches!(self, Self::Owner),
            Settle | Answer | MuteAll | Call | SpeakMuted => !matches!(self, Self::Member),
            SetRole | Transfer | Dissolve | Keep => matches!(self, Self::Owner),
            Remove { target } | Mute { target } | RecallOther { target } => (self as u8) > (target as u8),
        }
    }
}

/// What is done in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// See its rows, its members, its settings.
    Read,
    /// Send messages, react, edit and take back one's own.
    Speak,
    /// Speak while everybody is muted.
    SpeakMuted,
    /// Send a message that calls everybody.
    Call,
    /// Take back, at any time, what somebody else of this role said.
    RecallOther {
        /// Whose role; of those who are not in the group any more a member's.
        target: Role,
    },
    /// Ask somebody in.
    Invite,
    /// Say yes or no to those who want in.
    Answer,
    /// Name, avatar, announcement, handle, how one joins.
    Settle,
    /// Send a member of this role away.
    Remove {
        /// Whose role.
        target: Role,
    },
    /// Mute a member of this role for a time.
    Mute {
        /// Whose role.
        target: Role,
    },
    /// Mute everybody but owner and admins.
    MuteAll,
    /// Make members admins, and admins members.
    SetRole,
    /// Give the group away.
    Transfer,
    /// Go. The owner gives the group away first, or dissolves it.
    Leave,
    /// Say how long messages are kept.
    Keep,
    /// End the group.
    Dissolve,
}

/// One member's rights, as of the group's last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What they are.
    pub role: Role,
    /// They may not speak until then, milliseconds since 1970; 0: they may. `u64::MAX`: for good.
    pub muted_until: u64,
    /// The first row that they see: nothing can be done to what stands before it.
    pub sees_from: Seq,
}

/// A group's rules, as of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GroupStanding {
    /// The last row that changed the group ([`MessageKind::GROUP`](crate::MessageKind::GROUP)).
    pub revision: Seq,
    /// Members.
    pub size: u32,
    /// Only owner and admins may speak until then, milliseconds since 1970; 0: everybody may. `u64::MAX`: for good.
    pub muted_until: u64,
    /// It was ended: nobody speaks.
    pub dissolved: bool,
}

impl GroupStanding {
    /// May this member (`None`: somebody who is none) speak at this time (milliseconds since 1970)?
    pub fn may_speak(&self, member: Option<Standing>, now: u64) -> Speak {
        let Some(Standing { role, muted_until, .. }) = member else { return Speak::NotMember };
        if self.dissolved {
            Speak::ReadOnly
        } else if muted_until > now || (self.muted_until > now && !role.may(Action::SpeakMuted)) {
            Speak::Muted
        } else {
            Speak::Allowed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_muted_speaks_again_when_the_time_is_over_and_nobody_speaks_in_what_was_dissolved() {
        let group = GroupStanding { muted_until: 100, ..Default::default() };
        let of = |role, muted_until| Some(Standing { role, muted_until, sees_from: Seq(1) });
        assert_eq!(group.may_speak(None, 0), Speak::NotMember);
        assert_eq!(group.may_speak(of(Role::Member, 0), 99), Speak::Muted);
        assert_eq!(group.may_speak(of(Role::Member, 0), 100), Speak::Allowed);
        assert_eq!(group.may_speak(of(Role::Admin, 0), 99), Speak::Allowed);
        assert_eq!(group.may_speak(of(Role::Admin, 200), 199), Speak::Muted);
        assert_eq!(group.may_speak(of(Role::Admin, 200), 200), Speak::Allowed);
        let ended = GroupStanding { dissolved: true, ..group };
        assert_eq!(ended.may_speak(of(Role::Owner, 0), 500), Speak::ReadOnly);
    }

    #[test]
    fn only_somebody_of_a_higher_role_sends_away_mutes_and_takes_back() {
        for (by, target, may) in [
            (Role::Owner, Role::Admin, true),
            (Role::Admin, Role::Admin, false),
            (Role::Admin, Role::Member, true),
            (Role::Member, Role::Member, false),
            (Role::Owner, Role::Owner, false),
        ] {
            assert_eq!(by.may(Action::Remove { target }), may);
            assert_eq!(by.may(Action::Mute { target }), may);
            assert_eq!(by.may(Action::RecallOther { target }), may);
        }
    }
}
