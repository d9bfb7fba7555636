//! The bots: SDK clients that write to each other at a steady rate and answer whoever else writes to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use rand::seq::IndexedRandom;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use whimbrel_client::{Client, ConversationId, Event, Events, FirstSync, StoredMessage, UserId};

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
}

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    pub(super) api: String,
    pub(super) clients: String,
}

/// One bot at work.
struct Worker {
    client: Client,
    events: Events,
    flock: Arc<Flock>,
    /// Conversations with other bots.
    friends: Vec<ConversationId>,
    /// What it has written to other bots and was not answered.
    unanswered: usize,
    /// How many messages each person has written to it.
    heard: HashMap<UserId, u64>,
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
    let mut worker = Worker { client, events, flock, friends, unanswered: 0, heard: HashMap::new() };
    let result = worker.work(ticks, quiet, stop).await;
    worker.client.close().await;
    result.with_context(|| format!("the bot {} failed", bot.name))
}

impl Worker {
    async fn work(
        &mut self,
        mut ticks: Interval,
        quiet: CancellationToken,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick(), if !quiet.is_cancelled() && self.unanswered < UNANSWERED_MAX => self.remark().await?,
                event = self.events.next() => match event {
                    Some(event) => self.take(event).await?,
                    None => anyhow::bail!("its connection was closed for good"),
                },
            }
        }
    }

    async fn remark(&mut self) -> anyhow::Result<()> {
        let (friend, remark) = {
            let mut random = rand::rng();
            (self.friends.choose(&mut random).copied(), REMARKS.choose(&mut random).copied())
        };
        if let (Some(friend), Some(remark)) = (friend, remark) {
            let id = self.client.send_text(friend, remark).await?;
            self.flock.counters.lock().drafted(id, self.flock.started.elapsed());
            self.unanswered += 1;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> anyhow::Result<()> {
        let me = self.client.user();
        match event {
            Event::Message(message) => self.message(message).await?,
            Event::Sent { conversation, message_id, seq, .. } if self.friends.contains(&conversation) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.flock.counters.lock().confirmed(me, conversation, message_id, seq, self.flock.started.elapsed());
            }
            Event::Receipt { conversation, user, cursors } if user != me && self.friends.contains(&conversation) => {
                self.flock.counters.lock().receipt(me, conversation, cursors);
            }
            Event::Refused { conversation, message_id, refusal } if self.friends.contains(&conversation) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.flock.counters.lock().refused(message_id);
                tracing::warn!(%refusal, "a bot's message to another bot was refused");
            }
            Event::Lagged { missed } => anyhow::bail!("it was too slow and missed {missed} events"),
            _ => {}
        }
        Ok(())
    }

    async fn message(&mut self, message: StoredMessage) -> anyhow::Result<()> {
        let me = self.client.user();
        let theirs = message.sender != me && message.kind.is_countable();
        let from_bot = self.flock.users.contains(&message.sender);
        let followed = (theirs && from_bot).then_some(message.message_id);
        self.flock.counters.lock().shown(me, message.conversation, message.seq, followed);
        if !theirs {
            return Ok(());
        }
        self.client.mark_read(message.conversation, message.seq).await?;
        if !from_bot && let Some(text) = message.text() {
            let count = self.heard.entry(message.sender).or_default();
            *count += 1;
            let answer = answer(text, *count);
            // People may end the friendship meanwhile: then nobody hears the answer.
            if let Err(error) = self.client.send_text(message.conversation, &answer).await {
                tracing::debug!(%error, "an answer to a person was not sent");
            }
        }
        Ok(())
    }
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
