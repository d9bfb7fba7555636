//! The rows that tell of a change: at the end of the conversations of those who may know, and of nobody else. They are
//! gathered while the change is made, and placed together when it is.

use bytes::Bytes;
use whimbrel_core::{ConversationId, MessageKind, UserId};

use super::users::Locked;
use super::work::Work;
use crate::directory::words::{Account, about};
use crate::groups::words::setting;

/// A row that has no place yet.
#[derive(Debug, Clone)]
pub(in crate::mysql) struct Letter {
    pub(in crate::mysql) conversation: ConversationId,
    pub(in crate::mysql) sender: UserId,
    pub(in crate::mysql) kind: MessageKind,
    pub(in crate::mysql) body: Bytes,
    /// The caller's time.
    pub(in crate::mysql) now: u64,
}

impl Work {
    /// Tells a user that their own account changed.
    pub(in crate::mysql) fn tell_account(&mut self, user: &Locked, what: Account, now: u64) {
        self.letters.push(Letter {
            conversation: user.private,
            sender: user.user.id,
            kind: MessageKind::ACCOUNT,
            body: what.body(),
            now,
        });
    }

    /// Tells a user, in their private conversation, that something about them and a peer changed.
    pub(in crate::mysql) fn tell_relation(&mut self, user: UserId, private: ConversationId, peer: UserId, now: u64) {
        let (conversation, sender, kind) = (private, user, MessageKind::RELATION);
        self.letters.push(Letter { conversation, sender, kind, body: about(peer), now });
    }

    /// Marks the place in a direct conversation from which on other rights hold.
    pub(in crate::mysql) fn tell_standing(&mut self, conversation: ConversationId, first: UserId, now: u64) {
        let (sender, kind) = (first, MessageKind::STANDING);
        self.letters.push(Letter { conversation, sender, kind, body: Bytes::new(), now });
    }

    /// Tells a user, in their private conversation, that they have a conversation shown in another way.
    pub(in crate::mysql) fn tell_setting(&mut self, user: &Locked, about: ConversationId, now: u64) {
        let (conversation, sender, kind) = (user.private, user.user.id, MessageKind::SETTING);
        self.letters.push(Letter { conversation, sender, kind, body: setting(about), now });
    }
}
