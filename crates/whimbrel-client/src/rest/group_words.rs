//! What REST's JSON of groups looks like, and the way from it to the public types. A device's file keeps groups in these
//! words too.

use serde::{Deserialize, Serialize};
use whimbrel_core::{ConversationId, Role, Seq, UserId};

use super::words::{self, unreadable};
use crate::error::Error;
use crate::group;

pub(super) fn conversation(id: &str, field: &'static str) -> Result<ConversationId, Error> {
    id.parse().map_err(|_| unreadable(field))
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum Join {
    Open,
    Approval,
    Invitation,
}

impl From<group::JoinMode> for Join {
    fn from(join: group::JoinMode) -> Self {
        match join {
            group::JoinMode::Open => Join::Open,
            group::JoinMode::Approval => Join::Approval,
            group::JoinMode::Invitation => Join::Invitation,
        }
    }
}

impl From<Join> for group::JoinMode {
    fn from(join: Join) -> Self {
        match join {
            Join::Open => group::JoinMode::Open,
            Join::Approval => group::JoinMode::Approval,
            Join::Invitation => group::JoinMode::Invitation,
        }
    }
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleWord {
    Owner,
    Admin,
    Member,
}

impl From<Role> for RoleWord {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => RoleWord::Owner,
            Role::Admin => RoleWord::Admin,
            Role::Member => RoleWord::Member,
        }
    }
}

