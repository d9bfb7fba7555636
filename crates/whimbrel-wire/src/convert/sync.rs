//! Sync and its answer.

use bytes::Bytes;
use whimbrel_core::limits::SYNC_MESSAGES_MAX;
use whimbrel_core::{ConversationId, ConversationKind, Cursors, Known, Seq, SyncAnswer, SyncQuestion, UserId, View};

use super::{WireId, id, message, optional_id};
use crate::{FrameError, proto};

fn wire_or_empty(id: Option<ConversationId>) -> Bytes {
    id.map_or_else(Bytes::new, |id| id.wire())
}

impl From<SyncQuestion> for proto::Sync {
    fn from(sync: SyncQuestion) -> Self {
        proto::Sync {
            id: sync.id,
            after: wire_or_empty(sync.after),
            until: wire_or_empty(sync.until),
            known: sync.known.into_iter().map(Into::into).collect(),
            only_known: sync.only_known,
            max_messages: u32::try_from(sync.max_messages).unwrap_or(u32::MAX),
        }
    }
}

impl From<Known> for proto::Known {
    fn from(known: Known) -> Self {
        proto::Known {
            conversation_id: known.conversation.wire(),
            cursor: known.cursor.0,
            message_id: known.message_id.map_or_else(Bytes::new, |id| id.wire()),
        }
    }
}

/// Reads a Sync. Its `max_messages` is clamped to [`SYNC_MESSAGES_MAX`], which is also what 0 asks for.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, a range that is none, and conversations that are not in order,
/// named twice, or outside of the range.
pub fn sync(sync: proto::Sync) -> Result<SyncQuestion, FrameError> {
    let after = optional_id(&sync.after, "after")?;
    let until: Option<ConversationId> = optional_id(&sync.until, "until")?;
    if until.is_some() && after >= until {
        return Err(FrameError::BadField("until"));
    }
    let mut known: Vec<Known> = Vec::with_capacity(sync.known.len());
    let mut last = after;
    for entry in sync.known {
        let conversation = id(&entry.conversation_id, "conversation_id")?;
        if last >= Some(conversation) || until.is_some_and(|until| conversation > until) {
            return Err(FrameError::BadField("known"));
        }
        last = Some(conversation);
        let message_id = optional_id(&entry.message_id, "message_id")?;
        known.push(Known { conversation, cursor: Seq(entry.cursor), message_id });
    }
    let max_messages = match sync.max_messages as usize {
        0 => SYNC_MESSAGES_MAX,
        max => max.min(SYNC_MESSAGES_MAX),
    };
    Ok(SyncQuestion { id: sync.id, after, until, known, only_known: sync.only_known, max_messages })
}

impl From<SyncAnswer> for proto::Synced {
    fn from(synced: SyncAnswer) -> Self {
        proto::Synced {
            id: synced.id,
            views: synced.views.into_iter().map(Into::into).collect(),
            next: wire_or_empty(synced.next),
        }
    }
}

fn kind_to_wire(kind: ConversationKind) -> proto::ConversationKind {
    match kind {
        ConversationKind::Direct => proto::ConversationKind::Direct,
        ConversationKind::Private => proto::ConversationKind::Private,
        ConversationKind::Group => proto::ConversationKind::Group,
    }
}

impl From<View> for proto::View {
    fn from(view: View) -> Self {
        proto::View {
            conversation_id: view.conversation.wire(),
            kind: kind_to_wire(view.kind).into(),
            peer: view.peer.map_or(0, |user| user.0),
            head: view.head.0,
            head_at_ms: view.head_at,
            floor: view.floor.0,
            delivered: view.own.delivered.0,
            read: view.own.read.0,
            unread: view.unread,
            peer_delivered: view.peer_cursors.delivered.0,
            peer_read: view.peer_cursors.read.0,
            reset: view.reset,
            messages: view.messages.into_iter().map(Into::into).collect(),
            complete: view.complete,
        }
    }
}

/// Reads a Synced. Views of a kind that this version does not know are left out, so that a later version's
/// conversations do not end an earlier client's sessions.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none, and for messages with seq 0.
pub fn synced(synced: proto::Synced) -> Result<SyncAnswer, FrameError> {
    let views = synced.views.into_iter().filter_map(|v| view(v).transpose()).collect::<Result<_, _>>()?;
    Ok(SyncAnswer { id: synced.id, views, next: optional_id(&synced.next, "next")? })
}

fn view(view: proto::View) -> Result<Option<View>, FrameError> {
    let conversation = id(&view.conversation_id, "conversation_id")?;
    let kind = u8::try_from(view.kind).ok().and_then(ConversationKind::from_number);
    let Some(kind) = kind else { return Ok(None) };
    let messages = view.messages.into_iter().map(|m| message(conversation, m)).collect::<Result<_, _>>()?;
    Ok(Some(View {
        conversation,
        kind,
        peer: (view.peer != 0).then_some(UserId(view.peer)),
        head: Seq(view.head),
        head_at: view.head_at_ms,
        floor: Seq(view.floor),
        own: Cursors { delivered: Seq(view.delivered), read: Seq(view.read) },
        unread: view.unread,
        peer_cursors: Cursors { delivered: Seq(view.peer_delivered), read: Seq(view.peer_read) },
        reset: view.reset,
        messages,
        complete: view.complete,
    }))
}
