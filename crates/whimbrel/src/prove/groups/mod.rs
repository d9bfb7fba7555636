//! Groups in a run: which there are, who comes and goes when, and what of their rows is owed to whom.
//!
//! | module | owns |
//! |---|---|
//! | `plan` | groups, their members and what is done in them, from the seed alone |
//! | `stage` | making them by the administrator's REST |
//! | `stewards` | what is done in them, again until it has happened |
//! | `chronicle` | who was in a group when, as its rows tell it; pure |
//!
//! Nobody's list of members is believed: who may see what follows from the rows that somebody was shown who was there
//! all the time.

pub(super) mod chronicle;
pub(super) mod plan;
pub(super) mod stage;
pub(super) mod stewards;

use whimbrel_client::{ConversationId, UserId};

/// A group of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) conversation: ConversationId,
    /// There from the first row to the last.
    pub(super) owner: UserId,
    /// Who comes sees what was said before.
    pub(super) history: bool,
    /// Members at the start.
    pub(super) members: usize,
}
