//! History: from this device's own store where it has it, else from the server.
//!
//! What lies next to the device's run is taken into it: the run grows downwards, without a gap, and from then on is read
//! here. What lies farther away is shown and not kept, so that the run stays one; with it come the follow-ups of its
//! messages, wherever they stand, and the picture is that of a device which was there all along.
//!
//! So is what was said in an earlier time in a group that one left and came back to: what stands between is not for this
//! user, so it never becomes part of the run. Whoever scrolls comes from the first message of one time to the last of the
//! one before.

use whimbrel_core::{ConversationId, Message, Seq};

use super::{Client, MESSAGES_MAX};
use crate::driver::Command;
use crate::error::Error;
use crate::history::{History, HistoryAt};
use crate::message::show;
use crate::picture::{Picture, Pictured, is_item};

/// Rows that one request brings, at most.
const PAGE: usize = 500;
/// Rows that are read from the store at once, going backwards.
const BACK: u64 = 128;

/// What the store has of a conversation: `low ..= high`, nothing when `low` is beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// What became of a try to make the run longer.
enum Extended {
    /// It begins here now.
    To(u64),
    /// Nothing older is there.
    Whole,
    /// The store does not keep more; or what is older is of an earlier time in the group, and not next to the run.
    NotKept,
}

impl Client {
    /// A page of at most `limit` (and [`MESSAGES_MAX`]) messages, wherever it lies: from this device's store as far as
    /// that reaches, from the server beyond it. Pages lead to each other by [`History::older`] and [`History::newer`].
    ///
    /// What comes from the server and lies next to what this device has is kept here from then on. Of other pages nothing
    /// is kept: after an [`Event::Changed`](crate::Event::Changed) about one of their messages ask again, with
    /// [`HistoryAt::Around`] and a limit of 1.
    ///
    /// # Errors
    /// [`Error::UnknownConversation`], [`Error::Store`]; [`Error::Http`] and [`Error::Api`] when the server is needed and
    /// cannot be asked, or says no. What the store has is given without it.
    pub async fn history(&self, conversation: ConversationId, at: HistoryAt, limit: usize) -> Result<History, Error> {
        let limit = limit.clamp(1, MESSAGES_MAX);
        let run = self.run(conversation).await?;
        match at {
            HistoryAt::Newest => self.before(conversation, run, run.high + 1, limit).await,
            HistoryAt::Before(seq) => self.before(conversation, run, seq.0, limit).await,
            HistoryAt::After(seq) => self.after(conversation, run, seq.0, limit).await,
            HistoryAt::Around(seq) => self.around(conversation, run, seq.0, limit).await,
            HistoryAt::At(ms) => {
                let seq = self.first_since(conversation, run, ms).await?;
                self.after(conversation, run, seq.saturating_sub(1), limit).await
            }
        }
    }

    async fn run(&self, conversation: ConversationId) -> Result<Run, Error> {
        let rows = self.inner.store.conversations().await?;
        let row = rows.into_iter().find(|row| row.id == conversation);
        let row = row.ok_or(Error::UnknownConversation(conversation))?;
        let first = self.inner.store.messages(conversation, Seq::ZERO, 1).await?;
        let low = first.first().map_or(row.cursor.0 + 1, |first| first.seq.0);
        Ok(Run { low, high: row.cursor.0 })
    }

