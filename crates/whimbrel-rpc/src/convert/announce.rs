//! What has become true.

use whimbrel_core::{CursorMoved, GoodbyeCode, UserId};

use super::common::{audience, outcome};
use super::{Malformed, Result, all, each, id, need, out, part, pb};
use crate::{DraftPlaced, PlacedBatch, Revoked, Through, Told};

impl From<&PlacedBatch> for pb::PlacedBatch {
    fn from(batch: &PlacedBatch) -> Self {
        Self {
            batch: batch.batch.map(out),
            transfer: batch.transfer.map(out),
            outcomes: each(&batch.outcomes),
            rows: each(&batch.rows),
        }
    }
}

/// What one record led to.
pub(crate) fn placed_batch(batch: pb::PlacedBatch) -> Result<PlacedBatch> {
    Ok(PlacedBatch {
        batch: batch.batch.map(id),
        transfer: batch.transfer.map(id),
        outcomes: all(batch.outcomes, TryInto::try_into)?,
        rows: all(batch.rows, TryInto::try_into)?,
    })
}

impl From<&DraftPlaced> for pb::DraftPlaced {
    fn from(draft: &DraftPlaced) -> Self {
        Self {
            conversation: Some(out(draft.conversation)),
            sender: draft.sender.0,
            device: Some(out(draft.device)),
            message_id: Some(out(draft.message_id)),
            outcome: Some((&draft.outcome).into()),
        }
    }
}

impl TryFrom<pb::DraftPlaced> for DraftPlaced {
    type Error = Malformed;
    fn try_from(draft: pb::DraftPlaced) -> Result<Self> {
        Ok(Self {
            conversation: need("DraftPlaced.conversation", draft.conversation)?,
            sender: UserId(draft.sender),
            device: need("DraftPlaced.device", draft.device)?,
            message_id: need("DraftPlaced.message_id", draft.message_id)?,
            outcome: outcome(draft.outcome)?,
        })
    }
}

impl From<&CursorMoved> for pb::CursorMoved {
    fn from(moved: &CursorMoved) -> Self {
        Self {
            conversation: Some(out(moved.conversation)),
            user: moved.user.0,
            cursors: Some((&moved.cursors).into()),
            audience: Some((&moved.audience).into()),
        }
    }
}

impl TryFrom<pb::CursorMoved> for CursorMoved {
    type Error = Malformed;
    fn try_from(moved: pb::CursorMoved) -> Result<Self> {
        Ok(Self {
            conversation: need("CursorMoved.conversation", moved.conversation)?,
            user: UserId(moved.user),
            cursors: part("CursorMoved.cursors", moved.cursors)?.into(),
            audience: audience(moved.audience)?,
        })
    }
}

impl From<&Revoked> for pb::Revoked {
    fn from(revoked: &Revoked) -> Self {
        Self { user: revoked.user.0, device: revoked.device.map(out), code: revoked.code.0 }
    }
}

impl From<pb::Revoked> for Revoked {
    fn from(revoked: pb::Revoked) -> Self {
        Self { user: UserId(revoked.user), device: revoked.device.map(id), code: GoodbyeCode(revoked.code) }
    }
}

/// Which connectors, on its way out.
pub(crate) fn through_out(through: &Through) -> Option<pb::Through> {
    Some(match through {
        Through::All => pb::Through { only: None },
        Through::Only(connectors) => {
            pb::Through { only: Some(pb::Ids { of: connectors.iter().copied().map(out).collect() }) }
        }
    })
}

/// Which connectors.
pub(crate) fn through(through: Option<pb::Through>) -> Result<Through> {
    Ok(match part("through", through)?.only {
        None => Through::All,
        Some(only) => Through::Only(only.of.into_iter().map(id).collect()),
    })
}

impl From<&Told> for pb::Told {
    fn from(told: &Told) -> Self {
        Self {
            id: 0,
            offline: told.offline.iter().map(|user| user.0).collect(),
            unreached: told.unreached.iter().copied().map(out).collect(),
            blind: told.blind,
            expelled: false,
        }
    }
}

/// Who could not be told.
pub(crate) fn told(told: pb::Told) -> Told {
    Told {
        offline: told.offline.into_iter().map(UserId).collect(),
        unreached: told.unreached.into_iter().map(id).collect(),
        blind: told.blind,
    }
}
