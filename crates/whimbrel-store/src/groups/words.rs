//! What changes of groups and of settings say in the rows that tell of them: the same for every engine.

use bytes::Bytes;
use serde::Serialize;
use whimbrel_core::{ConversationId, Role, UserId};

/// What happened in a group; the words are read by clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// It began, with these members.
    Created,
    /// These came: by themselves, or let in by who acts.
    Joined,
    /// These were made members.
    Added,
    /// They went; if they owned the group, it is somebody else's now.
    Left { heir: Option<UserId> },
    /// They were sent away.
    Removed,
    /// They are this now.
    Role(Role),
    /// It is theirs now.
    Owner,
    /// They may not speak until then; 0: they may.
    Muted { until: u64 },
    /// Only owner and admins speak until then; 0: everybody.
    AllMuted { until: u64 },
    /// These parts are something else now.
    Settings { changed: Vec<&'static str> },
    /// It ended.
    Dissolved,
}

/// What a row of a group tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) what: What,
    /// Whom it happened to.
    pub(crate) users: Vec<UserId>,
}

#[derive(Serialize)]
struct Body<'a> {
    what: &'static str,
    by: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changed: &'a [&'static str],
}

impl Told {
    /// The body of the row; `by`: who acts, nobody (0) for the operator.
    pub(crate) fn body(&self, by: UserId) -> Bytes {
        let users = self.users.iter().map(|user| user.0).collect();
        let mut body = Body { what: "", by: by.0, users, owner: None, role: None, until: None, changed: &[] };
        body.what = match &self.what {
            What::Created => "created",
            What::Joined => "joined",
            What::Added => "added",
            What::Left { heir } => {
                body.owner = heir.map(|heir| heir.0);
                "left"
            }
            What::Removed => "removed",
            What::Role(role) => {
                body.role = Some(role.name());
                "role"
            }
            What::Owner => "owner",
            What::Muted { until } => {
                body.until = Some(*until);
                "muted"
            }
            What::AllMuted { until } => {
                body.until = Some(*until);
                "all_muted"
            }
            What::Settings { changed } => {
                body.changed = changed;
                "settings"
            }
            What::Dissolved => "dissolved",
        };
        json(&body)
    }
}

/// The body of a row that tells somebody of themselves and a group.
pub(crate) fn membership(group: ConversationId) -> Bytes {
    #[derive(Serialize)]
    struct Body {
        group: String,
    }
    json(&Body { group: group.to_string() })
}

/// The body of a row that tells somebody how they have a conversation shown.
pub(crate) fn setting(conversation: ConversationId) -> Bytes {
    #[derive(Serialize)]
    struct Body {
        conversation: String,
    }
    json(&Body { conversation: conversation.to_string() })
}

fn json(body: &impl Serialize) -> Bytes {
    // Numbers, and texts of our own: there is nothing that could fail.
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
