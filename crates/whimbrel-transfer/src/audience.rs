//! What a transfer remembers of conversations: who is in them, and up to where they are known to be committed.
//!
//! Members are forgotten when a row is announced that changes them, before anybody hears of that row. What is
//! remembered may still be stale (another transfer may have been told): so it decides only what never changes, that
//! somebody is *not* in a conversation is never remembered at all, and rights are the archiver's to decide. Everything is
//! forgotten when the database was reached anew: it may have gone back.

use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use whimbrel_core::{ConversationId, Members, PlacedRow, Seq};

pub(crate) struct Audiences {
    members: Cache<ConversationId, Members>,
    /// Heads only grow while the database stays the same, so a remembered one is a lower bound of what is committed.
    heads: Cache<ConversationId, Seq>,
    /// Counts invalidations: what was read before one may not be remembered after it.
    changes: AtomicU64,
}

impl Audiences {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { members: Cache::new(capacity), heads: Cache::new(capacity), changes: AtomicU64::new(0) }
    }

    pub(crate) fn members(&self, conversation: ConversationId) -> Option<Members> {
        self.members.get(&conversation)
    }

    /// A place up to which the conversation is committed, if any is known.
    pub(crate) fn head(&self, conversation: ConversationId) -> Option<Seq> {
        self.heads.get(&conversation)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.members.clear();
        self.heads.clear();
    }

    /// To be taken before members are read.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Remembers members that were read since `changes` was taken.
    pub(crate) fn remember(&self, conversation: ConversationId, members: &Members, changes: u64) {
        if self.changes() != changes {
            return;
        }
        self.members.insert(conversation, members.clone());
        if self.changes() != changes {
            self.members.remove(&conversation);
        }
    }

    /// The conversation is committed up to here.
    pub(crate) fn committed(&self, conversation: ConversationId, head: Seq) {
        if self.heads.get(&conversation).is_none_or(|known| known < head) {
            self.heads.insert(conversation, head);
        }
    }

    /// Rows that were placed: forgets the members that they change, and remembers how far they reach.
    pub(crate) fn placed<'a>(&self, rows: impl Iterator<Item = &'a PlacedRow> + Clone) {
        for row in rows.clone().filter(|row| row.message.kind.changes_members()) {
            self.changes.fetch_add(1, Ordering::AcqRel);
            self.members.remove(&row.message.conversation);
        }
        for row in rows {
            self.committed(row.message.conversation, row.message.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{DeviceId, Message, MessageId, MessageKind, UserId};

    use super::*;

    const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

    fn message(kind: MessageKind) -> Message {
        Message {
            conversation: CHAT,
            seq: Seq(3),
            sender: UserId(1),
            device: DeviceId::from_bytes([0; 16]),
            message_id: MessageId::generate(),
            kind,
            key_version: 0,
            body: bytes::Bytes::new(),
            at: 1,
        }
    }

    /// The members were read before the change and arrive after it: they must not be remembered.
    #[test]
    fn members_that_were_read_before_a_change_are_not_remembered_after_it() {
        let audiences = Audiences::new(10);
        let (chat, members) = (ConversationId::generate(), Members::Private { owner: UserId(1) });
        let before = audiences.changes();
        audiences.changes.fetch_add(1, Ordering::AcqRel);
        audiences.remember(chat, &members, before);
        assert_eq!(audiences.members(chat), None);
        audiences.remember(chat, &members, audiences.changes());
        assert_eq!(audiences.members(chat), Some(members));
    }

    /// A row that changes rights is announced: the members are read again, and everything else stays.
    #[test]
    fn a_change_of_members_is_forgotten_before_it_is_told() {
        let audiences = Audiences::new(10);
        let members = Members::Private { owner: UserId(1) };
        let row = |kind| PlacedRow { message: message(kind), audience: members.audience(), change: None };
        audiences.remember(CHAT, &members, audiences.changes());
        audiences.placed([row(MessageKind::TEXT)].iter());
        assert_eq!((audiences.members(CHAT), audiences.head(CHAT)), (Some(members.clone()), Some(Seq(3))));
        audiences.placed([row(MessageKind::STANDING)].iter());
        assert_eq!(audiences.members(CHAT), None);
    }

    #[test]
    fn a_known_head_never_goes_back() {
        let audiences = Audiences::new(10);
        let chat = ConversationId::generate();
        audiences.committed(chat, Seq(5));
        audiences.committed(chat, Seq(3));
        assert_eq!(audiences.head(chat), Some(Seq(5)));
    }
}
