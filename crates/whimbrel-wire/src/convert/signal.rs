//! Signals: what passes and is not stored.

use bytes::Bytes;
use whimbrel_core::limits::SIGNAL_MAX;
use whimbrel_core::{ConversationId, Signal, UserId};

use super::{WireId, id};
use crate::{FrameError, proto};

/// Reads a client's Signal: where to, and what.
///
/// # Errors
/// [`FrameError::BadField`] for a conversation id that is none, and for a body that is empty or longer than
/// [`SIGNAL_MAX`].
pub fn signal(signal: proto::Signal) -> Result<(ConversationId, Bytes), FrameError> {
    let conversation = id(&signal.conversation_id, "conversation_id")?;
    if signal.body.is_empty() || signal.body.len() > SIGNAL_MAX {
        return Err(FrameError::BadField("body"));
    }
    Ok((conversation, signal.body))
}

/// Reads a server's Signaled.
///
/// # Errors
/// [`FrameError::BadField`] for ids that are none.
pub fn signaled(signaled: proto::Signaled) -> Result<Signal, FrameError> {
    Ok(Signal {
        conversation: id(&signaled.conversation_id, "conversation_id")?,
        user: UserId(signaled.user_id),
        device: id(&signaled.device_id, "device_id")?,
        body: signaled.body,
    })
}

impl From<Signal> for proto::Signaled {
    fn from(signal: Signal) -> Self {
        proto::Signaled {
            conversation_id: signal.conversation.wire(),
            user_id: signal.user.0,
            device_id: signal.device.wire(),
            body: signal.body,
        }
    }
}
