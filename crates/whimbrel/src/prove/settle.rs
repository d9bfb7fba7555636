//! The end of a run: everything that was promised has to come true within a bounded time, and then stands still.
//!
//! Levels are waited for, never times: outboxes empty, every device at its conversations' heads, cursors and unread
//! counts as they follow from what was said and read.

mod groups;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use whimbrel_client::{ConversationId, ConversationSummary, Seq, UserId};

use super::clients::{Handle, World};
use super::ghosts;
use super::groups::Group;
use super::ledger::Seen;
use super::verdict::{Reference, Timeline};

/// Each level is reached within this.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Where one was not, the next ones are only looked at: they rest on it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often levels are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A direct conversation and its two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) conversation: ConversationId,
    pub(super) users: [UserId; 2],
}

/// What was not reached so far, level by level.
#[derive(Debug, Default)]
pub(super) struct Unsettled(pub(super) Vec<String>);

impl Unsettled {
    /// Looks until nothing is missing, or notes what was missing at last.
    async fn until_nothing<F: Future<Output = Vec<String>>>(&mut self, mut missing: impl FnMut() -> F) {
        let deadline = Instant::now() + if self.0.is_empty() { SETTLE_TIMEOUT } else { LOOK_TIMEOUT };
        loop {
            let last = missing().await;
            if last.is_empty() || Instant::now() > deadline {
                return self.0.extend(last);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// All conversations of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversations<'a> {
    pub(super) pairs: &'a [Pair],
    pub(super) groups: &'a [Group],
}

/// Waits until every draft is answered and every device was shown everything.
pub(super) async fn everything_shown(unsettled: &mut Unsettled, handles: &[Arc<Handle>], all: Conversations<'_>) {
    let missing = || async {
        let mut missing = Vec::new();
        for handle in handles {
            missing.extend(outbox(handle).await);
        }
        if missing.is_empty() {
            missing = not_shown(handles, all.pairs);
            missing.extend(groups::not_shown(handles, all.groups));
        }
        missing
    };
    unsettled.until_nothing(missing).await;
}

async fn outbox(handle: &Handle) -> Option<String> {
    let index = handle.book().index;
    let Some(client) = handle.client() else { return Some(format!("device {index} is not there")) };
    match client.outbox_len().await {
        Ok(0) => {}
        Ok(waiting) => return Some(format!("{waiting} drafts wait in the outbox of device {index}")),
        Err(error) => return Some(format!("device {index} does not say what is in its outbox: {error}")),
    }
    let unanswered = handle.book().unanswered();
    (unanswered > 0).then(|| format!("device {index} was not told of {unanswered} answers"))
}

/// The highest place that anybody was told of or shown is where everybody has to be.
fn not_shown(handles: &[Arc<Handle>], pairs: &[Pair]) -> Vec<String> {
    let mut heads: BTreeMap<ConversationId, Seq> = BTreeMap::new();
    for handle in handles {
        let book = handle.book();
        let told = book.told.iter().map(|told| (told.conversation, told.seq));
        for (conversation, seq) in told.chain(pairs.iter().map(|pair| (pair.conversation, book.end(pair.conversation))))
        {
            let head = heads.entry(conversation).or_default();
            *head = (*head).max(seq);
        }
    }
    let mut missing = Vec::new();
    for handle in handles {
        let book = handle.book();
        for pair in pairs.iter().filter(|pair| pair.users.contains(&book.user)) {
            let (end, head) = (book.end(pair.conversation), heads[&pair.conversation]);
            if end < head {
                let Pair { conversation, .. } = pair;
                missing.push(format!("device {} was shown {conversation} up to {end} of {head}", book.index));
            }
        }
    }
    missing
}

/// Waits until fresh devices were shown all that the others were.
pub(super) async fn fresh_shown(unsettled: &mut Unsettled, everybody: &[Arc<Handle>], all: Conversations<'_>) {
    let missing = || async {
        let mut missing = not_shown(everybody, all.pairs);
        missing.extend(groups::not_shown(everybody, all.groups));
        missing
    };
    unsettled.until_nothing(missing).await;
}

/// Waits until every device that is there is shown all of its friends as they are.
pub(super) async fn presence_true(unsettled: &mut Unsettled, handles: &[Arc<Handle>], some_went: bool) {
    unsettled.until_nothing(|| async { ghosts::not_true(handles, some_went) }).await;
}

/// Waits until each device's list of conversations is what follows from what was said and read.
pub(super) async fn cursors_true(
    unsettled: &mut Unsettled,
    world: &World,
    handles: &[Arc<Handle>],
    all: Conversations<'_>,
    reference: &Reference,
) {
    let missing = || async {
        let mut missing = Vec::new();
        for handle in handles {
            missing.extend(not_true(world, handle, all, reference).await);
        }
        missing
    };
    unsettled.until_nothing(missing).await;
}

async fn not_true(world: &World, handle: &Handle, all: Conversations<'_>, reference: &Reference) -> Vec<String> {
    let (index, user) = {
        let book = handle.book();
        (book.index, book.user)
    };
    let Some(client) = handle.client() else { return vec![format!("device {index} is not there")] };
    let summaries = match client.conversations().await {
        Ok(summaries) => summaries,
        Err(error) => return vec![format!("device {index} does not list its conversations: {error}")],
    };
    let mut missing = Vec::new();
    for pair in all.pairs.iter().filter(|pair| pair.users.contains(&user)) {
        let peer = if pair.users[0] == user { pair.users[1] } else { pair.users[0] };
        let (own_read, peer_read) = {
            let receipts = world.receipts.lock().expect("nobody panics while writing");
            (receipts.read(user, pair.conversation), receipts.read(peer, pair.conversation))
        };
        let Some(timeline) = reference.timelines.get(&pair.conversation) else { continue };
        let expected = Expected::new(timeline, peer, own_read, peer_read);
        let summary = summaries.iter().find(|summary| summary.id == pair.conversation);
        let wrong = summary.map_or_else(|| Some("it is not listed".to_owned()), |summary| expected.wrong(summary));
        missing.extend(wrong.map(|wrong| format!("device {index}, {}: {wrong}", pair.conversation)));
    }
    missing.extend(groups::not_true(world, (index, user), &summaries, all.groups, reference));
    missing
}

/// What a list of conversations has to say of one in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    head: Seq,
    unread: u64,
    own_read: Seq,
    peer_read: Seq,
    /// The other has stored everything; rows of the server behind the last message may be receipted or not.
    peer_delivered: Seq,
}

impl Expected {
    fn new(timeline: &Timeline, peer: UserId, own_read: Seq, peer_read: Seq) -> Self {
        let messages = || timeline.rows().filter(|row| row.kind.is_countable());
        let is_unread = |row: &&Seen| row.sender == peer && row.seq > own_read;
        Self {
            head: timeline.head(),
            unread: messages().filter(is_unread).count() as u64,
            own_read,
            peer_read,
            peer_delivered: timeline
                .rows()
                .filter(|row| row.kind.is_submittable())
                .last()
                .map_or(Seq::ZERO, |row| row.seq),
        }
    }

    fn wrong(&self, summary: &ConversationSummary) -> Option<String> {
        let delivered = summary.peer_cursors.delivered;
        let same = [
            ("head", summary.head.0, self.head.0),
            ("unread", summary.unread, self.unread),
            ("own read", summary.own.read.0, self.own_read.0),
            ("the other's read", summary.peer_cursors.read.0, self.peer_read.0),
            ("the other's delivered", delivered.0, delivered.max(self.peer_delivered).min(self.head).0),
        ];
        let wrong = same.into_iter().find(|(_, is, should)| is != should);
        wrong.map(|(what, is, should)| format!("{what} is {is} and should be {should}"))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_client::{Cursors, DeviceId, MessageId, MessageKind};

    use super::super::ledger::Said;
    use super::*;

    pub(super) fn row(seq: u64, sender: u64, kind: MessageKind) -> Seen {
        Seen {
            seq: Seq(seq),
            message_id: MessageId::generate(),
            sender: UserId(sender),
            device: DeviceId::generate(),
            kind,
            key_version: 1,
            target: None,
            at: seq,
            said: Said::Nothing,
        }
    }

    /// The other said 2, 3 and 5, and did 6; 1 is the server's, 4 one's own; read up to 2: 3 and 5 are unread. Each
    /// figure that is not right is named.
    #[test]
    fn every_figure_of_a_conversation_is_compared() {
        let text = MessageKind::TEXT;
        let said = [
            row(1, 1, MessageKind::STANDING),
            row(2, 2, text),
            row(3, 2, text),
            row(4, 1, text),
            row(5, 2, text),
            row(6, 2, MessageKind::REACTION),
        ];
        let expected = Expected::new(&Timeline::new(&said), UserId(2), Seq(2), Seq(4));
        assert_eq!((expected.head, expected.unread, expected.peer_delivered), (Seq(6), 2, Seq(6)));
        let good = ConversationSummary {
            head: Seq(6),
            own: Cursors { delivered: Seq(6), read: Seq(2) },
            peer_cursors: Cursors { delivered: Seq(6), read: Seq(4) },
            unread: 2,
            ..ConversationSummary::direct(ConversationId::generate(), UserId(2))
        };
        assert_eq!(expected.wrong(&good), None);
        let wrong = |change: fn(&mut ConversationSummary)| {
            let mut summary = good.clone();
            change(&mut summary);
            expected.wrong(&summary).expect("it is wrong")
        };
        assert!(wrong(|s| s.unread = 1).contains("unread"));
        assert!(wrong(|s| s.head = Seq(7)).contains("head"));
        assert!(wrong(|s| s.own.read = Seq(3)).contains("own read"));
        assert!(wrong(|s| s.peer_cursors.read = Seq(3)).contains("other's read"));
        assert!(wrong(|s| s.peer_cursors.delivered = Seq(4)).contains("delivered is 4 and should be 6"));
        assert!(wrong(|s| s.peer_cursors.delivered = Seq(7)).contains("delivered is 7 and should be 6"));
    }
}
