//! Groups and who is in them, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{Role, Seq};
use whimbrel_store::groups::{Group, GroupMember, GroupRequest, JoinMode, Membership, RequestKind};
use whimbrel_store::keeping::Keep;

use super::forms::until;
use super::{Seen, uuid_of};
use crate::users::UserView;

/// How one becomes a member.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JoinMode)]
pub(crate) enum JoinView {
    /// Whoever wants to.
    Open,
    /// Whoever wants to, once the owner or an admin has said yes.
    Approval,
    /// Whoever was invited.
    #[default]
    Invitation,
}

impl From<JoinMode> for JoinView {
    fn from(mode: JoinMode) -> Self {
        match mode {
            JoinMode::Open => Self::Open,
            JoinMode::Approval => Self::Approval,
            JoinMode::Invitation => Self::Invitation,
        }
    }
}

impl From<JoinView> for JoinMode {
    fn from(view: JoinView) -> Self {
        match view {
            JoinView::Open => Self::Open,
            JoinView::Approval => Self::Approval,
            JoinView::Invitation => Self::Invitation,
        }
    }
}

/// What a member is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(crate) enum RoleView {
    /// One of many.
    Member,
    /// Keeps order.
    Admin,
    /// One in each group.
    Owner,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct GroupView {
    /// Its conversation.
    id: Uuid,
    /// Unique among groups; nothing if it has none.
    handle: Option<String>,
    name: String,
    /// A URL, or empty.
    avatar: String,
    /// For members; empty for everybody else.
    announcement: String,
    /// The owner's number.
    owner: u64,
    join: JoinView,
    /// Searches find it.
    listed: bool,
    /// Those who join see what was said before.
    history_for_all: bool,
    /// Most members.
    member_limit: u32,
    /// Members.
    size: u32,
    /// Only owner and admins may write until then; 0: everybody may.
    muted_until: u64,
    /// The place of the row with which it last changed.
    revision: u64,
    /// The version of its key that is for sending.
    key_version: u32,
    /// Milliseconds since 1970.
    created_at: u64,
    /// When it was dissolved; nothing while it stands.
    dissolved_at: Option<u64>,
    keep: KeepView,
}

/// How long messages are kept in a group: never longer than the deployment keeps them, and always a while longer than
/// devices may send them again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Keep)]
pub(super) struct KeepView {
    /// Messages that are older (seconds) go; 0: as the deployment has it.
    age_s: u64,
    /// Messages that at least so many follow go; 0: as the deployment has it.
    messages: u64,
}

impl From<KeepView> for Keep {
    fn from(keep: KeepView) -> Self {
        Self { age_ms: until(keep.age_s.saturating_mul(1000)), messages: until(keep.messages) }
    }
}

impl From<Keep> for KeepView {
    fn from(keep: Keep) -> Self {
        Self { age_s: keep.age_ms.div_ceil(1000), messages: keep.messages }
    }
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: uuid_of(group.id),
            handle: group.handle,
            name: group.name,
            avatar: group.avatar,
            announcement: group.announcement,
            owner: group.owner.0,
            join: group.join.into(),
            listed: group.listed,
            history_for_all: group.history_for_all,
            member_limit: group.member_limit,
            size: group.size,
            muted_until: group.muted_until,
            revision: group.revision.0,
            key_version: group.key_version,
            created_at: group.created_at,
            dissolved_at: group.dissolved_at,
            keep: group.keep.into(),
        }
    }
}

impl GroupView {
    /// As somebody sees it who is not in it.
    pub(super) fn from_outside(group: Group) -> Self {
        Self { announcement: String::new(), ..group.into() }
    }
}

impl From<Seen> for GroupView {
    fn from(seen: Seen) -> Self {
        match seen.is_member() {
            true => seen.group.into(),
            false => Self::from_outside(seen.group),
        }
    }
}

/// A group, and what you are there.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
pub(crate) struct MembershipView {
    group: GroupView,
    /// What you are (were); nothing if you never were in it.
    role: Option<RoleView>,
    /// You may not write until then; 0: you may.
    muted_until: u64,
    /// The place of the row with which you went; 0: you are in it, or never were.
    until: u64,
}

impl From<Seen> for MembershipView {
    fn from(mut seen: Seen) -> Self {
        let member = seen.member.take();
        let (role, muted_until, until) = match member {
            Some(member) => (Some(member.role), member.muted_until, member.until),
            None => (None, 0, Seq::ZERO),
        };
        let inside = role.is_some() && until == Seq::ZERO;
        let group = if inside { seen.group.into() } else { GroupView::from_outside(seen.group) };
        Self { group, role: role.map(RoleView::from), muted_until, until: until.0 }
    }
}

impl From<Membership> for MembershipView {
    fn from(membership: Membership) -> Self {
        let Membership { group, role, muted_until, until } = membership;
        let group = if until == Seq::ZERO { group.into() } else { GroupView::from_outside(group) };
        Self { group, role: Some(role.into()), muted_until, until: until.0 }
    }
}

/// Somebody in a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupMember)]
pub(crate) struct MemberView {
    user: UserView,
    role: RoleView,
    /// They may not write until then; 0: they may.
    muted_until: u64,
    /// Milliseconds since 1970.
    joined_at: u64,
}

impl From<GroupMember> for MemberView {
    fn from(member: GroupMember) -> Self {
        let GroupMember { user, role, muted_until, joined_at, .. } = member;
        Self { user: user.into(), role: role.into(), muted_until, joined_at }
    }
}

/// Who waits for whose answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// They want in; the owner or an admin answers.
    Asked,
    /// They are invited; they answer.
    Invited,
    /// A member invited them; the owner or an admin agrees first.
    Proposed,
}

/// Something that waits for an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupRequest)]
pub(crate) struct RequestView {
    group: Uuid,
    group_name: String,
    /// Who would join.
    user: UserView,
    #[schema(inline)]
    kind: Waiting,
    /// The number of who invited; the user's own where they asked.
    by: u64,
    /// What was said with it.
    message: String,
    /// Milliseconds since 1970.
    at: u64,
}

impl From<GroupRequest> for RequestView {
    fn from(request: GroupRequest) -> Self {
        let kind = match request.kind {
            RequestKind::Asked => Waiting::Asked,
            RequestKind::Invited => Waiting::Invited,
            RequestKind::Proposed => Waiting::Proposed,
        };
        Self {
            group: uuid_of(request.group),
            group_name: request.group_name,
            user: request.user.into(),
            kind,
            by: request.by.0,
            message: request.message,
            at: request.at,
        }
    }
}
