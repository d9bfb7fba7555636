//! Who gets a row, as far as this transfer says: sessions where UserStatus knows them, otherwise users; and of large
//! groups neither, because connectors know their members. No I/O.

use std::sync::Arc;

use smallvec::SmallVec;
use whimbrel_core::limits::SMALL_GROUP;
use whimbrel_core::{Audience, ConnectorId, ConversationId, PlacedRow, RosterChange, Seq, SessionId, UserId};
use whimbrel_rpc::{PushBody, To, ToGroup};
use whimbrel_store::Route;

use crate::outgoing::Outgoing;
use crate::reach::Whereabouts;
use crate::rosters::Known;

/// What is known of those to whom rows are owed.
pub(crate) struct Ways {
    /// Of the users that rows name, and of small groups' members.
    pub(crate) whereabouts: Whereabouts,
    /// The connectors that get what is for large groups.
    pub(crate) everywhere: Vec<ConnectorId>,
    /// Of small groups.
    pub(crate) rosters: Known,
}

/// Whether a group's audience is resolved by connectors.
pub(crate) fn is_large(audience: Audience) -> bool {
    matches!(audience, Audience::Group { size, .. } if size > SMALL_GROUP)
}

/// Which rows beside each other are for the same readers: those of one audience, except that a group's rows up to its
/// last change each have their own (who came or went with them is in one and not in the next).
pub(crate) type Base = (Audience, Option<Seq>);

pub(crate) fn base(row: &PlacedRow) -> Base {
    let seq = row.message.seq;
    let own = matches!(row.audience, Audience::Group { revision, .. } if seq <= revision).then_some(seq);
    (row.audience, own)
}

/// Who gets a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readers {
    /// These sessions, in the order in which UserStatus named them.
    Sessions(SmallVec<[Route; 4]>),
    /// Whatever sessions these users have, but not these.
    Users(SmallVec<[UserId; 2]>, SmallVec<[SessionId; 2]>),
    /// Whatever sessions a large group's members have, but not these.
    Group(InGroup, SmallVec<[SessionId; 2]>),
}

/// The members of a large group, as of a row.
#[derive(Debug, Clone, Eq)]
pub(crate) struct InGroup {
    seq: Seq,
    revision: Seq,
    change: Option<Arc<RosterChange>>,
}

/// The same members: between two changes nobody comes or goes.
impl PartialEq for InGroup {
    fn eq(&self, other: &Self) -> bool {
        let is_after = |group: &Self| group.seq > group.revision;
        self.revision == other.revision && (self.seq == other.seq || is_after(self) && is_after(other))
    }
}

impl Readers {
    pub(crate) fn nobody() -> Self {
        Self::Sessions(SmallVec::new())
    }

    pub(crate) fn of(row: &PlacedRow, ways: &Ways) -> Self {
        let seq = row.message.seq;
        match row.audience {
            Audience::Group { revision, .. } if is_large(row.audience) => {
                Self::Group(InGroup { seq, revision, change: row.change.clone() }, SmallVec::new())
            }
            Audience::Group { .. } => match ways.rosters.get(&row.message.conversation) {
                Some(roster) => Self::users(roster.audience(seq), &ways.whereabouts),
                // Its connectors are named as not reached.
                None => Self::nobody(),
            },
            Audience::One(_) | Audience::Two(..) => Self::users(row.audience.named(), &ways.whereabouts),
        }
    }

    fn users(users: impl Iterator<Item = UserId>, whereabouts: &Whereabouts) -> Self {
        match whereabouts {
            Whereabouts::Known(routes) => {
                Self::Sessions(users.flat_map(|user| routes.of(user).iter().copied()).collect())
            }
            Whereabouts::Anywhere(_) => Self::Users(users.collect(), SmallVec::new()),
        }
    }

    /// Without those sessions.
    pub(crate) fn but(&self, sessions: &[SessionId]) -> Self {
        let mut readers = self.clone();
        match &mut readers {
            Self::Sessions(routes) => routes.retain(|route| !sessions.contains(&route.session)),
            Self::Users(_, except) | Self::Group(_, except) => except.extend_from_slice(sessions),
        }
        readers
    }

    pub(crate) fn is_nobody(&self) -> bool {
        match self {
            Self::Sessions(routes) => routes.is_empty(),
            Self::Users(users, _) => users.is_empty(),
            Self::Group(..) => false,
        }
    }

    /// Whether this session may be one of them.
    pub(crate) fn includes(&self, session: SessionId) -> bool {
        match self {
            Self::Sessions(routes) => routes.iter().any(|route| route.session == session),
            Self::Users(_, except) | Self::Group(_, except) => !except.contains(&session),
        }
    }

    /// Puts something of one conversation on its way to them.
    pub(crate) fn address(&self, conversation: ConversationId, body: &PushBody, ways: &Ways, outgoing: &mut Outgoing) {
        match (self, &ways.whereabouts) {
            (Self::Sessions(routes), _) => outgoing.many(routes, body),
            (Self::Users(users, except), Whereabouts::Anywhere(connectors)) => {
                let to = To::Users { users: users.clone(), except: except.clone() };
                outgoing.each(connectors, &to, body);
            }
            (Self::Users(..), Whereabouts::Known(_)) => {}
            (Self::Group(InGroup { seq, revision, change }, except), _) => {
                let (change, except) = (change.clone(), except.clone());
                let to = ToGroup { group: conversation, seq: *seq, revision: *revision, except, change, roster: None };
                outgoing.each(&ways.everywhere, &To::Group(Box::new(to)), body);
            }
        }
    }
}
