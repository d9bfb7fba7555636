//! Two users: what they are to each other, as each of them sees it, and the rules by which that changes.

use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, DirectStanding, UserId};

use super::super::value::{first_row, run, small, sql, unreadable};
use crate::directory::{DirectoryError, RelationChange, RelationState};

/// The relation as one of the two sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) state: RelationState,
    pub(super) blocks: bool,
    pub(super) greeting: String,
}

/// Both sides: of the user who acts, and of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) mine: Side,
    pub(super) theirs: Side,
    pub(super) conversation: Option<ConversationId>,
}

impl Side {
    const STRANGER: Side = Side { state: RelationState::None, blocks: false, greeting: String::new() };
}

impl Pair {
    pub(super) fn load(db: &Connection, user: UserId, peer: UserId) -> rusqlite::Result<Self> {
        let query = "SELECT state, blocks, greeting, conv FROM relation WHERE user = ?1 AND peer = ?2";
        let side = |one: UserId, other: UserId| {
            first_row(db, query, params![sql(one.0), sql(other.0)], |row| {
                let state = read_state(small(row, 0)?).ok_or_else(|| unreadable(0, "a relation state"))?;
                let conversation = row.get::<_, Option<[u8; 16]>>(3)?.map(ConversationId::from_bytes);
                Ok((Side { state, blocks: row.get(1)?, greeting: row.get(2)? }, conversation))
            })
        };
        let (mine, conversation) = side(user, peer)?.unwrap_or((Side::STRANGER, None));
        let (theirs, _) = side(peer, user)?.unwrap_or((Side::STRANGER, None));
        Ok(Self { mine, theirs, conversation })
    }

    /// Writes the sides on which something is different from `before`; the other side must not show that anything was.
    pub(super) fn save(
        &self,
        db: &Connection,
        before: &Pair,
        user: UserId,
        peer: UserId,
        now: u64,
    ) -> rusqlite::Result<()> {
        let upsert = "INSERT INTO relation (user, peer, state, blocks, greeting, conv, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (user, peer) DO UPDATE SET state = excluded.state, \
             blocks = excluded.blocks, greeting = excluded.greeting, conv = excluded.conv, \
             changed_at = excluded.changed_at";
        let sides = [(user, peer, &self.mine, &before.mine), (peer, user, &self.theirs, &before.theirs)];
        for (one, other, side, was) in sides {
            if side == was && self.conversation == before.conversation {
                continue;
            }
            let conv = self.conversation.as_ref().map(ConversationId::as_bytes);
            let (one, other, state) = (sql(one.0), sql(other.0), side.state as u8);
            run(db, upsert, params![one, other, state, side.blocks, side.greeting, conv, sql(now)])?;
        }
        Ok(())
    }

    /// What the two may do in their conversation.
    pub(super) fn standing(&self, user: UserId, peer: UserId) -> DirectStanding {
        let (first, second) = if user < peer { (&self.mine, &self.theirs) } else { (&self.theirs, &self.mine) };
        DirectStanding {
            friends: self.mine.state == RelationState::Friends,
            first_blocks: first.blocks,
            second_blocks: second.blocks,
        }
    }

    /// The pair after a change.
    pub(super) fn changed(&self, change: RelationChange) -> Result<Pair, DirectoryError> {
        use RelationState::{Friends, None, RequestReceived, RequestSent};
        let state = self.mine.state;
        let mut pair = self.clone();
        match change {
            RelationChange::Block => {
                pair.mine.blocks = true;
                if state != Friends {
                    pair.set(None, None, String::new());
                }
            }
            RelationChange::Unblock => pair.mine.blocks = false,
            RelationChange::Request { .. } if self.mine.blocks || self.theirs.blocks => {
                return Err(DirectoryError::Blocked);
            }
            RelationChange::Request { greeting } => match state {
                None => pair.set(RequestSent, RequestReceived, greeting),
                RequestReceived => pair.set(Friends, Friends, String::new()),
                RequestSent => return Err(DirectoryError::NotApplicable("you have asked already")),
                Friends => return Err(DirectoryError::NotApplicable("you are friends already")),
            },
            RelationChange::Accept if state == RequestReceived => pair.set(Friends, Friends, String::new()),
            RelationChange::Decline if state == RequestReceived => pair.set(None, None, String::new()),
            RelationChange::Cancel if state == RequestSent => pair.set(None, None, String::new()),
            RelationChange::Remove if state == Friends => pair.set(None, None, String::new()),
            RelationChange::Accept | RelationChange::Decline => {
                return Err(DirectoryError::NotApplicable("there is no request to answer"));
            }
            RelationChange::Cancel => return Err(DirectoryError::NotApplicable("there is no request to take back")),
            RelationChange::Remove => return Err(DirectoryError::NotApplicable("you are not friends")),
        }
        Ok(pair)
    }

    /// The pair when the acting user is deleted: nothing is left on that side, the peer's block stays theirs.
    pub(super) fn ended(&self) -> Pair {
        let mut pair = self.clone();
        pair.set(RelationState::None, RelationState::None, String::new());
        pair.mine.blocks = false;
        pair
    }

    fn set(&mut self, mine: RelationState, theirs: RelationState, greeting: String) {
        self.mine.state = mine;
        self.theirs.state = theirs;
        self.theirs.greeting.clone_from(&greeting);
        self.mine.greeting = greeting;
    }
}

/// The state with this stored number.
pub(super) fn read_state(number: u8) -> Option<RelationState> {
    use RelationState::{Friends, None as Nothing, RequestReceived, RequestSent};
    [Nothing, RequestSent, RequestReceived, Friends].into_iter().find(|state| *state as u8 == number)
}
