//! What is done to earlier messages, and what a person sees of them.
//!
//! Each of these is a draft like any other: it rests in the outbox until it is answered, survives what messages survive,
//! and is told by [`Event::Sent`](crate::Event::Sent) or [`Event::Refused`](crate::Event::Refused).

use whimbrel_core::{ConversationId, Message, MessageId, MessageKind, Seq};

use super::{Client, MESSAGES_MAX};
use crate::content::{Content, FollowUp, Outgoing};
use crate::error::Error;
use crate::message::show;
use crate::picture::{Gone, Picture, Pictured, is_item};

impl Client {
    /// Gives a message of one's own other content. What it said stays in its history.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn edit(
        &self,
        conversation: ConversationId,
        seq: Seq,
        what: impl Into<Outgoing>,
    ) -> Result<MessageId, Error> {
        let Outgoing { content, quote, mentions, origin } = what.into();
        let content = Content::FollowUp { target: seq, what: FollowUp::Edit(Box::new(content)) };
        self.send(conversation, Outgoing { content, quote, mentions, origin }).await
    }

    /// Takes a message back: one's own within the time that the server allows, or as owner or admin of a group another's.
    /// Nothing of it stays, here, on the server, or on other devices.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn recall(&self, conversation: ConversationId, seq: Seq) -> Result<MessageId, Error> {
        self.send(conversation, Outgoing::about(seq, FollowUp::Recall)).await
    }

    /// Reacts to a message.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::NotSendable`] for more than [`EMOJI_MAX`](crate::EMOJI_MAX) bytes, or none.
    pub async fn react(&self, conversation: ConversationId, seq: Seq, emoji: &str) -> Result<MessageId, Error> {
        let what = FollowUp::React { emoji: emoji.to_owned(), removed: false };
        self.send(conversation, Outgoing::about(seq, what)).await
    }

    /// Takes a reaction of one's own back.
    ///
    /// # Errors
    /// As [`Client::react`].
    pub async fn unreact(&self, conversation: ConversationId, seq: Seq, emoji: &str) -> Result<MessageId, Error> {
        let what = FollowUp::React { emoji: emoji.to_owned(), removed: true };
        self.send(conversation, Outgoing::about(seq, what)).await
    }

    /// Begins a text that grows. Its place, which the other calls want, comes with [`Client::sent`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open_stream(&self, conversation: ConversationId, text: &str) -> Result<MessageId, Error> {
        self.send(conversation, Content::Stream(text.to_owned())).await
    }

    /// Adds to a stream of one's own.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn append(&self, conversation: ConversationId, seq: Seq, more: &str) -> Result<MessageId, Error> {
        self.send(conversation, Outgoing::about(seq, FollowUp::Append(more.to_owned()))).await
    }

    /// Ends a stream of one's own; `whole` is all of its text.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn finish(&self, conversation: ConversationId, seq: Seq, whole: &str) -> Result<MessageId, Error> {
        self.send(conversation, Outgoing::about(seq, FollowUp::Finish(whole.to_owned()))).await
    }

    /// Takes a fleeting message away before its time is over. When it is over, the client does it by itself.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn vanish(&self, conversation: ConversationId, seq: Seq) -> Result<MessageId, Error> {
        self.send(conversation, Outgoing::about(seq, FollowUp::Vanish)).await
    }

    /// What a person sees of the messages with places above `after`, at most `limit` (and [`MESSAGES_MAX`]) of them, as
    /// they are now: edited, with their reactions, grown, or gone. [`Event::Changed`](crate::Event::Changed) says when
    /// one is to be looked at again (`after` = the place before it, `limit` = 1).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn picture(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Pictured>, Error> {
        let limit = limit.min(MESSAGES_MAX);
        let store = &self.inner.store;
        let (mut rows, mut after) = (Vec::new(), after);
        while rows.len() < limit {
            // What is about earlier messages takes places too: there may be more to read than what is wanted.
            let page = store.messages(conversation, after, MESSAGES_MAX.min(limit.max(64))).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            rows.extend(page.into_iter().filter(|row| is_item(row.kind)));
        }
        rows.truncate(limit);
        self.fold(conversation, rows).await
    }

    /// These messages, which are stored here, with what is about them.
    pub(super) async fn fold(&self, conversation: ConversationId, rows: Vec<Message>) -> Result<Vec<Pictured>, Error> {
        let (store, directory) = (&self.inner.store, &self.inner.directory);
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let about = store.follow_ups(conversation, first.seq, last.seq).await?;
        let mut about: Vec<_> = about.into_iter().chain(store.erasures(conversation).await?).collect();
        about.sort_by_key(|row| row.seq);
        let picture = Picture::of(rows.into_iter().chain(about).map(|row| show(directory, row)));
        let mut items = picture.into_items();
        for item in &mut items {
            let is_over = item.kind == MessageKind::FLEETING && directory.is_hidden(conversation, item.seq);
            if is_over && item.gone.is_none() {
                item.empty(Gone { by: None, at: 0, vanished: true });
            }
        }
        Ok(items)
    }
}
