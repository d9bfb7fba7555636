//! Send: checks → membership → lane. Synchronous, unless a conversation's members have to be read first.
//!
//! Refused early is only what can never become right: a draft's form, and somebody who is not in the conversation.
//! Blocks, ended friendships, and everything in groups are decided where the message gets its place: the draft may be the retry of a message
//! that stands already, and what is remembered here may be stale.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use metrics::counter;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio_util::task::TaskTracker;
use tracing::warn;
use whimbrel_core::{ConnectorId, ConversationId, Draft, Members, Outcome, Refusal, Speak};
use whimbrel_rpc::SessionRef;
use whimbrel_store::Directory;

use crate::append::Lanes;
use crate::audience::Audiences;
use crate::check::Rules;
use crate::config::hint_ms;
use crate::lane::{Admitted, Key, Lane, bytes_of};
use crate::outgoing::{Answers, Waiter};

/// Drafts as a session sent them.
pub(crate) struct Send {
    pub(crate) from: SessionRef,
    pub(crate) connector: ConnectorId,
    pub(crate) conversation: ConversationId,
    pub(crate) drafts: Vec<Draft>,
}

impl Send {
    fn waiter(&self) -> Waiter {
        Waiter { session: self.from.session, connector: self.connector }
    }
}

/// A Send that waits for the members of its conversation.
struct Stranger {
    key: Key,
    ticket: u64,
    drafts: Vec<Draft>,
}

#[derive(Default)]
struct Strangers {
    waiting: Vec<Stranger>,
    /// Of bodies.
    bytes: usize,
    reading: bool,
}

pub(crate) struct Sends {
    lanes: Arc<Lanes>,
    audiences: Arc<Audiences>,
    directory: Arc<dyn Directory>,
    strangers: Mutex<Strangers>,
    tasks: TaskTracker,
}

impl Sends {
    pub(crate) fn new(
        lanes: Arc<Lanes>,
        audiences: Arc<Audiences>,
        directory: Arc<dyn Directory>,
        tasks: TaskTracker,
    ) -> Self {
        Self { lanes, audiences, directory, strangers: Mutex::default(), tasks }
    }

    /// Takes Sends, in their order. Each lane is locked once, and publishes once.
    pub(crate) fn submit(self: &Arc<Self>, sends: Vec<Send>) {
        let rules = Rules::now(&self.lanes.config);
        let now = Instant::now();
        let mut early = Vec::new();
        let mut checked: SmallVec<[(u32, Send); 8]> = SmallVec::new();
        for send in sends {
            if let Some(send) = self.check(rules, send, &mut early) {
                checked.push((self.lanes.of(send.conversation), send));
            }
        }
        // Stable: the order of each session's Sends stays.
        checked.sort_by_key(|(partition, _)| *partition);
        let mut checked = checked.into_iter().peekable();
        while let Some((partition, first)) = checked.next() {
            let mut lane = self.lanes.lock(partition);
            let mut next = Some(first);
            while let Some(send) = next {
                early.extend(self.admit(&mut lane, send, now));
                next = checked.next_if(|(other, _)| *other == partition).map(|(_, send)| send);
            }
            early.extend(self.lanes.publish(partition, &mut lane));
        }
        self.lanes.answer(early);
    }

    /// Refuses what can never be placed; gives the rest of the Send, if there is any.
    fn check(&self, rules: Rules, mut send: Send, early: &mut Vec<Answers>) -> Option<Send> {
        if self.lanes.is_stopping() {
            let after_ms = hint_ms(self.lanes.config.retry_later);
            early.push(answers(&send, &send.drafts, Outcome::Retry { after_ms }));
            return None;
        }
        if send.drafts.iter().any(|draft| rules.is_ahead(draft)) {
            // The whole Send, so that nothing overtakes the draft that has to wait.
            counter!("whimbrel_transfer_busy_total").increment(1);
            let after_ms = hint_ms(self.lanes.config.retry_clock);
            early.push(answers(&send, &send.drafts, Outcome::Retry { after_ms }));
            return None;
        }
        let mut refused = Vec::new();
        send.drafts.retain(|draft| match rules.refuse(draft) {
            Some(why) => {
                counter!("whimbrel_transfer_refused_total", "reason" => why.name()).increment(1);
                refused.push((draft.message_id, Outcome::Refused(why)));
                false
            }
            None => true,
        });
        if !refused.is_empty() {
            let (user, to) = (send.from.user, send.waiter());
            early.push(Answers { user, to, conversation: send.conversation, answers: refused });
        }
        (!send.drafts.is_empty()).then_some(send)
    }

