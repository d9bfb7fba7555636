//! Drafts and their answers, messages, cursors.

use bytes::Bytes;
use whimbrel_core::{
    ConversationId, Cursors, DeviceId, Draft, Message, MessageId, MessageKind, Outcome, Receipt, Refusal, Seq, UserId,
};

use super::{WireId, device_bytes, id, not_empty, optional_id};
use crate::{FrameError, proto};

impl From<Draft> for proto::Draft {
    fn from(draft: Draft) -> Self {
        let Draft { message_id, kind, key_version, body } = draft;
        proto::Draft { message_id: message_id.wire(), kind: kind.0, key_version, body }
    }
}

/// Reads a draft.
///
/// # Errors
/// [`FrameError::BadField`] for a message id that is none.
pub fn draft(draft: proto::Draft) -> Result<Draft, FrameError> {
    let proto::Draft { message_id, kind, key_version, body } = draft;
    Ok(Draft { message_id: id(&message_id, "message_id")?, kind: MessageKind(kind), key_version, body })
}

/// Reads a Send: where to, and what.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, and when there is no draft.
pub fn send(send: proto::Send) -> Result<(ConversationId, Vec<Draft>), FrameError> {
    not_empty(&send.drafts, "drafts")?;
    let drafts = send.drafts.into_iter().map(draft).collect::<Result<_, _>>()?;
    Ok((id(&send.conversation_id, "conversation_id")?, drafts))
}

impl From<Message> for proto::Message {
    fn from(message: Message) -> Self {
        proto::Message {
            seq: message.seq.0,
            sender: message.sender.0,
            device_id: Bytes::copy_from_slice(device_bytes(&message.device)),
            message_id: message.message_id.wire(),
            kind: message.kind.0,
            key_version: message.key_version,
            body: message.body,
            at_ms: message.at,
        }
    }
}

/// Reads a message of `conversation`.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, and for seq 0.
pub fn message(conversation: ConversationId, message: proto::Message) -> Result<Message, FrameError> {
    if message.seq == 0 {
        return Err(FrameError::BadField("seq"));
    }
    Ok(Message {
        conversation,
        seq: Seq(message.seq),
        sender: UserId(message.sender),
        device: optional_id(&message.device_id, "device_id")?.unwrap_or(DeviceId::from_bytes([0; 16])),
        message_id: id(&message.message_id, "message_id")?,
        kind: MessageKind(message.kind),
        key_version: message.key_version,
        body: message.body,
        at: message.at_ms,
    })
}

/// Reads a Deliver.
///
/// # Errors
/// As [`message`].
pub fn deliver(deliver: proto::Deliver) -> Result<(ConversationId, Vec<Message>), FrameError> {
    let conversation = id(&deliver.conversation_id, "conversation_id")?;
    let messages = deliver.messages.into_iter().map(|m| message(conversation, m)).collect::<Result<_, _>>()?;
    Ok((conversation, messages))
}

/// An answer's fields besides the message id.
pub(crate) fn outcome_fields(outcome: Outcome) -> proto::Answer {
    let (outcome, fields) = match outcome {
        Outcome::Sent { seq, at } => {
            (proto::Outcome::Sent, proto::Answer { seq: seq.0, at_ms: at, ..Default::default() })
        }
        Outcome::Conflict => (proto::Outcome::Conflict, proto::Answer::default()),
        Outcome::Refused(refusal) => {
            (proto::Outcome::Refused, proto::Answer { refusal: refusal.number(), ..Default::default() })
        }
        Outcome::Retry { after_ms } => {
            (proto::Outcome::Retry, proto::Answer { retry_after_ms: after_ms, ..Default::default() })
        }
    };
    proto::Answer { outcome: outcome.into(), ..fields }
}

impl From<(MessageId, Outcome)> for proto::Answer {
    fn from((message_id, outcome): (MessageId, Outcome)) -> Self {
        proto::Answer { message_id: message_id.wire(), ..outcome_fields(outcome) }
    }
}

