//! The timeline: messages in their places, and how far users have got.
//!
//! A place exists if and only if its transaction was committed. The engine keeps two rules by unique keys, whoever
//! writes: (conversation, seq), and (message id, conversation, sender). Which seq comes next is the archiver's to say.

use async_trait::async_trait;
use whimbrel_core::{
    BodyHash, ConversationId, CursorMoved, Cursors, FileId, Members, Message, MessageId, MessageKind, Seq, Standing,
    SyncAnswer, SyncQuestion, UserId,
};

use crate::StoreError;

/// The end of a conversation, with who is in it: what placing needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last message's seq; 0 when there is none.
    pub seq: Seq,
    /// Countable messages so far.
    pub n: u64,
    /// Of these, the first user's of a direct conversation (the second's are `n − first_own`).
    pub first_own: u64,
    /// When the last message was placed.
    pub at: u64,
    /// Who is in it, and their rights, as of the last row.
    pub members: Members,
}

/// A row to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// The message with its place.
    pub message: Message,
    /// SHA-256 of its body.
    pub hash: BodyHash,
    /// Countable messages up to and with this row.
    pub n: u64,
    /// Of these, the sender's own (direct conversations; 0 in others).
    pub own: u64,
    /// It stands in a group: if it is countable, its sender's `own_total` grows with it, in the same transaction.
    pub in_group: bool,
}

/// What a follow-up's rights depend on: the message that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Who said it.
    pub sender: UserId,
    /// What it is.
    pub kind: MessageKind,
    /// When it was placed, milliseconds since 1970.
    pub at: u64,
    /// It was taken back: its body is empty.
    pub recalled: bool,
    /// Follow-ups with content that it has.
    pub follow_ups: u32,
    /// It is a stream that has ended: the last of these is a [`MessageKind::FINISH`](whimbrel_core::MessageKind::FINISH).
    pub finished: bool,
}

/// Cursors to raise: each to the maximum of what stands there and this, clamped to the committed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorWrite {
    /// Where.
    pub conversation: ConversationId,
    /// Whose; users who are not members are passed over.
    pub user: UserId,
    /// How far.
    pub cursors: Cursors,
}

/// One transaction. What rows do besides being inserted follows from their kinds
/// ([`MessageKind::takes_back`], [`MessageKind::adds_content`]) and is part of it: a message that is taken back, and its
/// follow-ups with content, keep their rows and hashes and lose their bodies (a follow-up's keeps its target). Follow-ups are
/// noted by their targets, for [`History`](crate::History).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PlaceBatch {
    /// Inserted in this order.
    pub rows: Vec<NewRow>,
    /// Raised after the rows are in.
    pub cursors: Vec<CursorWrite>,
}

/// Why a transaction was rolled back, whole.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another row stands at one of these places: heads (and members) are stale.
    #[error("a place is taken")]
    SeqTaken,
    /// One of these message ids was placed before.
    #[error("a message id is taken")]
    IdTaken,
    /// A row comes with a file that is not there, is not whole, or is not its sender's.
    #[error("a file is missing")]
    NoFile,
    /// The engine refuses this row for good.
    #[error("row {index} is refused: {reason}")]
    RowRefused {
        /// Which of the batch's rows, if the engine can tell.
        index: usize,
        /// Its words.
        reason: String,
    },
    /// Nothing was sent: connections were made anew since what the batch was planned on was read.
    #[error("what was read before may be void: the engine was reached anew")]
    Anew,
    /// The engine is away; whether the batch was committed is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row that stands under a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundRow {
    /// Its place.
    pub seq: Seq,
    /// When it was placed.
    pub at: u64,
    /// Its body's hash.
    pub hash: BodyHash,
}

/// Messages in their places.
#[async_trait]
pub trait Timeline: Send + Sync + 'static {
    /// The heads of these conversations, in their order; `None` for those that do not exist. One round trip.
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError>;

    /// The rows under these (conversation, sender, message id), in their order. One round trip.
    async fn find(&self, ids: &[(ConversationId, UserId, MessageId)]) -> Result<Vec<Option<FoundRow>>, StoreError>;

    /// The standings of these users in these groups, in their order; `None` for those who are not members (now), and
    /// for conversations that are no groups. One round trip. What this says is as new as the call: whoever read heads
    /// before it learns of a change in between by a place that is taken.
    async fn standings(&self, of: &[(ConversationId, UserId)]) -> Result<Vec<Option<Standing>>, StoreError>;

    /// The messages at these places, in their order; `None` where there is none. One round trip; as new as the call.
    async fn targets(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<Option<Target>>, StoreError>;

    /// Whether these files are there, whole and their users' own, in their order: else no message comes with them. One
    /// round trip; as new as the call.
    async fn files(&self, of: &[(FileId, UserId)]) -> Result<Vec<bool>, StoreError>;

    /// Commits the batch, all or nothing; it is on disk when this returns. Gives back the batch (whose rows are to be
    /// announced) and every member's cursor that was named, raised or not, as it stands now.
    async fn commit(&self, batch: PlaceBatch) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)>;

    /// Grows whenever the engine may be another one, or may have gone back: what was read and remembered under a lower
    /// number may be void. A process that has its database in itself knows of no such thing.
    fn connections(&self) -> u64 {
        0
    }

    /// As [`commit`](Timeline::commit), for rows that were planned on what was read since [`connections`] gave this
    /// number: if the engine was reached anew since then nothing is sent, and the answer is [`CommitError::Anew`].
    ///
    /// [`connections`]: Timeline::connections
    async fn commit_since(
        &self,
        batch: PlaceBatch,
        _connections: u64,
    ) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        self.commit(batch).await
    }

    /// Answers a device's sync for `user` (client.proto, `Sync`): views of the range, rows after the named cursors
    /// within [`SYNC_MESSAGES_MAX`](whimbrel_core::limits::SYNC_MESSAGES_MAX) and
    /// [`SYNC_BYTES_MAX`](whimbrel_core::limits::SYNC_BYTES_MAX), from one consistent state. In groups a user sees the rows from the one that shows history to them (the
    /// floor is the row before it) to the one with which they left (then that is the head).
    async fn sync(&self, user: UserId, question: SyncQuestion) -> Result<SyncAnswer, StoreError>;

    /// Messages of a conversation with `after < seq`, at most `limit` of them, in order.
    async fn read(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError>;
}
