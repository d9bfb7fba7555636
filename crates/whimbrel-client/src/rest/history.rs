//! The REST calls of history: pages of a conversation, and what is about the messages in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};

use super::Rest;
use super::words::query;
use crate::account::Credentials;
use crate::error::Error;
use crate::history::HistoryAt;

/// A page of a conversation, as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPage {
    /// In the order of their places, without a gap; sealed. A page ends where the user was not in the group, and `older` and
    /// `newer` lead over that.
    pub messages: Vec<Message>,
    /// The first place that the user sees.
    pub first: Seq,
    /// The last place that the user sees.
    pub last: Seq,
    /// For what is older: before this; `None`: there is nothing older.
    pub older: Option<Seq>,
    /// For what is newer: after this; `None`: there is nothing newer.
    pub newer: Option<Seq>,
}

/// What is about some messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFollowUps {
    /// By their targets, then by their own places; sealed.
    pub messages: Vec<Message>,
    /// What the next page is asked for with; `None`: that was all.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct PageWords {
    messages: Vec<MessageWords>,
    first: u64,
    last: u64,
    #[serde(default)]
    older: Option<u64>,
    #[serde(default)]
    newer: Option<u64>,
}

#[derive(Deserialize)]
struct AboutWords {
    messages: Vec<MessageWords>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct MessageWords {
    seq: u64,
    sender: u64,
    device_id: String,
    message_id: String,
    kind: u32,
    key_version: u32,
    at: u64,
    body: String,
}

fn malformed(what: &'static str) -> Error {
    Error::Http(format!("the answer's {what} cannot be read").into())
}

impl MessageWords {
    fn read(self, conversation: ConversationId) -> Result<Message, Error> {
        Ok(Message {
            conversation,
            seq: Seq(self.seq),
            sender: UserId(self.sender),
            device: self.device_id.parse::<DeviceId>().map_err(|_| malformed("device_id"))?,
            message_id: self.message_id.parse::<MessageId>().map_err(|_| malformed("message_id"))?,
            kind: MessageKind(self.kind),
            key_version: self.key_version,
            body: STANDARD.decode(self.body).map_err(|_| malformed("body"))?.into(),
            at: self.at,
        })
    }
}

fn read_all(words: Vec<MessageWords>, conversation: ConversationId) -> Result<Vec<Message>, Error> {
    words.into_iter().map(|message| message.read(conversation)).collect()
}

impl Rest {
    /// A page of a conversation, sealed as the server has it. [`Client::history`](crate::Client::history) opens, and asks
    /// the device's own store first.
    ///
    /// # Errors
    /// [`Error::Api`] when one is not in the conversation.
    pub async fn history(
        &self,
        credentials: &Credentials,
        conversation: ConversationId,
        at: HistoryAt,
        limit: usize,
    ) -> Result<ServerPage, Error> {
        let place = match at {
            HistoryAt::Newest => String::new(),
            HistoryAt::Before(seq) => format!("before={seq}&"),
            HistoryAt::After(seq) => format!("after={seq}&"),
            HistoryAt::Around(seq) => format!("around={seq}&"),
            HistoryAt::At(ms) => format!("at={ms}&"),
        };
        let path = format!("/v1/conversations/{conversation}/messages?{place}limit={limit}");
        let page: PageWords = self.get(&path, credentials).await?;
        Ok(ServerPage {
            messages: read_all(page.messages, conversation)?,
            first: Seq(page.first),
            last: Seq(page.last),
            older: page.older.map(Seq),
            newer: page.newer.map(Seq),
        })
    }

    /// A page of what is about the messages at these places, beyond what an earlier page said as `next`.
    ///
    /// # Errors
    /// [`Error::Api`] when one is not in the conversation.
    pub async fn follow_ups(
        &self,
        credentials: &Credentials,
        conversation: ConversationId,
        (from, upto): (Seq, Seq),
        after: Option<&str>,
        limit: usize,
    ) -> Result<ServerFollowUps, Error> {
        let after = after.map_or_else(String::new, |after| format!("&{}", query("after", after)));
        let path = format!("/v1/conversations/{conversation}/follow_ups?from={from}&upto={upto}&limit={limit}{after}");
        let found: AboutWords = self.get(&path, credentials).await?;
        Ok(ServerFollowUps { messages: read_all(found.messages, conversation)?, next: found.next })
    }
}
