//! What lies before a run and is taken into it.

use tokio::time::Instant;
use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use super::{Engine, erasure};
use crate::message::show;
use crate::store::Erased;

impl Engine {
    /// Puts these messages before the run, if they end where it begins and follow each other. `gone`: messages that the
    /// run itself says were taken back, `erased`: users of whom it says so of all that they said before a place; what the
    /// server gave may be older than that.
    ///
    /// Not before a session has shown that the run is of the server's timeline.
    pub(crate) fn older(
        &mut self,
        id: ConversationId,
        messages: Vec<Message>,
        gone: &[Seq],
        erased: &[(UserId, Seq)],
        now: Instant,
    ) -> bool {
        let Some(conversation) = self.conversations.get_mut(&id) else { return false };
        let Some(base) = conversation.precede(&messages) else { return false };
        conversation.row.base = base;
        self.batch.touched.insert(id);
        self.batch.commit.taken_back.extend(gone.iter().map(|seq| (id, *seq)));
        let erased: Vec<_> = erased.iter().copied().chain(messages.iter().filter_map(erasure)).collect();
        let end = messages.last().map_or(base, |last| last.seq).next();
        self.batch.commit.erased.extend(erased.iter().map(|&(user, before)| {
            let (from, before) = (base.next(), before.min(end));
            Erased { conversation: id, user, from, before }
        }));
        let is_erased = |row: &Message| erased.iter().any(|(user, before)| *user == row.sender && row.seq < *before);
        for message in &messages {
            let is_there = !message.body.is_empty() && !gone.contains(&message.seq) && !is_erased(message);
            if message.kind == MessageKind::FLEETING && is_there {
                let shown = show(&self.directory, message.clone());
                self.learn_fleeting(&shown, now);
            }
        }
        self.batch.commit.older.extend(messages);
        true
    }
}
