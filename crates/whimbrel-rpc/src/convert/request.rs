//! What clients ask for.

use whimbrel_core::{Known, Seq, SyncQuestion};

use super::common::cursors;
use super::pb::request::Body;
use super::{Malformed, Result, all, each, id, need, out, part, pb};
use crate::{Request, RequestBody};

impl From<&Request> for pb::Request {
    fn from(request: &Request) -> Self {
        let body = match &request.body {
            RequestBody::Send { conversation, drafts } => {
                Body::Send(pb::Send { conversation: Some(out(*conversation)), drafts: each(drafts) })
            }
            RequestBody::Advance(of) => Body::Advance(pb::ConversationCursorsList { of: each(of) }),
            RequestBody::Sync(question) => Body::Sync(question.into()),
            RequestBody::Signal { conversation, body } => {
                Body::Signal(pb::SignalBody { conversation: Some(out(*conversation)), body: body.clone() })
            }
        };
        Self { from: Some((&request.from).into()), body: Some(body) }
    }
}

impl TryFrom<pb::Request> for Request {
    type Error = Malformed;
    fn try_from(request: pb::Request) -> Result<Self> {
        let body = match part("Request.body", request.body)? {
            Body::Send(pb::Send { conversation, drafts }) => RequestBody::Send {
                conversation: need("Send.conversation", conversation)?,
                drafts: all(drafts, TryInto::try_into)?,
            },
            Body::Advance(list) => RequestBody::Advance(cursors(list)?),
            Body::Sync(question) => RequestBody::Sync(question.try_into()?),
            Body::Signal(pb::SignalBody { conversation, body }) => {
                RequestBody::Signal { conversation: need("SignalBody.conversation", conversation)?, body }
            }
        };
        Ok(Self { from: part("Request.from", request.from)?.try_into()?, body })
    }
}

impl From<&SyncQuestion> for pb::SyncQuestion {
    fn from(question: &SyncQuestion) -> Self {
        Self {
            id: question.id,
            after: question.after.map(out),
            until: question.until.map(out),
            known: each(&question.known),
            only_known: question.only_known,
            max_messages: question.max_messages as u64,
        }
    }
}

impl TryFrom<pb::SyncQuestion> for SyncQuestion {
    type Error = Malformed;
    fn try_from(question: pb::SyncQuestion) -> Result<Self> {
        Ok(Self {
            id: question.id,
            after: question.after.map(id),
            until: question.until.map(id),
            known: all(question.known, TryInto::try_into)?,
            only_known: question.only_known,
            max_messages: usize::try_from(question.max_messages).map_err(|_| Malformed("SyncQuestion.max_messages"))?,
        })
    }
}

impl From<&Known> for pb::Known {
    fn from(known: &Known) -> Self {
        Self {
            conversation: Some(out(known.conversation)),
            cursor: known.cursor.0,
            message_id: known.message_id.map(out),
        }
    }
}

impl TryFrom<pb::Known> for Known {
    type Error = Malformed;
    fn try_from(known: pb::Known) -> Result<Self> {
        Ok(Self {
            conversation: need("Known.conversation", known.conversation)?,
            cursor: Seq(known.cursor),
            message_id: known.message_id.map(id),
        })
    }
}
