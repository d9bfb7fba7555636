//! The bots: SDK clients that write to each other and into their group at a steady rate, and answer whoever else writes to
//! them. In the group they also react, edit, take back, and let answers grow.
//!
//! Everything that a bot says to bots is followed by the counters, and none of it may be refused: nobody touches what is to
//! be taken back, and each bot edits only what is its own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use rand::RngExt;
use rand::seq::IndexedRandom;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use whimbrel_client::{
    Client, Content, ConversationId, Cursors, Error, Event, Events, FirstSync, MessageId, NotPlaced, Outgoing, Refusal,
    Seq, StoredMessage, UserId,
};

use super::counters::Counters;
use super::people::Bot;

const REMARKS: [&str; 8] = [
    "The tide is out; all the good mud is ours.",
    "Seen any crabs on your side?",
    "Wind from the north-west, feathers tidy.",
    "I count you twice and find you once. Good.",
    "退潮了，泥滩上都是吃的。",
    "Somebody restarted something. I noticed nothing.",
    "Same order here. And there?",
    "风向西北，一切正常。",
];

/// What is said to be taken back at once. Nobody else does anything about it.
const MISTAKE: &str = "Low tide is at noon. No: I take that back.";
const EMOJI: [&str; 4] = ["👍", "🦀", "🌊", "❤"];

/// Of so many remarks, one goes into the group;
const GROUP_EVERY: u32 = 3;
/// of so many in the group, one is edited, and one taken back;
const EDITED_EVERY: u32 = 8;
const MISTAKE_EVERY: u32 = 12;
/// of so many heard there, a bot reacts to one.
const REACTED_EVERY: u32 = 20;
/// Things to do about earlier messages that may wait for a bot's next turns.
const PLANS_MAX: usize = 64;
/// How often receipts of the group are asked for.
const RECEIPTS_EVERY: Duration = Duration::from_millis(500);
/// Members of whom one answer tells.
const READERS: usize = 500;

/// Messages of one bot that may wait for their answers; beyond that it keeps quiet until the server is back.
const UNANSWERED_MAX: usize = 1000;
/// Events that may wait for a bot: what it misses, nobody counts.
const EVENTS: usize = 65_536;

/// What all bots share.
pub(super) struct Flock {
    pub(super) counters: Mutex<Counters>,
    pub(super) started: Instant,
    /// The bots' users, to tell them from people.
    pub(super) users: Vec<UserId>,
    /// Where all of them are.
    pub(super) group: ConversationId,
}

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    pub(super) api: String,
    pub(super) clients: String,
}

/// What is to be done about a message of one's own once it has its place.
#[derive(Debug)]
enum Plan {
    /// Nothing: it stands as it is.
    Stand,
    Edit,
    TakeBack,
    /// The words that are still to come, and all of them.
    Grow(VecDeque<String>, String),
}

/// One thing to do about an earlier message of the group.
#[derive(Debug)]
enum Deed {
    Edit(Seq),
    TakeBack(Seq),
    React(Seq),
    Append(Seq, String),
    Finish(Seq, String),
}

/// One bot at work.
struct Worker {
    client: Client,
    events: Events,
    flock: Arc<Flock>,
    quiet: CancellationToken,
    /// Conversations with other bots.
    friends: Vec<ConversationId>,
    /// What it has written to other bots and was not answered.
    unanswered: usize,
    /// How many messages each person has written to it.
    heard: HashMap<UserId, u64>,
    /// About its own messages in the group that have no place yet.
    plans: HashMap<MessageId, Plan>,
    /// The last of them that has one. Of these it is told who has read them, and not of what is about others.
    placed: Arc<AtomicU64>,
    /// It has said something in the group.
    has_greeted: bool,
    /// In its next turns.
    deeds: VecDeque<Deed>,
}

/// Runs a bot: it writes every `pause` until `quiet`, and listens until `stop`.
pub(super) async fn run(
    bot: Bot,
    doors: Doors,
    flock: Arc<Flock>,
    pause: Duration,
    quiet: CancellationToken,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let user = bot.credentials.user;
    let builder = Client::builder(&doors.api, &doors.clients).credentials(bot.credentials).store_memory();
    let (client, events) = builder.first_sync(FirstSync::Everything).event_capacity(EVENTS).connect().await?;
    client.wait_online().await?;
    let mut friends = Vec::new();
    for other in flock.users.iter().filter(|other| **other != user) {
        let found = client.conversation_with(*other).await?;
        friends.push(found.with_context(|| format!("{} has no conversation with user {other}", bot.name))?);
    }
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let placed = Arc::new(AtomicU64::new(0));
    let mut worker = Worker {
        client: client.clone(),
        events,
        flock: flock.clone(),
        quiet,
        friends,
        unanswered: 0,
        heard: HashMap::new(),
        plans: HashMap::new(),
        placed: placed.clone(),
        has_greeted: false,
        deeds: VecDeque::new(),
    };
    let result = tokio::select! {
        result = worker.work(ticks, stop) => result,
        () = ask_for_receipts(&client, &flock, &placed) => Ok(()),
    };
    client.close().await;
    result.with_context(|| format!("the bot {} failed", bot.name))
}