    /// Lets a Send into its lane; gives its answers if it has them now.
    fn admit(self: &Arc<Self>, lane: &mut Lane, send: Send, now: Instant) -> Option<Answers> {
        let config = &self.lanes.config;
        let key = Key { user: send.from.user, device: send.from.device, conversation: send.conversation };
        let members = self.audiences.members(send.conversation);
        if let Some(why) = members.as_ref().and_then(|members| never(members, key)) {
            return Some(answers(&send, &send.drafts, Outcome::Refused(why)));
        }
        match lane.admit(send.waiter(), key, &send.drafts, now, config) {
            Admitted::Joined => None,
            Admitted::Busy(retry) => {
                counter!("whimbrel_transfer_busy_total").increment(1);
                Some(answers(&send, &send.drafts, Outcome::Retry { after_ms: hint_ms(retry) }))
            }
            Admitted::New(ticket) if members.is_some() => {
                counter!("whimbrel_transfer_drafts_total").increment(send.drafts.len() as u64);
                lane.gather(key, ticket, send.drafts);
                None
            }
            Admitted::New(ticket) => {
                let stranger = Stranger { key, ticket, drafts: send.drafts };
                let busy = Outcome::Retry { after_ms: hint_ms(config.retry_later) };
                if self.ask(stranger) { None } else { lane.give_up(key, ticket, busy) }
            }
        }
    }

    /// Has the members of a conversation read; `false` if too many wait for that.
    fn ask(self: &Arc<Self>, stranger: Stranger) -> bool {
        let mut strangers = self.strangers.lock();
        let (config, bytes) = (&self.lanes.config, bytes_of(&stranger.drafts));
        if strangers.waiting.len() >= config.strangers_max || strangers.bytes + bytes > config.gathered_bytes_max {
            return false;
        }
        strangers.bytes += bytes;
        strangers.waiting.push(stranger);
        if !std::mem::replace(&mut strangers.reading, true) {
            let sends = self.clone();
            self.tasks.spawn(async move { sends.read_members().await });
        }
        true
    }

    /// Reads the members of everything that waits, by one call for what gathered while the last was under way.
    async fn read_members(self: Arc<Self>) {
        loop {
            let waiting = {
                let mut strangers = self.strangers.lock();
                strangers.reading = !strangers.waiting.is_empty();
                strangers.bytes = 0;
                std::mem::take(&mut strangers.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            let mut conversations: Vec<ConversationId> =
                waiting.iter().map(|stranger| stranger.key.conversation).collect();
            conversations.sort_unstable();
            conversations.dedup();
            let changes = self.audiences.changes();
            let known = match self.directory.members(&conversations).await {
                Ok(members) => Some(conversations.into_iter().zip(members).collect()),
                Err(error) => {
                    warn!(%error, sends = waiting.len(), "members cannot be read; senders are told to come again");
                    None
                }
            };
            self.introduce(waiting, known, changes);
        }
    }

    /// Goes on with Sends whose members were read; `None`: they could not be.
    fn introduce(
        self: &Arc<Self>,
        waiting: Vec<Stranger>,
        known: Option<HashMap<ConversationId, Option<Members>>>,
        changes: u64,
    ) {
        let mut early = Vec::new();
        for Stranger { key, ticket, drafts } in waiting {
            let partition = self.lanes.of(key.conversation);
            let mut lane = self.lanes.lock(partition);
            let refused = match known.as_ref().map(|known| known.get(&key.conversation).and_then(Option::as_ref)) {
                None => Some(Outcome::Retry { after_ms: hint_ms(self.lanes.config.retry_later) }),
                Some(None) => Some(Outcome::Refused(Refusal::NotMember)),
                Some(Some(members)) => {
                    self.audiences.remember(key.conversation, members, changes);
                    never(members, key).map(Outcome::Refused)
                }
            };
            match refused {
                Some(outcome) => early.extend(lane.give_up(key, ticket, outcome)),
                None => {
                    counter!("whimbrel_transfer_drafts_total").increment(drafts.len() as u64);
                    lane.gather(key, ticket, drafts);
                    early.extend(self.lanes.publish(partition, &mut lane));
                }
            }
        }
        self.lanes.answer(early);
    }
}

/// Why this user will never speak here, if so.
fn never(members: &Members, key: Key) -> Option<Refusal> {
    match members.may_speak(key.user) {
        Speak::NotMember => Some(Refusal::NotMember),
        Speak::ReadOnly => Some(Refusal::ReadOnly),
        // In groups only the archiver says: a member's standing is read where the message gets its place.
        Speak::Allowed | Speak::NotFriends | Speak::Blocked | Speak::Muted | Speak::Depends => None,
    }
}

fn answers(send: &Send, drafts: &[Draft], outcome: Outcome) -> Answers {
    Answers {
        user: send.from.user,
        to: send.waiter(),
        conversation: send.conversation,
        answers: drafts.iter().map(|draft| (draft.message_id, outcome)).collect(),
    }
}