    async fn before(
        &self,
        conversation: ConversationId,
        mut run: Run,
        before: u64,
        limit: usize,
    ) -> Result<History, Error> {
        let before = before.min(run.high + 1);
        if before < run.low {
            return self.far_before(conversation, before, limit).await;
        }
        loop {
            let rows = self.stored_before(conversation, run, before, limit).await?;
            let next = rows.first().map_or(run.low, |first| first.seq.0);
            if rows.len() >= limit || run.low == 1 {
                let older = Some(Seq(next)).filter(|older| older.0 > 1);
                return self.near(conversation, rows, older, before, run).await;
            }
            match self.extend(conversation, run).await {
                Ok(Extended::To(low)) => run.low = low,
                Ok(Extended::Whole) => return self.near(conversation, rows, None, before, run).await,
                Ok(Extended::NotKept) => {
                    let mut older = self.far_before(conversation, run.low, limit - rows.len()).await?;
                    let near = self.near(conversation, rows, None, before, run).await?;
                    older.items.extend(near.items);
                    older.newer = near.newer;
                    return Ok(older);
                }
                Err(error) if rows.is_empty() => return Err(error),
                Err(error) => {
                    tracing::debug!(%conversation, error = &error as &dyn std::error::Error, "no older messages for now");
                    return self.near(conversation, rows, Some(Seq(run.low)), before, run).await;
                }
            }
        }
    }

    /// A page whose messages are stored here, before this place.
    async fn near(
        &self,
        conversation: ConversationId,
        rows: Vec<Message>,
        older: Option<Seq>,
        before: u64,
        run: Run,
    ) -> Result<History, Error> {
        let items = self.fold(conversation, rows).await?;
        let newer = (before <= run.high).then(|| Seq(before.saturating_sub(1)));
        Ok(History { items, older, newer })
    }

    /// The last `limit` messages of the store before a place.
    pub(super) async fn stored_before(
        &self,
        conversation: ConversationId,
        run: Run,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let (mut found, mut upto) = (Vec::new(), before);
        while found.len() < limit && upto > run.low {
            let from = upto.saturating_sub(BACK).max(run.low);
            let rows = self.inner.store.messages(conversation, Seq(from - 1), (upto - from) as usize).await?;
            found.extend(rows.into_iter().filter(|row| is_item(row.kind)).rev());
            upto = from;
        }
        found.truncate(limit);
        found.reverse();
        Ok(found)
    }

    /// Takes what lies before the run into it.
    async fn extend(&self, conversation: ConversationId, run: Run) -> Result<Extended, Error> {
        let store = &self.inner.store;
        // With the run's own first message: a server that was restored from a backup may have another one there.
        let known =
            store.messages(conversation, Seq(run.low - 1), 1).await?.into_iter().find(|row| row.seq.0 == run.low);
        let before = Seq(run.low + u64::from(known.is_some()));
        let page = self.rest().history(conversation, HistoryAt::Before(before), PAGE).await?;
        let mut messages = page.messages;
        if let Some(known) = known {
            match messages.pop() {
                Some(same) if same.message_id == known.message_id => {}
                _ => return Ok(Extended::NotKept),
            }
        }
        if messages.is_empty() {
            return Ok(if page.older.is_some() { Extended::NotKept } else { Extended::Whole });
        }
        self.ask(|reply| Command::Older { conversation, messages, reply }).await??;
        let low = self.run(conversation).await?.low;
        Ok(if low < run.low { Extended::To(low) } else { Extended::NotKept })
    }

    async fn after(&self, conversation: ConversationId, run: Run, after: u64, limit: usize) -> Result<History, Error> {
        if after + 1 < run.low {
            return self.far_after(conversation, run, after, limit).await;
        }
        let items = self.picture(conversation, Seq(after), limit).await?;
        let newer = items.last().filter(|last| items.len() >= limit && last.seq.0 < run.high).map(|last| last.seq);
        Ok(History { older: Some(Seq(after + 1)).filter(|older| older.0 > 1), newer, items })
    }

    async fn around(&self, conversation: ConversationId, run: Run, seq: u64, limit: usize) -> Result<History, Error> {
        let mut page = match limit / 2 {
            0 => History { older: Some(Seq(seq)).filter(|older| older.0 > 1), ..History::default() },
            half => self.before(conversation, run, seq, half).await?,
        };
        // What came before may be stored here now.
        let run = self.run(conversation).await?;
        let newer = self.after(conversation, run, seq.saturating_sub(1), limit - page.items.len()).await?;
        page.items.extend(newer.items);
        page.newer = newer.newer;
        Ok(page)
    }

