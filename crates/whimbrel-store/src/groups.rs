//! Groups: what they are called, who is in them, what each may do; their keys; and how far their members have read.
//!
//! A change, the row of the group's timeline that tells of it, and the rows in private conversations of those whom it
//! concerns are one transaction, like every change of the [`Directory`](crate::Directory). Each row of the group's own
//! timeline that a change places is a new revision: a stale archiver collides with it and reads heads and standings
//! anew. The rules (who may do what, what a change leads to) are in `rules`, the same for every engine.

pub(crate) mod rules;
pub(crate) mod terms;
pub(crate) mod words;

use std::fmt;

use async_trait::async_trait;
use whimbrel_core::{ConversationId, Cursors, Role, Roster, Seq, UserId};

use crate::StoreError;
use crate::directory::{Rows, User};
use crate::keeping::Keep;

/// How one becomes a member. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum JoinMode {
    /// Whoever wants to.
    Open = 1,
    /// Whoever wants to, once an owner or admin has said yes. An invitation by an owner or admin is that yes.
    Approval = 2,
    /// Whoever was invited.
    Invitation = 3,
}

impl JoinMode {
    /// The mode with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Open),
            2 => Some(Self::Approval),
            3 => Some(Self::Invitation),
            _ => None,
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its conversation.
    pub id: ConversationId,
    /// Unique among groups, as [`handle_error`](crate::directory::handle_error) has them; `None`: it has none.
    pub handle: Option<String>,
    /// For people.
    pub name: String,
    /// A URL or empty.
    pub avatar: String,
    /// For members, or empty.
    pub announcement: String,
    /// Who owns it.
    pub owner: UserId,
    /// How one joins.
    pub join: JoinMode,
    /// Whether searches find it.
    pub listed: bool,
    /// Whether those who join see what was said before.
    pub history_for_all: bool,
    /// Most members.
    pub member_limit: u32,
    /// Members.
    pub size: u32,
    /// Only owner and admins speak until then, milliseconds since 1970; 0: everybody may.
    pub muted_until: u64,
    /// The row with which it last changed.
    pub revision: Seq,
    /// The version of its key that is for sending.
    pub key_version: u32,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// When it was dissolved; `None`: it stands.
    pub dissolved_at: Option<u64>,
    /// How long its owner wants what is said to be kept.
    pub keep: Keep,
}

/// A group to create; the creator owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Who creates it.
    pub owner: UserId,
    /// Checked by the caller, as all texts here are.
    pub handle: Option<String>,
    /// For people.
    pub name: String,
    /// A URL or empty.
    pub avatar: String,
    /// For members, or empty.
    pub announcement: String,
    /// How one joins.
    pub join: JoinMode,
    /// Whether searches find it.
    pub listed: bool,
    /// Whether those who join see what was said before.
    pub history_for_all: bool,
    /// At most [`GROUP_MEMBERS_MAX`](whimbrel_core::limits::GROUP_MEMBERS_MAX).
    pub member_limit: u32,
    /// Friends of the owner, who are in it from the start; others get an invitation.
    pub members: Vec<UserId>,
}

/// Somebody in a group, or who was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub user: User,
    /// What they are (were).
    pub role: Role,
    /// They may not speak until then, milliseconds since 1970; 0: they may.
    pub muted_until: u64,
    /// When they came, milliseconds since 1970.
    pub joined_at: u64,
    /// The row with which they went; 0: they are in it.
    pub until: Seq,
}

/// A group, as somebody in it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: Group,
    /// What the one who asks is (was) there.
    pub role: Role,
    /// They may not speak until then; 0: they may.
    pub muted_until: u64,
    /// The row with which they went; 0: they are in it.
    pub until: Seq,
}

/// Who waits for whose answer. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RequestKind {
    /// They want in; owner or admins answer.
    Asked = 1,
    /// They are invited; they answer.
    Invited = 2,
    /// A member invited them, an owner or admin has to agree; then they answer.
    Proposed = 3,
}

/// Something that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// Which group.
    pub group: ConversationId,
    /// Its name.
    pub group_name: String,
    /// Who would join.
    pub user: User,
    /// Who waits for whom.
    pub kind: RequestKind,
    /// Who invited; the user themselves with [`RequestKind::Asked`].
    pub by: UserId,
    /// What was said with it.
    pub message: String,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody in the group, or who wants to be.
    User(UserId),
    /// The deployment's administrator, who may do everything that an owner may, and add members.
    Operator,
}

/// Parts of a group that are to become something else; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// `Some(None)` gives the handle up.
    pub handle: Option<Option<String>>,
    /// For people.
    pub name: Option<String>,
    /// A URL or empty.
    pub avatar: Option<String>,
    /// For members, or empty.
    pub announcement: Option<String>,
    /// How one joins.
    pub join: Option<JoinMode>,
    /// Whether searches find it.
    pub listed: Option<bool>,
    /// Whether those who join see what was said before.
    pub history_for_all: Option<bool>,
    /// Not below the members that there are.
    pub member_limit: Option<u32>,
    /// The owner's to say.
    pub keep: Option<Keep>,
}

