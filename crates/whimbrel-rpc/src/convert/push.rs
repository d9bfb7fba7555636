//! Pushes.

use std::sync::Arc;

use whimbrel_core::{
    ConversationId, ConversationKind, Delivery, GoodbyeCode, MessageId, Outcome, Receipt, Seq, SyncAnswer, UserId, View,
};

use super::common::{cursors, message, message_out, outcome};
use super::pb::push_item::{Body, To as PbTo};
use super::{Malformed, Result, all, each, id, need, out, part, pb};
use crate::{PushBody, PushItem, To};

impl From<&PushItem> for pb::PushItem {
    fn from(item: &PushItem) -> Self {
        Self { to: Some((&item.to).into()), body: Some((&item.body).into()) }
    }
}

impl TryFrom<pb::PushItem> for PushItem {
    type Error = Malformed;
    fn try_from(item: pb::PushItem) -> Result<Self> {
        Ok(Self { to: part("PushItem.to", item.to)?.try_into()?, body: part("PushItem.body", item.body)?.try_into()? })
    }
}

impl From<&To> for PbTo {
    fn from(to: &To) -> Self {
        match to {
            To::Sessions(sessions) if sessions.len() == 1 => Self::Session(out(sessions[0])),
            To::Sessions(sessions) => Self::Sessions(pb::Ids { of: sessions.iter().copied().map(out).collect() }),
            To::Users { users, except } => Self::Users(pb::Users {
                users: users.iter().map(|user| user.0).collect(),
                except: except.iter().copied().map(out).collect(),
            }),
            To::Device(user, device) => Self::Device(pb::Device { user: user.0, device: Some(out(*device)) }),
            To::Group(group) => Self::Group(group.as_ref().into()),
        }
    }
}

impl TryFrom<PbTo> for To {
    type Error = Malformed;
    fn try_from(to: PbTo) -> Result<Self> {
        Ok(match to {
            PbTo::Session(session) => To::Sessions(std::iter::once(id(session)).collect()),
            PbTo::Sessions(ids) => To::Sessions(ids.of.into_iter().map(id).collect()),
            PbTo::Users(pb::Users { users, except }) => To::Users {
                users: users.into_iter().map(UserId).collect(),
                except: except.into_iter().map(id).collect(),
            },
            PbTo::Device(pb::Device { user, device }) => To::Device(UserId(user), need("Device.device", device)?),
            PbTo::Group(group) => To::Group(Box::new(group.try_into()?)),
        })
    }
}

impl From<&PushBody> for Body {
    fn from(body: &PushBody) -> Self {
        match body {
            PushBody::Answers { conversation, answers } => {
                Self::Answers(pb::Answers { conversation: Some(out(*conversation)), of: each(answers) })
            }
            PushBody::Deliver(delivery) => Self::Deliver(pb::Delivery {
                conversation: Some(out(delivery.conversation)),
                messages: messages_out(&delivery.messages, delivery.conversation),
            }),
            PushBody::Receipts(receipts) => Self::Receipts(pb::Receipts { of: each(receipts) }),
            PushBody::Signal(signal) => Self::Signal(signal.as_ref().into()),
            PushBody::Advanced(of) => Self::Advanced(pb::ConversationCursorsList { of: each(of) }),
            PushBody::Synced(answer) => {
                Self::Synced(pb::SyncAnswer { id: answer.id, views: each(&answer.views), next: answer.next.map(out) })
            }
            PushBody::Poke => Self::Poke(pb::Nothing {}),
            PushBody::Close { code, retry_after_ms } => {
                Self::Close(pb::Close { code: code.0, retry_after_ms: *retry_after_ms })
            }
        }
    }
}