/// In the group nobody is told how far others are; it is asked for, as long as there is something to learn. For ever.
async fn ask_for_receipts(client: &Client, flock: &Flock, placed: &AtomicU64) {
    let me = client.user();
    let mut pauses = tokio::time::interval(RECEIPTS_EVERY);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pauses.tick().await;
        let seq = Seq(placed.load(Ordering::Relaxed));
        if seq == Seq::ZERO || !flock.counters.lock().is_awaiting(me, flock.group) {
            continue;
        }
        // Without an answer the next one tells it.
        let Ok(by) = client.read_by(flock.group, seq, None, READERS).await else { continue };
        let others = by.readers.iter().filter(|reader| flock.users.contains(&reader.user.id));
        let (mut count, mut all) = (0, Cursors { delivered: Seq(u64::MAX), read: Seq(u64::MAX) });
        for reader in others {
            count += 1;
            all.delivered = all.delivered.min(reader.delivered.max(reader.read));
            all.read = all.read.min(reader.read);
        }
        if count + 1 == flock.users.len() {
            flock.counters.lock().receipt(me, flock.group, all);
        }
    }
}

impl Worker {
    async fn work(&mut self, mut ticks: Interval, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick(), if !self.quiet.is_cancelled() && self.unanswered < UNANSWERED_MAX => {
                    self.turn().await?;
                }
                event = self.events.next() => match event {
                    Some(event) => self.take(event).await?,
                    None => anyhow::bail!("its connection was closed for good"),
                },
            }
        }
    }

    /// Says one thing: what is planned about an earlier message, or a remark.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let group = self.flock.group;
        let client = self.client.clone();
        let said = match self.deeds.pop_front() {
            Some(Deed::Edit(seq)) => {
                client.edit(group, seq, Content::Text(format!("{} (Counted again.)", remark()))).await
            }
            Some(Deed::TakeBack(seq)) => client.recall(group, seq).await,
            Some(Deed::React(seq)) => {
                let emoji = EMOJI.choose(&mut rand::rng()).copied().unwrap_or(EMOJI[0]);
                client.react(group, seq, emoji).await
            }
            Some(Deed::Append(seq, more)) => client.append(group, seq, &more).await,
            Some(Deed::Finish(seq, whole)) => client.finish(group, seq, &whole).await,
            None => return self.remark().await,
        };
        self.said(group, said)?;
        Ok(())
    }

    async fn remark(&mut self) -> anyhow::Result<()> {
        let friend = self.friends.choose(&mut rand::rng()).copied();
        if let Some(friend) = friend.filter(|_| self.has_greeted && !once_in(GROUP_EVERY)) {
            let said = self.client.send_text(friend, remark()).await;
            self.said(friend, said)?;
            return Ok(());
        }
        let (text, plan) = match self.has_greeted {
            true if once_in(MISTAKE_EVERY) => (MISTAKE, Plan::TakeBack),
            true if once_in(EDITED_EVERY) => (remark(), Plan::Edit),
            _ => (remark(), Plan::Stand),
        };
        self.has_greeted = true;
        self.say_in_group(Content::Text(text.to_owned()), plan).await
    }

    async fn say_in_group(&mut self, what: impl Into<Outgoing>, plan: Plan) -> anyhow::Result<()> {
        let said = self.client.send(self.flock.group, what).await;
        let id = self.said(self.flock.group, said)?;
        self.plans.insert(id, plan);
        Ok(())
    }

    /// Something for other bots is in the outbox.
    fn said(&mut self, conversation: ConversationId, said: Result<MessageId, Error>) -> anyhow::Result<MessageId> {
        let id = said?;
        let audience = if conversation == self.flock.group { self.flock.users.len() - 1 } else { 1 };
        self.flock.counters.lock().drafted(id, audience, self.flock.started.elapsed());
        self.unanswered += 1;
        Ok(id)
    }

    /// Whether the counters follow what bots say there.
    fn is_followed(&self, conversation: ConversationId) -> bool {
        conversation == self.flock.group || self.friends.contains(&conversation)
    }

    async fn take(&mut self, event: Event) -> anyhow::Result<()> {
        let me = self.client.user();
        match event {
            Event::Message(message) => self.message(message).await?,
            Event::Sent { conversation, message_id, seq, .. } if self.is_followed(conversation) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.flock.counters.lock().confirmed(me, conversation, message_id, seq, self.flock.started.elapsed());
                if let Some(plan) = self.plans.remove(&message_id) {
                    self.placed.fetch_max(seq.0, Ordering::Relaxed);
                    self.plan(seq, plan);
                }
            }
            Event::Receipt { conversation, user, cursors } if user != me && self.friends.contains(&conversation) => {
                self.flock.counters.lock().receipt(me, conversation, cursors);
            }
            Event::Refused { conversation, message_id, refusal } if self.is_followed(conversation) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.plans.remove(&message_id);
                if refusal == NotPlaced::Refused(Refusal::TooLate) {
                    // The server was away for longer than it lets anybody take something back.
                    self.flock.counters.lock().withdrawn(message_id);
                    return Ok(());
                }
                self.flock.counters.lock().refused(message_id);
                tracing::warn!(%refusal, "a bot's message to other bots was refused");
            }
            Event::Lagged { missed } => anyhow::bail!("it was too slow and missed {missed} events"),
            _ => {}
        }
        Ok(())
    }

    /// A message of its own in the group has its place.
    fn plan(&mut self, seq: Seq, plan: Plan) {
        match plan {
            _ if self.deeds.len() >= PLANS_MAX => {}
            Plan::Stand => {}
            Plan::Edit => self.deeds.push_back(Deed::Edit(seq)),
            Plan::TakeBack => self.deeds.push_back(Deed::TakeBack(seq)),
            Plan::Grow(more, whole) => {
                self.deeds.extend(more.into_iter().map(|more| Deed::Append(seq, more)));
                self.deeds.push_back(Deed::Finish(seq, whole));
            }
        }
    }

    async fn message(&mut self, message: StoredMessage) -> anyhow::Result<()> {
        let me = self.client.user();
        let theirs = message.sender != me && message.kind.is_submittable();
        let from_bot = self.flock.users.contains(&message.sender);
        let followed = (theirs && from_bot).then_some(message.message_id);
        self.flock.counters.lock().shown(me, message.conversation, message.seq, followed);
        if !theirs {
            return Ok(());
        }
        self.client.mark_read(message.conversation, message.seq).await?;
        let in_group = message.conversation == self.flock.group;
        match message.text() {
            Some(text) if in_group && from_bot => {
                let reacts = text != MISTAKE && once_in(REACTED_EVERY) && self.deeds.len() < PLANS_MAX;
                self.deeds.extend(reacts.then_some(Deed::React(message.seq)));
            }
            Some(_) if in_group => self.answer_in_group(&message).await?,
            Some(text) if !from_bot => {
                let answer = self.answer(message.sender, text);
                // People may end the friendship meanwhile: then nobody hears the answer.
                if let Err(error) = self.client.send_text(message.conversation, &answer).await {
                    tracing::debug!(%error, "an answer to a person was not sent");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, person: UserId, text: &str) -> String {
        let count = self.heard.entry(person).or_default();
        *count += 1;
        answer(text, *count)
    }

    /// One of the bots, in turn, answers a person: word by word.
    async fn answer_in_group(&mut self, message: &StoredMessage) -> anyhow::Result<()> {
        let turn = (message.seq.0 % self.flock.users.len() as u64) as usize;
        if self.flock.users[turn] != self.client.user() || self.quiet.is_cancelled() {
            return Ok(());
        }
        let whole = self.answer(message.sender, message.text().unwrap_or_default());
        let mut words: VecDeque<_> = whole.split_inclusive(' ').map(str::to_owned).collect();
        let first = words.pop_front().unwrap_or_default();
        let begin = Outgoing { content: Content::Stream(first), ..Outgoing::text("").answering(message) };
        self.say_in_group(begin, Plan::Grow(words, whole)).await
    }
}

fn remark() -> &'static str {
    REMARKS.choose(&mut rand::rng()).copied().unwrap_or(REMARKS[0])
}

fn once_in(times: u32) -> bool {
    rand::rng().random_range(0..times) == 0
}

/// What a bot says to a person.
fn answer(text: &str, count: u64) -> String {
    const QUOTED: usize = 40;
    let mut quote: String = text.chars().take(QUOTED).collect();
    if text.chars().count() > QUOTED {
        quote.push('…');
    }
    let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    match (chinese, count) {
        (true, 1) => format!("你好！我听到了：“{quote}”"),
        (true, _) => format!("这是你发给我的第 {count} 条：“{quote}”"),
        (false, 1) => format!("Hello! You said “{quote}”. I am a bot, but I listen."),
        (false, _) => format!("That is message {count} from you: “{quote}”"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_quotes_counts_and_keeps_to_the_language() {
        assert_eq!(answer("hi", 1), "Hello! You said “hi”. I am a bot, but I listen.");
        assert!(answer("hi", 3).contains("message 3"));
        assert_eq!(answer("你好", 2), "这是你发给我的第 2 条：“你好”");
        assert!(answer(&"x".repeat(100), 1).contains(&format!("“{}…”", "x".repeat(40))));
    }
}
