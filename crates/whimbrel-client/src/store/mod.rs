//! What a device keeps, and how it is kept.
//!
//! A [`Store`] belongs to one user on one device. The driver is its only writer and keeps the truth in memory as well;
//! it reads the whole once ([`Store::load`]) and afterwards writes one [`Commit`] for everything that one read of the
//! socket brought. The application's calls read beside it.
//!
//! Invariants of every implementation:
//! * A commit is atomic: after a crash all of it is there, or nothing.
//! * A conversation's messages are one gapless run, `base + 1 ..= cursor` of its row. Implementations do not check
//!   that; they must not break it. (The memory store forgets a run's oldest messages; its gaplessness stays.)
//! * Bodies are stored as they were received. Nothing opened is stored.
//!
//! What rests readable on the device: the conversations' keys, the tokens, who wrote when. A file store is therefore
//! made with mode 0600. Whoever can read the file can read the messages.

use async_trait::async_trait;
use bytes::Bytes;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, FileId, Message, MessageId, MessageKind, Seq, UserId,
};

use crate::account::Credentials;
use crate::error::StoreError;
use crate::group::GroupInfo;
use crate::relation::{Relation, RelationKey};
use crate::setting::Setting;

mod memory;
mod sqlite;

pub use memory::{MEMORY_MESSAGES, MemoryStore};
pub use sqlite::SqliteStore;

#[cfg(test)]
mod conformance;

/// Unread messages that call the user, of each conversation, whose places are remembered; older ones are forgotten.
pub const MENTIONS_MAX: usize = 1000;
/// Drafts that may wait for their answers.
pub const OUTBOX_MAX: usize = 10_000;

/// A conversation as a device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Which.
    pub id: ConversationId,
    /// Of which kind.
    pub kind: ConversationKind,
    /// In direct ones: the other user.
    pub peer: Option<UserId>,
    /// The run begins after this place.
    pub base: Seq,
    /// The run's end; equal to `base` while the run is empty.
    pub cursor: Seq,
    /// Events existed up to here when the row was committed, or were about to; what is between here and the cursor waits
    /// for its key.
    pub shown: Seq,
    /// The message at the cursor; `None` when the run is empty.
    pub cursor_id: Option<MessageId>,
    /// The last place that the latest session heard of; never below `cursor`.
    pub head: Seq,
    /// One's own cursors, as far as this device knows and wants them.
    pub own: Cursors,
    /// The other user's.
    pub peer_cursors: Cursors,
    /// Messages of others in (`unread_from`, `unread_upto`].
    pub unread: u64,
    /// The read cursor that `unread` was counted from.
    pub unread_from: Seq,
    /// The place that `unread` was counted up to.
    pub unread_upto: Seq,
    /// Places above one's own read cursor of messages that call the user, in their order.
    pub mentions: Vec<Seq>,
}

/// Everything but messages, as the driver reads it once.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In the order of their ids.
    pub conversations: Vec<ConversationRow>,
    /// Drafts that are not answered, in the order in which they were added.
    pub outbox: Vec<(ConversationId, Draft)>,
    /// Relations with their keys.
    pub relations: Vec<Relation>,
    /// All relations were fetched once, so that from then on changes suffice.
    pub relations_loaded: bool,
    /// Users whose relation changed and was not fetched yet.
    pub relations_due: Vec<UserId>,
    /// Groups, as far as REST told of them.
    pub groups: Vec<GroupInfo>,
    /// Keys of groups.
    pub group_keys: Vec<(ConversationId, RelationKey)>,
    /// Groups that changed and were not fetched yet.
    pub groups_due: Vec<ConversationId>,
    /// How conversations are shown; those that are not here were never set.
    pub settings: Vec<Setting>,
    /// All settings were fetched once.
    pub settings_loaded: bool,
    /// Conversations whose setting changed and was not fetched yet.
    pub settings_due: Vec<ConversationId>,
    /// Fleeting messages that are still there.
    pub fleeting: Vec<Message>,
    /// When the times of those began that count from when they were read, by this device's clock (milliseconds since 1970).
    pub fleeting_begun: Vec<(ConversationId, Seq, u64)>,
    /// Whether the deployment keeps bodies readable; `None` before the first session.
    pub bodies_readable: Option<bool>,
}

