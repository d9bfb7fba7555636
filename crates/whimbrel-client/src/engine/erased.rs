//! What a user said in a conversation is gone: the row that says so empties all of it here, with one entry in its commit.
//!
//! Who was called by it is not any more. Which of the places that call the user are theirs only the store knows, except for
//! those that are in the same batch: so these are looked up before the batch is committed, and both become true together.

use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use super::{Engine, user_in};
use crate::store::Erased;

/// Places that call the user, of which those are to be forgotten whose messages are of `by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unheard {
    pub(crate) conversation: ConversationId,
    pub(crate) by: UserId,
    pub(crate) seqs: Vec<Seq>,
}

impl Engine {
    /// A row was stored: perhaps one that says that what a user said is gone.
    pub(super) fn erased(&mut self, message: &Message) {
        let Some((user, before)) = erasure(message) else { return };
        let id = message.conversation;
        self.batch.commit.erased.push(Erased { conversation: id, user, from: Seq::ZERO, before });
        for seq in self.fleeting.erased(id, user, before) {
            self.directory.hide(id, seq, false);
        }
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let batch = self.batch.commit.messages.iter().filter(|row| row.conversation == id && row.sender == user);
        batch.for_each(|row| conversation.taken_back(row.seq));
        let seqs = conversation.row.mentions.clone();
        if !seqs.is_empty() {
            self.batch.unheard.push(Unheard { conversation: id, by: user, seqs });
        }
    }

    /// What is to be looked up before the commit.
    pub(crate) fn unheard(&mut self) -> Vec<Unheard> {
        std::mem::take(&mut self.batch.unheard)
    }

    /// Nobody is called by the message at this place any more.
    pub(crate) fn calls_no_more(&mut self, id: ConversationId, seq: Seq) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.taken_back(seq);
            self.batch.touched.insert(id);
        }
    }
}

/// Of whom a row says that what they said is gone, and before which place.
pub(crate) fn erasure(message: &Message) -> Option<(UserId, Seq)> {
    let user = (message.kind == MessageKind::ERASED).then(|| user_in(&message.body))?;
    Some((user?, message.seq))
}