    /// The first place of this time or later; behind the end, if there is none.
    async fn first_since(&self, conversation: ConversationId, run: Run, ms: u64) -> Result<u64, Error> {
        let store = &self.inner.store;
        let oldest = store.messages(conversation, Seq(run.low - 1), 1).await?;
        if !oldest.first().is_some_and(|oldest| oldest.at < ms || oldest.seq.0 == 1) {
            let page = self.rest().history(conversation, HistoryAt::At(ms), 1).await?;
            return Ok(page.messages.first().map_or(run.high + 1, |first| first.seq.0));
        }
        self.stored_since(conversation, run, ms).await
    }

    /// The first place of the run of this time or later; behind its end, if there is none.
    pub(super) async fn stored_since(&self, conversation: ConversationId, run: Run, ms: u64) -> Result<u64, Error> {
        let (mut low, mut high) = (run.low, run.high + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.inner.store.messages(conversation, Seq(middle - 1), 1).await?;
            match found.first() {
                Some(row) if row.at >= ms => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }
}

/// Pages that are not kept.
impl Client {
    async fn far_before(&self, conversation: ConversationId, before: u64, limit: usize) -> Result<History, Error> {
        let (mut found, mut next) = (Vec::new(), Some(Seq(before)));
        while let Some(before) = next.filter(|_| found.len() < limit) {
            let page = self.rest().history(conversation, HistoryAt::Before(before), PAGE).await?;
            next = page.older.filter(|older| *older < before);
            found.extend(page.messages.into_iter().rev().filter(|row| is_item(row.kind)));
        }
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|oldest| oldest.seq);
        }
        found.reverse();
        let items = self.far(conversation, found).await?;
        Ok(History { items, older: next, newer: Some(Seq(before.saturating_sub(1))) })
    }

    async fn far_after(
        &self,
        conversation: ConversationId,
        run: Run,
        after: u64,
        limit: usize,
    ) -> Result<History, Error> {
        let (mut found, mut next) = (Vec::new(), Some(Seq(after)));
        while let Some(after) = next.filter(|_| found.len() < limit) {
            let page = self.rest().history(conversation, HistoryAt::After(after), PAGE).await?;
            next = page.newer.filter(|newer| *newer > after);
            // From the run's beginning on the store has them, and newer ones besides.
            let reaches = page.messages.last().is_some_and(|last| last.seq.0 + 1 >= run.low);
            found.extend(page.messages.into_iter().filter(|row| is_item(row.kind) && row.seq.0 < run.low));
            if reaches {
                next = (run.low <= run.high).then(|| Seq(run.low - 1));
                break;
            }
        }
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|newest| newest.seq);
        }
        let mut page = History { items: self.far(conversation, found).await?, older: None, newer: next };
        page.older = Some(Seq(after + 1)).filter(|older| older.0 > 1);
        if let (true, Some(next)) = (page.items.is_empty(), page.newer) {
            // All of it was about other messages.
            let near = self.picture(conversation, next, limit).await?;
            page.newer = near.last().filter(|last| last.seq.0 < run.high).map(|last| last.seq);
            page.items = near;
        }
        Ok(page)
    }

    /// Messages that are not stored here, with all that is about them.
    async fn far(&self, conversation: ConversationId, rows: Vec<Message>) -> Result<Vec<Pictured>, Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let (range, rest) = ((first.seq, last.seq), self.rest());
        let (mut about, mut next) = (Vec::new(), None);
        loop {
            let page = rest.follow_ups(conversation, range, next.as_deref(), PAGE).await?;
            about.extend(page.messages);
            match page.next {
                Some(after) if next.as_ref() != Some(&after) => next = Some(after),
                _ => break,
            }
        }
        about.extend(self.inner.store.erasures(conversation).await?);
        about.sort_by_key(|row| row.seq);
        let directory = &self.inner.directory;
        Ok(Picture::of(rows.into_iter().chain(about).map(|row| show(directory, row))).into_items())
    }
}