/// A change that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// Other settings.
    Settle(GroupSettings),
    /// Be a member: at once in an open group or when invited, else ask. Refused by name for those who are in it.
    Join {
        /// With a request: for those who answer.
        message: String,
    },
    /// Take one's request back, or say no to an invitation.
    Decline,
    /// Go.
    Leave,
    /// Ask others in. Those who are members or invited already are passed over.
    Invite {
        /// At most [`GROUP_CHANGE_USERS_MAX`](whimbrel_core::limits::GROUP_CHANGE_USERS_MAX).
        users: Vec<UserId>,
    },
    /// Say yes to a request (once: the second admin's yes is refused as "not applicable"), or to a proposal.
    Approve {
        /// Who wants in.
        user: UserId,
    },
    /// Say no to a request, or take an invitation back.
    Reject {
        /// Who.
        user: UserId,
    },
    /// Make these members, without asking them ([`Actor::Operator`] only). Those who are members are passed over.
    Add {
        /// At most [`GROUP_CHANGE_USERS_MAX`](whimbrel_core::limits::GROUP_CHANGE_USERS_MAX).
        users: Vec<UserId>,
    },
    /// Send a member away.
    Remove {
        /// Who.
        user: UserId,
    },
    /// Make a member an admin, or an admin a member.
    SetRole {
        /// Who.
        user: UserId,
        /// Not the owner: see [`GroupChange::Transfer`].
        role: Role,
    },
    /// Give the group to another member; the owner becomes an admin.
    Transfer {
        /// To whom.
        to: UserId,
    },
    /// Mute a member until a time (milliseconds since 1970; 0: not any more).
    Mute {
        /// Who.
        user: UserId,
        /// Until when.
        until: u64,
    },
    /// Mute everybody but owner and admins until a time (milliseconds since 1970; 0: not any more).
    MuteAll {
        /// Until when.
        until: u64,
    },
    /// End it: nobody speaks, the handle is free.
    Dissolve,
}

/// Why a call did nothing.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The handle is another group's.
    #[error("the handle is taken")]
    HandleTaken,
    /// There is no such group, or the one who asks may not know of it.
    #[error("there is no such group")]
    NoSuchGroup,
    /// There is no such user (any more).
    #[error("there is no such user")]
    NoSuchUser,
    /// The user named is not in the group.
    #[error("this user is not in the group")]
    NotMember,
    /// The one who asks may not do this here.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The change does not fit what is: they are in it already, there is no request.
    #[error("{0}")]
    NotApplicable(&'static str),
    /// The group has as many members as it may have.
    #[error("the group is full")]
    Full,
    /// The user is in as many groups as one may be in.
    #[error("too many groups")]
    TooManyGroups,
    /// As many requests and invitations wait as may.
    #[error("too many requests wait for an answer")]
    TooManyRequests,
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far one member has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub user: User,
    /// How far; `delivered` is 0 in groups above [`SMALL_GROUP`](whimbrel_core::limits::SMALL_GROUP).
    pub cursors: Cursors,
}

/// Who has read a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadBy {
    /// Members to whom it was said (its sender not counted).
    pub of: u32,
    /// Of these, those who have read it.
    pub read: u32,
    /// Of these, those who have it (0 above [`SMALL_GROUP`](whimbrel_core::limits::SMALL_GROUP)).
    pub delivered: u32,
    /// Some of them, by user id.
    pub readers: Vec<Reader>,
}

/// Versions of a group's key. `Debug` shows which there are, and no key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GroupKeys(pub Vec<(u32, [u8; 32])>);

impl fmt::Debug for GroupKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(version, _)| version)).finish()
    }
}

/// Groups and who is in them.
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Creates a group with its first key.
    async fn create_group(&self, new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError>;
    /// The group, also when it was dissolved.
    async fn group(&self, id: ConversationId) -> Result<Option<Group>, StoreError>;
    /// The group with exactly this handle.
    async fn group_by_handle(&self, handle: &str) -> Result<Option<Group>, StoreError>;
    /// Groups that the user is in, or was and still sees, beyond `after`, by id, at most `limit`.
    async fn groups_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, StoreError>;
    /// Listed groups whose handle, or whose name from one of its words on, begins with this text, beyond the group `after`,
    /// in the order of what is found, each once, at most `limit`; dissolved ones are not found.
    async fn search_groups(
        &self,
        text: &str,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError>;
    /// Changes a group. What is answered for the same change a second time is [`GroupError::NotApplicable`], so that two
    /// admins cannot both approve.
    async fn change_group(
        &self,
        id: ConversationId,
        by: Actor,
        change: GroupChange,
        now: u64,
    ) -> Result<(Group, Rows), GroupError>;
    /// Members beyond `after`, by user id, at most `limit`.
    async fn group_members(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupMember>, StoreError>;
    /// Somebody who is in the group, or was.
    async fn group_member(&self, id: ConversationId, user: UserId) -> Result<Option<GroupMember>, StoreError>;
    /// What waits for the answer of the group's owner and admins (asked, proposed) and of those invited, beyond `after`,
    /// by user id, at most `limit`.
    async fn group_requests(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError>;
    /// Invitations of the user, and requests of theirs, beyond `after`, by group, at most `limit`.
    async fn requests_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError>;
    /// Versions of the group's key above `after`, at most `limit`: those of the time in which the user is or was in it,
    /// beginning with the one that was current when they came (or with the first, where they see all of the history).
    async fn group_keys(
        &self,
        id: ConversationId,
        user: UserId,
        after: u32,
        limit: usize,
    ) -> Result<GroupKeys, GroupError>;
    /// Who is in these groups, in their order; `None` for those that are none. One round trip.
    async fn rosters(&self, ids: &[ConversationId]) -> Result<Vec<Option<Roster>>, StoreError>;
    /// Who has read the message at `seq`, with a page of members beyond `after`: of those to whom it was said, so nobody
    /// who came later. To an `asker` who does not see the message it is none.
    async fn read_by(
        &self,
        id: ConversationId,
        seq: Seq,
        asker: UserId,
        after: UserId,
        limit: usize,
    ) -> Result<ReadBy, StoreError>;
}