impl From<RoleWord> for Role {
    fn from(role: RoleWord) -> Self {
        match role {
            RoleWord::Owner => Role::Owner,
            RoleWord::Admin => Role::Admin,
            RoleWord::Member => Role::Member,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Group {
    id: String,
    #[serde(default)]
    handle: Option<String>,
    name: String,
    #[serde(default)]
    avatar: Option<String>,
    #[serde(default)]
    announcement: Option<String>,
    owner: u64,
    join: Join,
    #[serde(default)]
    listed: bool,
    #[serde(default)]
    history_for_all: bool,
    #[serde(default)]
    member_limit: u32,
    #[serde(default)]
    size: u32,
    #[serde(default)]
    muted_until: u64,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    key_version: u32,
    #[serde(default)]
    created_at: u64,
    #[serde(default)]
    dissolved_at: Option<u64>,
    #[serde(default)]
    keep: Keep,
}

impl Group {
    pub(super) fn read(self) -> Result<group::Group, Error> {
        Ok(group::Group {
            id: conversation(&self.id, "id")?,
            handle: self.handle.filter(|handle| !handle.is_empty()),
            name: self.name,
            avatar: self.avatar.unwrap_or_default(),
            announcement: self.announcement.unwrap_or_default(),
            owner: UserId(self.owner),
            join: self.join.into(),
            listed: self.listed,
            history_for_all: self.history_for_all,
            member_limit: self.member_limit,
            size: self.size,
            muted_until: self.muted_until,
            revision: Seq(self.revision),
            key_version: self.key_version,
            created_at: self.created_at,
            dissolved_at: self.dissolved_at,
            keep: group::Keep { age_s: self.keep.age_s, messages: self.keep.messages },
        })
    }
}

impl From<&group::Group> for Group {
    fn from(group: &group::Group) -> Self {
        Self {
            id: group.id.to_string(),
            handle: group.handle.clone(),
            name: group.name.clone(),
            avatar: Some(group.avatar.clone()),
            announcement: Some(group.announcement.clone()),
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
            keep: Keep { age_s: group.keep.age_s, messages: group.keep.messages },
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Membership {
    group: Group,
    #[serde(default)]
    role: Option<RoleWord>,
    #[serde(default)]
    muted_until: u64,
    #[serde(default)]
    until: u64,
}

impl Membership {
    pub(super) fn read(self) -> Result<group::GroupInfo, Error> {
        Ok(group::GroupInfo {
            group: self.group.read()?,
            role: self.role.map(Into::into),
            muted_until: self.muted_until,
            until: Seq(self.until),
        })
    }
}

impl From<&group::GroupInfo> for Membership {
    fn from(info: &group::GroupInfo) -> Self {
        Self {
            group: (&info.group).into(),
            role: info.role.map(Into::into),
            muted_until: info.muted_until,
            until: info.until.0,
        }
    }
}

/// A group as somebody sees it who is in it, or who is not.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Seen {
    Inside(Box<Membership>),
    Outside(Box<Group>),
}

impl Seen {
    pub(super) fn read(self) -> Result<group::GroupInfo, Error> {
        match self {
            Seen::Inside(membership) => membership.read(),
            Seen::Outside(group) => {
                Ok(group::GroupInfo { group: group.read()?, role: None, muted_until: 0, until: Seq::ZERO })
            }
        }
    }
}

/// One's groups.
#[derive(Deserialize)]
pub(super) struct Memberships {
    pub(super) groups: Vec<Membership>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// Groups that were found.
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Members {
    pub(super) members: Vec<Member>,
    #[serde(default)]
    pub(super) next: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Member {
    user: words::Profile,
    role: RoleWord,
    #[serde(default)]
    muted_until: u64,
    #[serde(default)]
    joined_at: u64,
}

impl From<Member> for group::GroupMember {
    fn from(member: Member) -> Self {
        let Member { user, role, muted_until, joined_at } = member;
        Self { user: user.into(), role: role.into(), muted_until, joined_at }
    }
}

#[derive(Deserialize)]
pub(super) struct Requests<K> {
    pub(super) requests: Vec<Request>,
    #[serde(default = "Option::default")]
    pub(super) next: Option<K>,
}

#[derive(Deserialize)]
pub(super) struct Request {
    group: String,
    #[serde(default)]
    group_name: String,
    user: words::Profile,
    kind: RequestWord,
    #[serde(default)]
    by: u64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestWord {
    Asked,
    Invited,
    Proposed,
}

impl Request {
    pub(super) fn read(self) -> Result<group::GroupRequest, Error> {
        Ok(group::GroupRequest {
            group: conversation(&self.group, "group")?,
            group_name: self.group_name,
            user: self.user.into(),
            kind: match self.kind {
                RequestWord::Asked => group::RequestKind::Asked,
                RequestWord::Invited => group::RequestKind::Invited,
                RequestWord::Proposed => group::RequestKind::Proposed,
            },
            by: UserId(self.by),
            message: self.message,
            at: self.at,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<words::Key>,
    #[serde(default)]
    pub(super) next: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct ReadBy {
    #[serde(default)]
    of: u32,
    #[serde(default)]
    read: u32,
    #[serde(default)]
    delivered: u32,
    #[serde(default)]
    readers: Vec<Reader>,
    #[serde(default)]
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Reader {
    user: words::Profile,
    #[serde(default)]
    delivered: u64,
    #[serde(default)]
    read: u64,
}

impl From<ReadBy> for group::ReadBy {
    fn from(by: ReadBy) -> Self {
        let reader = |reader: Reader| group::Reader {
            user: reader.user.into(),
            delivered: Seq(reader.delivered),
            read: Seq(reader.read),
        };
        Self {
            of: by.of,
            read: by.read,
            delivered: by.delivered,
            readers: by.readers.into_iter().map(reader).collect(),
            next: by.next.map(UserId),
        }
    }
}

#[derive(Serialize)]
pub(super) struct NewGroup<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<&'a str>,
    avatar: &'a str,
    announcement: &'a str,
    join: Join,
    listed: bool,
    history_for_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_limit: Option<u32>,
    members: Vec<u64>,
}

impl<'a> From<&'a group::NewGroup> for NewGroup<'a> {
    fn from(new: &'a group::NewGroup) -> Self {
        Self {
            name: &new.name,
            handle: new.handle.as_deref(),
            avatar: &new.avatar,
            announcement: &new.announcement,
            join: new.join.into(),
            listed: new.listed,
            history_for_all: new.history_for_all,
            member_limit: new.member_limit,
            members: new.members.iter().map(|user| user.0).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct GroupSettings<'a> {
    /// `null` gives it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announcement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<Join>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_for_all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<Keep>,
}

#[derive(Serialize, Deserialize, Default)]
struct Keep {
    #[serde(default)]
    age_s: u64,
    #[serde(default)]
    messages: u64,
}

impl<'a> From<&'a group::GroupSettings> for GroupSettings<'a> {
    fn from(settings: &'a group::GroupSettings) -> Self {
        Self {
            handle: settings.handle.as_ref().map(Option::as_deref),
            name: settings.name.as_deref(),
            avatar: settings.avatar.as_deref(),
            announcement: settings.announcement.as_deref(),
            join: settings.join.map(Into::into),
            listed: settings.listed,
            history_for_all: settings.history_for_all,
            member_limit: settings.member_limit,
            keep: settings.keep.map(|keep| Keep { age_s: keep.age_s, messages: keep.messages }),
        }
    }
}

/// What an action names besides the group.
#[derive(Serialize, Default)]
pub(super) struct Action<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<RoleWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

/// An action's name in the path, and what it is told.
pub(super) fn action(action: &group::GroupAction) -> (&'static str, Action<'_>) {
    use group::GroupAction::{
        Approve, Decline, Dissolve, Invite, Join, Leave, Mute, MuteAll, Reject, Remove, SetRole, Transfer,
    };
    let none = Action::default;
    let of = |user: &UserId| Action { user: Some(user.0), ..none() };
    match action {
        Join { message } => ("join", Action { message: Some(message.as_str()).filter(|m| !m.is_empty()), ..none() }),
        Leave => ("leave", none()),
        Decline => ("decline", none()),
        Invite(users) => ("invite", Action { users: Some(users.iter().map(|user| user.0).collect()), ..none() }),
        Approve(user) => ("approve", of(user)),
        Reject(user) => ("reject", of(user)),
        Remove(user) => ("remove", of(user)),
        SetRole(user, role) => ("role", Action { role: Some((*role).into()), ..of(user) }),
        Transfer(user) => ("transfer", of(user)),
        Mute(user, until) => ("mute", Action { until: Some(*until), ..of(user) }),
        MuteAll(until) => ("mute_all", Action { until: Some(*until), ..none() }),
        Dissolve => ("dissolve", none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_from_inside_and_from_outside() {
        let id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        let group = format!(
            r#"{{"id":"{id}","handle":null,"name":"Walkers","avatar":"","announcement":"","owner":1,"join":"approval",
            "listed":true,"history_for_all":false,"member_limit":100,"size":3,"muted_until":18446744073709551615,
            "revision":7,"key_version":2,"created_at":5,"dissolved_at":null,"new_in_v9":1}}"#
        );
        let read = |json: &str| serde_json::from_str::<Seen>(json).expect("readable").read().expect("well-formed");
        let outside = read(&group);
        assert_eq!((outside.role, outside.group.muted_until), (None, u64::MAX));
        let inside = read(&format!(r#"{{"group":{group},"role":"admin","muted_until":0,"until":9}}"#));
        assert_eq!((inside.role, inside.until), (Some(Role::Admin), Seq(9)));
        assert_eq!(inside.group, outside.group);
        let stored = serde_json::to_string(&Membership::from(&inside)).expect("writes");
        assert_eq!(read(&stored), inside);
    }

    #[test]
    fn a_handle_that_is_given_up_is_null_and_what_stays_is_left_out() {
        let words =
            |settings: group::GroupSettings| serde_json::to_string(&GroupSettings::from(&settings)).expect("writes");
        assert_eq!(words(group::GroupSettings::default()), "{}");
        let given_up = group::GroupSettings { handle: Some(None), listed: Some(false), ..Default::default() };
        assert_eq!(words(given_up), r#"{"handle":null,"listed":false}"#);
    }

    #[test]
    fn an_action_says_what_it_needs() {
        let words = |of: &group::GroupAction| {
            let (name, body) = action(of);
            format!("{name} {}", serde_json::to_string(&body).expect("writes"))
        };
        assert_eq!(words(&group::GroupAction::SetRole(UserId(2), Role::Admin)), r#"role {"user":2,"role":"admin"}"#);
        assert_eq!(words(&group::GroupAction::Leave), "leave {}");
        assert_eq!(words(&group::GroupAction::MuteAll(7)), r#"mute_all {"until":7}"#);
    }
}
