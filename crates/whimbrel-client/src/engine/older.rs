//! What lies before a run and is taken into it.

use tokio::time::Instant;
use whimbrel_core::{ConversationId, Message, MessageKind, Seq};

use super::Engine;
use crate::message::show;

impl Engine {
    /// Puts these messages before the run, if they end where it begins and follow each other. `gone`: messages that the
    /// run itself says were taken back; what the server gave may be older than that.
    ///
    /// Not before a session has shown that the run is of the server's timeline.
    pub(crate) fn older(&mut self, id: ConversationId, messages: Vec<Message>, gone: &[Seq], now: Instant) -> bool {
        let Some(conversation) = self.conversations.get_mut(&id) else { return false };
        let Some(base) = conversation.precede(&messages) else { return false };
        conversation.row.base = base;
        self.batch.touched.insert(id);
        self.batch.commit.taken_back.extend(gone.iter().map(|seq| (id, *seq)));
        for message in &messages {
            let is_there = !message.body.is_empty() && !gone.contains(&message.seq);
            if message.kind == MessageKind::FLEETING && is_there {
                let shown = show(&self.directory, message.clone());
                self.learn_fleeting(&shown, now);
            }
        }
        self.batch.commit.older.extend(messages);
        true
    }
}
