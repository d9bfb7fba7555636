//! Up to where a conversation's messages go.

use std::time::Duration;

use whimbrel_core::Seq;
use whimbrel_store::StoreError;
use whimbrel_store::keeping::Kept;

use super::Retention;

impl Retention {
    /// The floor that this conversation is to have; never below the one that it has.
    pub(super) async fn goal(&self, kept: &Kept, now: u64) -> Result<Seq, StoreError> {
        let keep = self.config.keep(kept.kind).and(kept.keep);
        let young = now.saturating_sub(ms(self.config.young));
        let Some(oldest_at) = kept.oldest_at.filter(|oldest_at| *oldest_at < young) else { return Ok(kept.floor) };
        let mut goal = kept.floor;
        let old = if keep.age_ms > 0 { now.saturating_sub(keep.age_ms).min(young) } else { 0 };
        if oldest_at < old {
            goal = goal.max(self.last_before(kept, old).await?);
        }
        let far = Seq(kept.head.0.saturating_sub(keep.messages));
        if keep.messages > 0 && far > goal {
            goal = goal.max(far.min(self.last_before(kept, young).await?));
        }
        Ok(goal)
    }

    /// The last row above the floor that was placed before this time.
    async fn last_before(&self, kept: &Kept, at: u64) -> Result<Seq, StoreError> {
        let since = self.keeping.first_since(kept.id, kept.floor, kept.head, at).await?;
        Ok(Seq(since.0.saturating_sub(1)))
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
