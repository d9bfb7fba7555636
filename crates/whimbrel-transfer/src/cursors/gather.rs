//! What gathers: cursors to read heads for, to tell, to log. Every map is bounded by
//! [`Config::cursors_max`](crate::Config), and a map that has something in it has a task that empties it.

use std::sync::Arc;

use hashbrown::HashMap;
use metrics::counter;
use whimbrel_core::{Audience, ConversationId, Cursors, SessionId, UserId};
use whimbrel_store::Entry;

use super::CursorDesk;
use crate::outgoing::Waiter;

/// Whose cursors, and where.
pub(super) type Whose = (UserId, ConversationId);

/// A receipt that is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub(super) cursors: Cursors,
    pub(super) audience: Audience,
    /// The session that said so, if one alone did.
    pub(super) by: Option<SessionId>,
}

#[derive(Default)]
pub(super) struct Gathered {
    /// Heads have to be read first.
    pub(super) unknown: HashMap<Whose, (Cursors, Option<Waiter>)>,
    pub(super) reading: bool,
    /// To be told to the audience.
    pub(super) receipts: HashMap<Whose, Fresh>,
    /// Durable already, and asked for again: to be told to one session, or to all of the user's.
    pub(super) advanced: HashMap<(Whose, Option<Waiter>), Cursors>,
    pub(super) telling: bool,
    /// To be logged.
    unlogged: HashMap<Whose, Cursors>,
    logging: bool,
}

impl CursorDesk {
    /// Logs a cursor within [`Config::cursor_delay`](crate::Config).
    pub(super) fn log_later(self: &Arc<Self>, whose: Whose, cursors: Cursors) {
        let mut gathered = self.gathered.lock();
        if gathered.unlogged.len() >= self.config.cursors_max && !gathered.unlogged.contains_key(&whose) {
            return counter!("whimbrel_transfer_cursors_dropped_total").increment(1);
        }
        let unlogged = gathered.unlogged.entry(whose).or_default();
        *unlogged = unlogged.max(cursors);
        if !std::mem::replace(&mut gathered.logging, true) {
            let desk = self.clone();
            self.tasks.spawn(async move { desk.log_gathered().await });
        }
    }

    async fn log_gathered(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(self.config.cursor_delay) => {}
            }
            self.log_now();
            let mut gathered = self.gathered.lock();
            gathered.logging = !gathered.unlogged.is_empty();
            if !gathered.logging {
                return;
            }
        }
    }

    /// Logs what has gathered.
    pub(crate) fn log_now(&self) {
        let unlogged = std::mem::take(&mut self.gathered.lock().unlogged);
        let entries = unlogged.into_iter().map(|((user, conversation), cursors)| {
            (self.lanes.of(conversation), Entry::Cursor { conversation, user, cursors })
        });
        self.lanes.append_cursors(entries.collect());
    }
}
