//! One's own messages that have no place yet, as they stand on the screen.
//!
//! A draft appears when Enter is pressed, before the outbox has given it its id, and stays until its message comes, or
//! until the person dismisses its refusal. What is told of a message before its id is known here waits in `early`.

use std::collections::{BTreeMap, HashMap};

use whimbrel_client::{ConversationId, MessageId};

/// A draft on the screen, by the order of entering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chat) struct Ticket(u64);

/// A draft of this device without a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) struct Draft {
    ticket: Ticket,
    /// Once it is in the outbox.
    message_id: Option<MessageId>,
    pub(in crate::chat) text: String,
    /// Why it was refused.
    pub(in crate::chat) refused: Option<String>,
}

/// What was told of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Came,
    Refused(String),
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    waiting: BTreeMap<ConversationId, Vec<Draft>>,
    entered: u64,
    /// Drafts without an id.
    nameless: usize,
    early: HashMap<MessageId, Told>,
}

impl Drafts {
    /// Those of a conversation, in the order of entering.
    pub(super) fn of(&self, conversation: ConversationId) -> &[Draft] {
        self.waiting.get(&conversation).map_or(&[], Vec::as_slice)
    }

    /// A text was entered.
    pub(super) fn enter(&mut self, conversation: ConversationId, text: String) -> Ticket {
        self.entered += 1;
        self.nameless += 1;
        let ticket = Ticket(self.entered);
        let draft = Draft { ticket, message_id: None, text, refused: None };
        self.waiting.entry(conversation).or_default().push(draft);
        ticket
    }

    /// It is in the outbox, under this id.
    pub(super) fn queued(&mut self, conversation: ConversationId, ticket: Ticket, id: MessageId) {
        let Some(draft) = self.find(conversation, |draft| draft.ticket == ticket) else { return };
        draft.message_id = Some(id);
        let told = self.early.remove(&id);
        self.named();
        match told {
            Some(Told::Came) => self.came(conversation, id),
            Some(Told::Refused(why)) => self.refused(conversation, id, why),
            None => {}
        }
    }

    /// It did not even get into the outbox.
    pub(super) fn not_queued(&mut self, conversation: ConversationId, ticket: Ticket, why: String) {
        if let Some(draft) = self.find(conversation, |draft| draft.ticket == ticket) {
            draft.refused = Some(why);
            self.named();
        }
    }

    /// A message of this device came.
    pub(super) fn came(&mut self, conversation: ConversationId, id: MessageId) {
        if let Some(drafts) = self.waiting.get_mut(&conversation) {
            let before = drafts.len();
            drafts.retain(|draft| draft.message_id != Some(id));
            if drafts.len() < before {
                return;
            }
        }
        self.told_early(id, Told::Came);
    }

    /// The server refused a message.
    pub(super) fn refused(&mut self, conversation: ConversationId, id: MessageId, why: String) {
        match self.find(conversation, |draft| draft.message_id == Some(id)) {
            Some(draft) => draft.refused = Some(why),
            None => self.told_early(id, Told::Refused(why)),
        }
    }

    /// Forgets what was refused in a conversation.
    pub(super) fn dismiss(&mut self, conversation: ConversationId) {
        if let Some(drafts) = self.waiting.get_mut(&conversation) {
            drafts.retain(|draft| draft.refused.is_none());
        }
    }

    fn find(&mut self, conversation: ConversationId, is: impl Fn(&Draft) -> bool) -> Option<&mut Draft> {
        self.waiting.get_mut(&conversation)?.iter_mut().find(|draft| is(draft))
    }

    /// Kept only while an id is awaited that it may belong to.
    fn told_early(&mut self, id: MessageId, told: Told) {
        if self.nameless > 0 {
            self.early.insert(id, told);
        }
    }

    fn named(&mut self) {
        self.nameless -= 1;
        if self.nameless == 0 {
            self.early.clear();
        }
    }
}