impl TryFrom<Body> for PushBody {
    type Error = Malformed;
    fn try_from(body: Body) -> Result<Self> {
        Ok(match body {
            Body::Answers(pb::Answers { conversation, of }) => PushBody::Answers {
                conversation: need("Answers.conversation", conversation)?,
                answers: all(of, answer)?,
            },
            Body::Deliver(pb::Delivery { conversation, messages: list }) => {
                let conversation = need("Delivery.conversation", conversation)?;
                PushBody::Deliver(Arc::new(Delivery { conversation, messages: messages(list, conversation)? }))
            }
            Body::Receipts(receipts) => PushBody::Receipts(all(receipts.of, TryInto::try_into)?),
            Body::Signal(signal) => PushBody::Signal(Arc::new(signal.try_into()?)),
            Body::Advanced(list) => PushBody::Advanced(cursors(list)?),
            Body::Synced(pb::SyncAnswer { id: number, views, next }) => {
                let views = all(views, TryInto::try_into)?;
                PushBody::Synced(Box::new(SyncAnswer { id: number, views, next: next.map(id) }))
            }
            Body::Poke(pb::Nothing {}) => PushBody::Poke,
            Body::Close(pb::Close { code, retry_after_ms }) => {
                PushBody::Close { code: GoodbyeCode(code), retry_after_ms }
            }
        })
    }
}

impl From<&(MessageId, Outcome)> for pb::DraftOutcome {
    fn from((message_id, outcome): &(MessageId, Outcome)) -> Self {
        Self { message_id: Some(out(*message_id)), outcome: Some(outcome.into()) }
    }
}

fn answer(answer: pb::DraftOutcome) -> Result<(MessageId, Outcome)> {
    Ok((need("DraftOutcome.message_id", answer.message_id)?, outcome(answer.outcome)?))
}

fn messages_out(messages: &[whimbrel_core::Message], within: ConversationId) -> Vec<pb::Message> {
    messages.iter().map(|message| message_out(message, Some(within))).collect()
}

fn messages(list: Vec<pb::Message>, within: ConversationId) -> Result<Vec<whimbrel_core::Message>> {
    all(list, |came| message(came, Some(within)))
}

impl From<&Receipt> for pb::Receipt {
    fn from(receipt: &Receipt) -> Self {
        Self {
            conversation: Some(out(receipt.conversation)),
            user: receipt.user.0,
            cursors: Some((&receipt.cursors).into()),
        }
    }
}

impl TryFrom<pb::Receipt> for Receipt {
    type Error = Malformed;
    fn try_from(receipt: pb::Receipt) -> Result<Self> {
        Ok(Self {
            conversation: need("Receipt.conversation", receipt.conversation)?,
            user: UserId(receipt.user),
            cursors: part("Receipt.cursors", receipt.cursors)?.into(),
        })
    }
}

impl From<&View> for pb::View {
    fn from(view: &View) -> Self {
        Self {
            conversation: Some(out(view.conversation)),
            kind: view.kind as u32,
            peer: view.peer.map(|peer| peer.0),
            head: view.head.0,
            head_at: view.head_at,
            floor: view.floor.0,
            own: Some((&view.own).into()),
            unread: view.unread,
            peer_cursors: Some((&view.peer_cursors).into()),
            reset: view.reset,
            messages: messages_out(&view.messages, view.conversation),
            complete: view.complete,
        }
    }
}

impl TryFrom<pb::View> for View {
    type Error = Malformed;
    fn try_from(view: pb::View) -> Result<Self> {
        let conversation = need("View.conversation", view.conversation)?;
        let kind = u8::try_from(view.kind).ok().and_then(ConversationKind::from_number);
        Ok(Self {
            conversation,
            kind: part("View.kind", kind)?,
            peer: view.peer.map(UserId),
            head: Seq(view.head),
            head_at: view.head_at,
            floor: Seq(view.floor),
            own: part("View.own", view.own)?.into(),
            unread: view.unread,
            peer_cursors: part("View.peer_cursors", view.peer_cursors)?.into(),
            reset: view.reset,
            messages: messages(view.messages, conversation)?,
            complete: view.complete,
        })
    }
}
