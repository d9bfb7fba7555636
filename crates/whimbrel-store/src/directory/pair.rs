//! Two users: what they are to each other, as each of them sees it, and the rules by which that changes. The same for
//! every engine; how a pair is read and written is the engine's.

use whimbrel_core::{ConversationId, DirectStanding, UserId};

use super::{DirectoryError, RelationChange, RelationState};

/// The relation as one of the two sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) state: RelationState,
    pub(crate) blocks: bool,
    pub(crate) greeting: String,
}

/// Both sides: of the user who acts, and of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) mine: Side,
    pub(crate) theirs: Side,
    pub(crate) conversation: Option<ConversationId>,
}

impl Side {
    pub(crate) const STRANGER: Side = Side { state: RelationState::None, blocks: false, greeting: String::new() };

    /// Whether it takes one of the user's places: what they can see in their list does.
    pub(crate) fn is_counted(&self) -> bool {
        self.state != RelationState::None || self.blocks
    }
}

impl Pair {
    /// What the two may do in their conversation.
    pub(crate) fn standing(&self, user: UserId, peer: UserId) -> DirectStanding {
        let (first, second) = if user < peer { (&self.mine, &self.theirs) } else { (&self.theirs, &self.mine) };
        DirectStanding {
            friends: self.mine.state == RelationState::Friends,
            first_blocks: first.blocks,
            second_blocks: second.blocks,
        }
    }

    /// The pair after a change.
    pub(crate) fn changed(&self, change: RelationChange) -> Result<Pair, DirectoryError> {
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

    /// Whether they are friends.
    pub(crate) fn is_friendship(&self) -> bool {
        self.mine.state == RelationState::Friends
    }

    /// The pair when the acting user is deleted: nothing is left on that side, the peer's block stays theirs.
    pub(crate) fn ended(&self) -> Pair {
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
pub(crate) fn read_state(number: u8) -> Option<RelationState> {
    use RelationState::{Friends, None as Nothing, RequestReceived, RequestSent};
    [Nothing, RequestSent, RequestReceived, Friends].into_iter().find(|state| *state as u8 == number)
}
