//! Telling of cursors: receipts to the audience, "durable" to their owners. One locate and one push for what gathered
//! while the last ones were under way.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use metrics::counter;
use whimbrel_core::{Audience, ConversationId, CursorMoved, Cursors, Receipt, SessionId, UserId};
use whimbrel_rpc::{Through, Told};

use super::gather::{Fresh, Whose};
use super::sheets::Sheets;
use super::{CursorDesk, readers};
use crate::outgoing::Waiter;
use crate::reach::Whereabouts;

/// Receipts, and answers, that are told by one round: what it makes has to fit into a connector's stream when nobody
/// knows who is where and each goes to everybody.
const TOLD_AT_ONCE: usize = 4096;

impl CursorDesk {
    /// Tells the audience, and the user's other sessions.
    pub(super) fn tell_receipt(
        self: &Arc<Self>,
        whose: Whose,
        by: Option<SessionId>,
        cursors: Cursors,
        audience: Audience,
    ) {
        let mut gathered = self.gathered.lock();
        let full = gathered.receipts.len() >= self.config.cursors_max;
        match gathered.receipts.entry(whose) {
            MapEntry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.cursors = known.cursors.max(cursors);
                known.by = known.by.filter(|known| Some(*known) == by);
            }
            // They are told again when they are durable.
            MapEntry::Vacant(_) if full => return counter!("whimbrel_transfer_cursors_dropped_total").increment(1),
            MapEntry::Vacant(entry) => drop(entry.insert(Fresh { cursors, audience, by })),
        }
        self.tell(&mut gathered.telling);
    }

    /// Tells a session that what it asks for is durable already.
    pub(super) fn tell_advanced(
        self: &Arc<Self>,
        user: UserId,
        to: Option<Waiter>,
        conversation: ConversationId,
        cursors: Cursors,
    ) {
        let mut gathered = self.gathered.lock();
        if gathered.advanced.len() < self.config.cursors_max {
            gathered.advanced.insert(((user, conversation), to), cursors);
            self.tell(&mut gathered.telling);
        }
    }

    fn tell(self: &Arc<Self>, telling: &mut bool) {
        if !std::mem::replace(telling, true) {
            let desk = self.clone();
            self.tasks.spawn(async move { desk.tell_gathered().await });
        }
    }

    /// Tells what gathered, by rounds of [`TOLD_AT_ONCE`].
    async fn tell_gathered(self: Arc<Self>) {
        loop {
            let (receipts, advanced) = {
                let mut gathered = self.gathered.lock();
                gathered.telling = !(gathered.receipts.is_empty() && gathered.advanced.is_empty());
                (some(&mut gathered.receipts), some(&mut gathered.advanced))
            };
            if receipts.is_empty() && advanced.is_empty() {
                return;
            }
            let who = receipts.iter().flat_map(|((user, _), fresh)| readers(*user, fresh.audience));
            let nowhere = advanced.keys().filter(|(_, to)| to.is_none()).map(|((user, _), _)| *user);
            let whereabouts = self.reach.locate(who.chain(nowhere).collect()).await;
            let mut sheets = Sheets::new(&whereabouts);
            for ((user, conversation), Fresh { cursors, audience, by }) in receipts {
                for member in readers(user, audience) {
                    sheets.receipt(member, Receipt { conversation, user, cursors }, by);
                }
            }
            for (((user, conversation), to), cursors) in advanced {
                sheets.advanced(user, to, conversation, cursors);
            }
            self.reach.deliver(sheets.outgoing(), &whereabouts).await;
        }
    }

    /// Tells what was committed: all sessions of the owner that it is durable; the others that it is so.
    pub(super) async fn push_durable(&self, moved: Vec<CursorMoved>, through: Through) -> Told {
        let (whereabouts, again) = match through {
            Through::All => {
                let users = moved.iter().flat_map(|moved| moved.audience.named().chain([moved.user])).collect();
                (self.reach.locate(users).await, false)
            }
            Through::Only(connectors) => (Whereabouts::Anywhere(connectors), true),
        };
        let outgoing = Sheets::durable(moved, &whereabouts, again).outgoing();
        let unreached = self.reach.deliver(outgoing, &whereabouts).await.unreached;
        Told { unreached, blind: !again && !whereabouts.is_known(), ..Told::default() }
    }
}

/// Takes out so many as one round tells.
fn some<K: Eq + Hash, V>(gathered: &mut HashMap<K, V>) -> HashMap<K, V> {
    if gathered.len() <= TOLD_AT_ONCE {
        return std::mem::take(gathered);
    }
    gathered.extract_if(|_, _| true).take(TOLD_AT_ONCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gathers at once is told by rounds: everything, and never more than one round holds.
    #[test]
    fn what_gathered_is_told_in_bounded_rounds() {
        let mut gathered: HashMap<usize, ()> = (0..3 * TOLD_AT_ONCE - 1).map(|key| (key, ())).collect();
        let rounds: Vec<usize> = std::iter::repeat_with(|| some(&mut gathered).len()).take(4).collect();
        assert_eq!(rounds, [TOLD_AT_ONCE, TOLD_AT_ONCE, TOLD_AT_ONCE - 1, 0]);
    }
}
