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

    /// It is in the outbox, under this id. Gives the reason of a refusal that turns out to be of no draft.
    pub(super) fn queued(&mut self, conversation: ConversationId, ticket: Ticket, id: MessageId) -> Option<String> {
        self.find(conversation, |draft| draft.ticket == ticket)?.message_id = Some(id);
        let told = self.early.remove(&id);
        let others = self.named();
        match told {
            Some(Told::Came) => self.came(conversation, id),
            Some(Told::Refused(why)) => drop(self.refused(conversation, id, why)),
            None => {}
        }
        others
    }

    /// It did not even get into the outbox.
    pub(super) fn not_queued(&mut self, conversation: ConversationId, ticket: Ticket, why: String) -> Option<String> {
        self.find(conversation, |draft| draft.ticket == ticket)?.refused = Some(why);
        self.named()
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

    /// The server refused a message. Gives the reason back if it is no draft here: something about an earlier message was
    /// refused, or what an earlier run of the program has left.
    pub(super) fn refused(&mut self, conversation: ConversationId, id: MessageId, why: String) -> Option<String> {
        if let Some(draft) = self.find(conversation, |draft| draft.message_id == Some(id)) {
            draft.refused = Some(why);
        } else if self.nameless == 0 {
            return Some(why);
        } else {
            self.told_early(id, Told::Refused(why));
        }
        None
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

    /// Once all drafts have their ids, what was told early belongs to none of them.
    fn named(&mut self) -> Option<String> {
        self.nameless -= 1;
        if self.nameless > 0 {
            return None;
        }
        let early = std::mem::take(&mut self.early);
        early.into_values().find_map(|told| match told {
            Told::Refused(why) => Some(why),
            Told::Came => None,
        })
    }
}
