//! Conversations that are there before anything is measured: their messages are written past the server, thousands at once.

use anyhow::Context;
use bytes::Bytes;
use indicatif::ProgressBar;
use whimbrel_core::{ConversationId, DeviceId, Members, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::{CommitError, NewRow, PlaceBatch, Timeline};

/// Rows that are written at once.
const BATCH: u64 = 2000;
/// Milliseconds between two messages.
pub(super) const APART_MS: u64 = 1000;

/// What is written behind the end of a conversation.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) conversation: ConversationId,
    /// How far the conversation goes in the end.
    pub(super) upto: Seq,
    /// Who says the message at a place.
    pub(super) sender: &'a (dyn Fn(Seq) -> UserId + Sync),
    /// Bytes of each body.
    pub(super) bytes: usize,
}

impl Filling<'_> {
    /// Writes it; where the conversation ended before. The bar goes on by what was written.
    ///
    /// # Errors
    /// When the conversation is not there, or the database refuses.
    pub(super) async fn write(&self, timeline: &dyn Timeline, bar: &ProgressBar) -> anyhow::Result<Seq> {
        let head = timeline.heads(&[self.conversation]).await?.remove(0).context("The conversation is missing")?;
        let first = match &head.members {
            Members::Direct { first, .. } => Some(*first),
            _ => None,
        };
        let (mut n, mut first_own, mut end) = (head.n, head.first_own, head.seq.0);
        while end < self.upto.0 {
            let last = self.upto.0.min(end + BATCH);
            let rows = (end + 1..=last).map(|seq| {
                let sender = (self.sender)(Seq(seq));
                n += 1;
                first_own += u64::from(Some(sender) == first);
                let own = match first {
                    Some(first) if sender == first => first_own,
                    Some(_) => n - first_own,
                    None => 0,
                };
                let message = self.message(Seq(seq), sender, head.at + seq * APART_MS);
                // Nobody sends them again: no hash is needed.
                NewRow { hash: [0; 32], message, n, own, in_group: first.is_none() }
            });
            let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
            timeline.commit(batch).await.map_err(|(_, error): (_, CommitError)| error)?;
            bar.inc(last - end);
            end = last;
        }
        Ok(head.seq)
    }

    fn message(&self, seq: Seq, sender: UserId, at: u64) -> Message {
        Message {
            conversation: self.conversation,
            seq,
            sender,
            device: DeviceId::from_bytes([1; 16]),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::from(vec![seq.0 as u8; self.bytes]),
            at,
        }
    }
}
