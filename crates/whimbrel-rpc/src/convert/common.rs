//! Parts of several messages.

use whimbrel_core::{
    Audience, ConversationId, Cursors, Draft, Message, MessageKind, Outcome, PlacedRow, Refusal, Seq, UserId,
};

use super::pb::outcome::What;
use super::{Malformed, Result, need, out, part, pb};
use crate::SessionRef;

impl From<&SessionRef> for pb::SessionRef {
    fn from(session: &SessionRef) -> Self {
        Self { session: Some(out(session.session)), user: session.user.0, device: Some(out(session.device)) }
    }
}

impl TryFrom<pb::SessionRef> for SessionRef {
    type Error = Malformed;
    fn try_from(session: pb::SessionRef) -> Result<Self> {
        Ok(Self {
            session: need("SessionRef.session", session.session)?,
            user: super::user("SessionRef.user", session.user)?,
            device: need("SessionRef.device", session.device)?,
        })
    }
}

impl From<&Cursors> for pb::Cursors {
    fn from(cursors: &Cursors) -> Self {
        Self { delivered: cursors.delivered.0, read: cursors.read.0 }
    }
}

impl From<pb::Cursors> for Cursors {
    fn from(cursors: pb::Cursors) -> Self {
        Self { delivered: Seq(cursors.delivered), read: Seq(cursors.read) }
    }
}

impl From<&(ConversationId, Cursors)> for pb::ConversationCursors {
    fn from((conversation, cursors): &(ConversationId, Cursors)) -> Self {
        Self { conversation: Some(out(*conversation)), cursors: Some(cursors.into()) }
    }
}

/// Cursors by conversation.
pub(super) fn cursors(list: pb::ConversationCursorsList) -> Result<Vec<(ConversationId, Cursors)>> {
    super::all(list.of, |entry| {
        let conversation = need("ConversationCursors.conversation", entry.conversation)?;
        Ok((conversation, part("ConversationCursors.cursors", entry.cursors)?.into()))
    })
}

impl From<&Draft> for pb::Draft {
    fn from(draft: &Draft) -> Self {
        Self {
            message_id: Some(out(draft.message_id)),
            kind: draft.kind.0,
            key_version: draft.key_version,
            body: draft.body.clone(),
        }
    }
}

impl TryFrom<pb::Draft> for Draft {
    type Error = Malformed;
    fn try_from(draft: pb::Draft) -> Result<Self> {
        Ok(Self {
            message_id: need("Draft.message_id", draft.message_id)?,
            kind: MessageKind(draft.kind),
            key_version: draft.key_version,
            body: draft.body,
        })
    }
}

/// A message that stands in something of the conversation `within`, if that is one of a single conversation.
pub(super) fn message_out(message: &Message, within: Option<ConversationId>) -> pb::Message {
    pb::Message {
        conversation: (within != Some(message.conversation)).then(|| out(message.conversation)),
        seq: message.seq.0,
        sender: message.sender.0,
        device: Some(out(message.device)),
        message_id: Some(out(message.message_id)),
        kind: message.kind.0,
        key_version: message.key_version,
        body: message.body.clone(),
        at: message.at,
    }
}

/// The other way.
pub(super) fn message(message: pb::Message, within: Option<ConversationId>) -> Result<Message> {
    let conversation = message.conversation.map(super::id).or(within);
    Ok(Message {
        conversation: part("Message.conversation", conversation)?,
        seq: Seq(message.seq),
        sender: UserId(message.sender),
        device: need("Message.device", message.device)?,
        message_id: need("Message.message_id", message.message_id)?,
        kind: MessageKind(message.kind),
        key_version: message.key_version,
        body: message.body,
        at: message.at,
    })
}

impl From<&Outcome> for pb::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let what = match *outcome {
            Outcome::Sent { seq, at } => What::Sent(pb::Sent { seq: seq.0, at }),
            Outcome::Conflict => What::Conflict(pb::Nothing {}),
            Outcome::Refused(refusal) => What::Refused(refusal.number()),
            Outcome::Retry { after_ms } => What::RetryAfterMs(after_ms),
        };
        Self { what: Some(what) }
    }
}

/// What became of a draft.
pub(super) fn outcome(outcome: Option<pb::Outcome>) -> Result<Outcome> {
    Ok(match part("Outcome.what", outcome.and_then(|outcome| outcome.what))? {
        What::Sent(pb::Sent { seq, at }) => Outcome::Sent { seq: Seq(seq), at },
        What::Conflict(pb::Nothing {}) => Outcome::Conflict,
        What::Refused(number) => Outcome::Refused(part("Outcome.refused", Refusal::from_number(number))?),
        What::RetryAfterMs(after_ms) => Outcome::Retry { after_ms },
    })
}

impl From<&Audience> for pb::Audience {
    fn from(audience: &Audience) -> Self {
        match *audience {
            Audience::One(first) => Self { first: first.0, second: None, group: None },
            Audience::Two(first, second) => Self { first: first.0, second: Some(second.0), group: None },
            Audience::Group { revision, size } => {
                Self { first: 0, second: None, group: Some(pb::GroupAudience { revision: revision.0, size }) }
            }
        }
    }
}

/// Who is owed something.
pub(super) fn audience(audience: Option<pb::Audience>) -> Result<Audience> {
    let pb::Audience { first, second, group } = part("audience", audience)?;
    Ok(match (group, second) {
        (Some(pb::GroupAudience { revision, size }), _) => Audience::Group { revision: Seq(revision), size },
        (None, None) => Audience::One(UserId(first)),
        (None, Some(second)) => Audience::Two(UserId(first), UserId(second)),
    })
}

impl From<&PlacedRow> for pb::PlacedRow {
    fn from(row: &PlacedRow) -> Self {
        Self {
            message: Some(message_out(&row.message, None)),
            audience: Some((&row.audience).into()),
            change: row.change.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<pb::PlacedRow> for PlacedRow {
    type Error = Malformed;
    fn try_from(row: pb::PlacedRow) -> Result<Self> {
        let row_message = part("PlacedRow.message", row.message)?;
        Ok(Self {
            message: message(row_message, None)?,
            audience: audience(row.audience)?,
            change: super::group::change(row.change),
        })
    }
}