/// A file on its way to the server, so that it can go on after the process was killed. Its message leaves with it: the draft
/// is added in the same commit that drops this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// What the server calls it.
    pub file: FileId,
    /// Where it is to be said.
    pub conversation: ConversationId,
    /// As what.
    pub kind: MessageKind,
    /// Where it is on this machine.
    pub path: String,
    /// Its metadata stay in it.
    pub keeps_metadata: bool,
    /// SHA-256 of what is uploaded: of the sealed chunks, if it is sealed.
    pub content_hash: [u8; 32],
    /// The serialized Attachment that its message will hold. Its key is in it, as the conversations' keys are here.
    pub attachment: Bytes,
}

/// What a user said in a part of a conversation, which is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Where.
    pub conversation: ConversationId,
    /// Who said it.
    pub user: UserId,
    /// From this place on,
    pub from: Seq,
    /// as far as before this one.
    pub before: Seq,
}

/// Changes that become true together. Applied in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Conversations that are dropped with all their messages, before anything else; a row below begins them again.
    pub dropped_runs: Vec<ConversationId>,
    /// Conversations as they are now.
    pub conversations: Vec<ConversationRow>,
    /// Messages to append to their runs.
    pub messages: Vec<Message>,
    /// Fleeting messages whose times have begun, and when: see [`Snapshot::fleeting_begun`]. Forgotten with their messages.
    pub fleeting_begun: Vec<(ConversationId, Seq, u64)>,
    /// Messages to put before their runs: each conversation's in order, ending where its run begins. A store that keeps a
    /// bounded number takes the last ones for which it has room.
    pub older: Vec<Message>,
    /// Messages that were taken back: their bodies are emptied, and those of the follow-ups that hold content for them
    /// (edits, parts of a stream) are cut to their first [`TARGET_LEN`](whimbrel_wire::seal::TARGET_LEN) bytes. Those
    /// that are not stored are passed over.
    pub taken_back: Vec<(ConversationId, Seq)>,
    /// What users said that is gone: the bodies of their messages are emptied, and those of their follow-ups cut to their
    /// first [`TARGET_LEN`](whimbrel_wire::seal::TARGET_LEN) bytes. Rows that the server placed stay as they are.
    pub erased: Vec<Erased>,
    /// Conversations whose messages up to and with a place are dropped.
    pub cleared: Vec<(ConversationId, Seq)>,
    /// Drafts to append to the outbox.
    pub drafts: Vec<(ConversationId, Draft)>,
    /// Drafts that leave the outbox.
    pub answered: Vec<MessageId>,
    /// Uploads that begin.
    pub uploads: Vec<UploadRow>,
    /// Uploads that are over, one way or the other.
    pub uploads_ended: Vec<FileId>,
    /// Relations as they are now.
    pub relations: Vec<Relation>,
    /// Users whose relation has to be fetched.
    pub relations_due: Vec<UserId>,
    /// Users whose relation was fetched.
    pub relations_settled: Vec<UserId>,
    /// See [`Snapshot::relations_loaded`].
    pub relations_loaded: Option<bool>,
    /// Groups as they are now.
    pub groups: Vec<GroupInfo>,
    /// Keys of groups, added to those that are known.
    pub group_keys: Vec<(ConversationId, RelationKey)>,
    /// Groups that have to be fetched.
    pub groups_due: Vec<ConversationId>,
    /// Groups that were fetched.
    pub groups_settled: Vec<ConversationId>,
    /// Settings as they are now.
    pub settings: Vec<Setting>,
    /// Conversations whose setting has to be fetched.
    pub settings_due: Vec<ConversationId>,
    /// Conversations whose setting was fetched.
    pub settings_settled: Vec<ConversationId>,
    /// See [`Snapshot::settings_loaded`].
    pub settings_loaded: Option<bool>,
    /// See [`Snapshot::bodies_readable`].
    pub bodies_readable: Option<bool>,
}