/// Reads an answer. A refusal that a newer server names and this version does not know counts as
/// [`Refusal::Unplaceable`]: refused all the same.
///
/// # Errors
/// [`FrameError::BadField`] for a message id that is none, an unknown outcome, and SENT without a seq.
fn answer(answer: proto::Answer) -> Result<(MessageId, Outcome), FrameError> {
    let outcome = match proto::Outcome::try_from(answer.outcome) {
        Ok(proto::Outcome::Sent) if answer.seq == 0 => return Err(FrameError::BadField("seq")),
        Ok(proto::Outcome::Sent) => Outcome::Sent { seq: Seq(answer.seq), at: answer.at_ms },
        Ok(proto::Outcome::Conflict) => Outcome::Conflict,
        Ok(proto::Outcome::Refused) => {
            Outcome::Refused(Refusal::from_number(answer.refusal).unwrap_or(Refusal::Unplaceable))
        }
        Ok(proto::Outcome::Retry) => Outcome::Retry { after_ms: answer.retry_after_ms },
        Ok(proto::Outcome::Unspecified) | Err(_) => return Err(FrameError::BadField("outcome")),
    };
    Ok((id(&answer.message_id, "message_id")?, outcome))
}

/// Reads an Answers: the conversation, and what became of each draft.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, an unknown outcome, and SENT without a seq.
pub fn answers(answers: proto::Answers) -> Result<(ConversationId, Vec<(MessageId, Outcome)>), FrameError> {
    let conversation = id(&answers.conversation_id, "conversation_id")?;
    Ok((conversation, answers.answers.into_iter().map(answer).collect::<Result<_, _>>()?))
}

impl From<(ConversationId, Cursors)> for proto::Cursor {
    fn from((conversation, cursors): (ConversationId, Cursors)) -> Self {
        proto::Cursor { conversation_id: conversation.wire(), delivered: cursors.delivered.0, read: cursors.read.0 }
    }
}

fn cursors(list: Vec<proto::Cursor>) -> Result<Vec<(ConversationId, Cursors)>, FrameError> {
    let cursor = |c: proto::Cursor| {
        let cursors = Cursors { delivered: Seq(c.delivered), read: Seq(c.read) };
        Ok((id(&c.conversation_id, "conversation_id")?, cursors.normalized()))
    };
    list.into_iter().map(cursor).collect()
}

/// Reads an Advance; READ implies DELIVERED in what it gives.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, and when there is no cursor.
pub fn advance(advance: proto::Advance) -> Result<Vec<(ConversationId, Cursors)>, FrameError> {
    not_empty(&advance.cursors, "cursors")?;
    cursors(advance.cursors)
}

/// Reads an Advanced; READ implies DELIVERED in what it gives.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none.
pub fn advanced(advanced: proto::Advanced) -> Result<Vec<(ConversationId, Cursors)>, FrameError> {
    cursors(advanced.cursors)
}

impl From<Receipt> for proto::Receipt {
    fn from(receipt: Receipt) -> Self {
        proto::Receipt {
            conversation_id: receipt.conversation.wire(),
            user_id: receipt.user.0,
            delivered: receipt.cursors.delivered.0,
            read: receipt.cursors.read.0,
        }
    }
}

/// Reads a Receipts; READ implies DELIVERED in what it gives.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none.
pub fn receipts(receipts: proto::Receipts) -> Result<Vec<Receipt>, FrameError> {
    let receipt = |r: proto::Receipt| {
        let cursors = Cursors { delivered: Seq(r.delivered), read: Seq(r.read) };
        Ok(Receipt {
            conversation: id(&r.conversation_id, "conversation_id")?,
            user: UserId(r.user_id),
            cursors: cursors.normalized(),
        })
    };
    receipts.receipts.into_iter().map(receipt).collect()
}
