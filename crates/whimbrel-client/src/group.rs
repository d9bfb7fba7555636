//! Groups, as REST tells of them.

use serde::Deserialize;
use whimbrel_core::{ConversationId, Role, Seq, UserId};

use crate::relation::Profile;

/// How one becomes a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinMode {
    /// Whoever wants to.
    Open,
    /// Whoever wants to, once an owner or admin has said yes.
    Approval,
    /// Whoever was invited.
    Invitation,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its conversation.
    pub id: ConversationId,
    /// Unique among groups; `None`: it has none.
    pub handle: Option<String>,
    /// For people.
    pub name: String,
    /// An address of a picture, or nothing.
    pub avatar: String,
    /// For members, or nothing.
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
    /// Only owner and admins speak until then, milliseconds since 1970; 0: everybody may; `u64::MAX`: for good.
    pub muted_until: u64,
    /// The row with which it last changed.
    pub revision: Seq,
    /// The version of its key that is for sending.
    pub key_version: u32,
    /// When it was made, milliseconds since 1970.
    pub created_at: u64,
    /// When it was dissolved; `None`: it stands.
    pub dissolved_at: Option<u64>,
    /// How long messages are kept.
    pub keep: Keep,
}

/// How long messages are kept in a group, as its owner wants it; the deployment may keep less. 0 sets no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Messages that are older go, seconds.
    pub age_s: u64,
    /// Messages that at least so many follow go.
    pub messages: u64,
}

/// A group, and what one is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group.
    pub group: Group,
    /// What one is there, or was; `None`: one never was in it.
    pub role: Option<Role>,
    /// One may not speak until then, milliseconds since 1970; 0: one may.
    pub muted_until: u64,
    /// The row with which one went; 0: one is in it, or never was.
    pub until: Seq,
}

impl GroupInfo {
    /// Whether one is in it.
    pub fn is_member(&self) -> bool {
        self.role.is_some() && self.until == Seq::ZERO
    }
}

/// A group to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// For people.
    pub name: String,
    /// Unique among groups, if it is to have one.
    pub handle: Option<String>,
    /// An address of a picture, or nothing.
    pub avatar: String,
    /// For members, or nothing.
    pub announcement: String,
    /// How one joins.
    pub join: JoinMode,
    /// Whether searches find it.
    pub listed: bool,
    /// Whether those who join see what was said before.
    pub history_for_all: bool,
    /// Most members; `None`: the deployment's number.
    pub member_limit: Option<u32>,
    /// Friends who are in it from the start; others get an invitation.
    pub members: Vec<UserId>,
}

impl NewGroup {
    /// A group of this name, by invitation, with these.
    pub fn named(name: impl Into<String>, members: impl IntoIterator<Item = UserId>) -> Self {
        Self {
            name: name.into(),
            handle: None,
            avatar: String::new(),
            announcement: String::new(),
            join: JoinMode::Invitation,
            listed: false,
            history_for_all: false,
            member_limit: None,
            members: members.into_iter().collect(),
        }
    }
}

/// Changes of a group; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupSettings {
    /// `Some(None)` gives the handle up.
    pub handle: Option<Option<String>>,
    /// For people.
    pub name: Option<String>,
    /// An address of a picture, or nothing.
    pub avatar: Option<String>,
    /// For members, or nothing.
    pub announcement: Option<String>,
    /// How one joins.
    pub join: Option<JoinMode>,
    /// Whether searches find it.
    pub listed: Option<bool>,
    /// Whether those who join see what was said before.
    pub history_for_all: Option<bool>,
    /// Not below the members that there are.
    pub member_limit: Option<u32>,
    /// How long messages are kept; for the owner alone.
    pub keep: Option<Keep>,
}

/// What is done in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAction {
    /// Be a member: at once in an open group or when invited, else ask.
    Join {
        /// For those who answer, or nothing.
        message: String,
    },
    /// Go.
    Leave,
    /// Take one's request back, or say no to an invitation.
    Decline,
    /// Ask others in.
    Invite(Vec<UserId>),
    /// Say yes to somebody who wants in, or is proposed.
    Approve(UserId),
    /// Say no, or take an invitation back.
    Reject(UserId),
    /// Send a member away.
    Remove(UserId),
    /// Make a member an admin, or an admin a member.
    SetRole(UserId, Role),
    /// Give the group away.
    Transfer(UserId),
    /// Mute a member until a time (milliseconds since 1970; 0: not any more).
    Mute(UserId, u64),
    /// Mute everybody but owner and admins until a time.
    MuteAll(u64),
    /// End it.
    Dissolve,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub user: Profile,
    /// What they are.
    pub role: Role,
    /// They may not speak until then; 0: they may.
    pub muted_until: u64,
    /// When they came, milliseconds since 1970.
    pub joined_at: u64,
}

/// Who waits for whose answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// They want in; owner or admins answer.
    Asked,
    /// They are invited; they answer.
    Invited,
    /// A member invited them, an owner or admin has to agree.
    Proposed,
}

/// Something that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// Which group.
    pub group: ConversationId,
    /// Its name.
    pub group_name: String,
    /// Who would join.
    pub user: Profile,
    /// Who waits for whom.
    pub kind: RequestKind,
    /// Who invited, or asked.
    pub by: UserId,
    /// What was said with it.
    pub message: String,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// Who has read a message of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBy {
    /// Members to whom it was said.
    pub of: u32,
    /// Of these, those who have read it.
    pub read: u32,
    /// Of these, those who have it; 0 in large groups.
    pub delivered: u32,
    /// A page of them: who, whether they have it, whether they have read it.
    pub readers: Vec<Reader>,
    /// Where the next page goes on.
    pub next: Option<UserId>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub user: Profile,
    /// How far they have got: everything up to here is stored.
    pub delivered: Seq,
    /// Everything up to here is read.
    pub read: Seq,
}

/// What a row of a group's timeline tells ([`MessageKind::GROUP`](crate::MessageKind::GROUP)).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "NewsWords")]
pub struct GroupNews {
    /// `created`, `joined`, `added`, `left`, `removed`, `role`, `owner`, `muted`, `all_muted`, `settings`, `dissolved`, or a
    /// word of a later version.
    pub what: String,
    /// Who did it; 0: the operator.
    pub by: UserId,
    /// To whom.
    pub users: Vec<UserId>,
    /// With `role`: what they are now.
    pub role: Option<String>,
    /// With `left`: whose it is now, if the owner left.
    pub owner: Option<UserId>,
    /// With `muted` and `all_muted`: until when, milliseconds since 1970; 0: not any more.
    pub until: Option<u64>,
    /// With `settings`: the names of those that changed.
    pub changed: Vec<String>,
}

#[derive(Deserialize)]
struct NewsWords {
    what: String,
    #[serde(default)]
    by: u64,
    #[serde(default)]
    users: Vec<u64>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    owner: Option<u64>,
    #[serde(default)]
    until: Option<u64>,
    #[serde(default)]
    changed: Vec<String>,
}

impl From<NewsWords> for GroupNews {
    fn from(words: NewsWords) -> Self {
        Self {
            what: words.what,
            by: UserId(words.by),
            users: words.users.into_iter().map(UserId).collect(),
            role: words.role,
            owner: words.owner.map(UserId),
            until: words.until,
            changed: words.changed,
        }
    }
}

impl GroupNews {
    /// What the body of such a row says; `None`: it is none.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// A page of something, and where the next goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// What is on it.
    pub items: Vec<T>,
    /// Ask for what follows this; `None`: it is the last page.
    pub next: Option<K>,
}