impl Commit {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.dropped_runs.is_empty()
            && self.conversations.is_empty()
            && self.messages.is_empty()
            && self.older.is_empty()
            && self.drafts.is_empty()
            && self.answered.is_empty()
            && self.uploads.is_empty()
            && self.uploads_ended.is_empty()
            && self.relations.is_empty()
            && self.relations_due.is_empty()
            && self.relations_settled.is_empty()
            && self.relations_loaded.is_none()
            && self.taken_back.is_empty()
            && self.erased.is_empty()
            && self.fleeting_begun.is_empty()
            && self.cleared.is_empty()
            && self.groups.is_empty()
            && self.group_keys.is_empty()
            && self.groups_due.is_empty()
            && self.groups_settled.is_empty()
            && self.settings.is_empty()
            && self.settings_due.is_empty()
            && self.settings_settled.is_empty()
            && self.settings_loaded.is_none()
            && self.bodies_readable.is_none()
    }
}

/// Where a device keeps what it knows.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The saved credentials, if there are any.
    async fn credentials(&self) -> Result<Option<Credentials>, StoreError>;

    /// Saves credentials, durably: the predecessor's refresh token is worthless as soon as the new one was used. The
    /// first ones bind the store to their user and device.
    ///
    /// # Errors
    /// [`StoreError::NotYours`] when it belongs to another user or device.
    async fn save_credentials(&self, credentials: &Credentials) -> Result<(), StoreError>;

    /// Everything but messages.
    async fn load(&self) -> Result<Snapshot, StoreError>;

    /// Makes all changes, or none.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// The conversations, in the order of their ids.
    async fn conversations(&self) -> Result<Vec<ConversationRow>, StoreError>;

    /// At most `limit` messages of a conversation with places above `after`, in their order.
    async fn messages(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// Uploads that have begun and are not over, in the order of their ids.
    async fn uploads(&self) -> Result<Vec<UploadRow>, StoreError>;

    /// The follow-ups of the messages at `from` up to and with `upto`, in the order of their own places.
    async fn follow_ups(&self, conversation: ConversationId, from: Seq, upto: Seq) -> Result<Vec<Message>, StoreError>;

    /// The rows of a conversation that say of users that what they said before is gone
    /// ([`ERASED`](MessageKind::ERASED)), in their order.
    async fn erasures(&self, conversation: ConversationId) -> Result<Vec<Message>, StoreError>;

    /// The last message of each conversation that has one, in no order.
    async fn last_messages(&self) -> Result<Vec<Message>, StoreError>;

    /// The message of this name.
    async fn find_message(
        &self,
        conversation: ConversationId,
        message_id: MessageId,
    ) -> Result<Option<Message>, StoreError>;

    /// How many countable messages of users other than `me` stand in (`after`, `upto`], as far as they are stored.
    async fn count_incoming(
        &self,
        conversation: ConversationId,
        me: UserId,
        after: Seq,
        upto: Seq,
    ) -> Result<u64, StoreError>;

    /// Ends the store's work; everything committed is durable when this returns. Later calls fail.
    async fn close(&self);
}

/// Whether a row is about one of the messages at `from` up to and with `upto`.
fn is_about(message: &Message, from: Seq, upto: Seq) -> bool {
    message.kind.target(&message.body).is_some_and(|target| from <= target && target <= upto)
}

/// Refuses credentials of another user or device than the store's owner, by name.
fn check_owner((user, device): (UserId, DeviceId), asked: &Credentials) -> Result<(), StoreError> {
    if (user, device) == (asked.user, asked.device) {
        return Ok(());
    }
    Err(StoreError::NotYours { user, device, asked_user: asked.user, asked_device: asked.device })
}
