//! Lines instead of a screen, for pipes, scripts and terminals that can do no more.
//!
//! Out: `handle: text` for each message of others, and on the standard error `! …` for what went wrong. In:
//! `@handle text` speaks to somebody and remembers them; other lines go to the remembered one. It ends with the input,
//! once all of it is answered. A message is one line: line breaks and other control characters in it become spaces.

use std::collections::HashMap;
use std::io::BufRead;

use anyhow::Context;
use tokio::sync::mpsc;
use whimbrel_client::{
    Client, ConnectionState, ConversationId, Event, Events, MessageId, NotPlaced, Outcome, StoredMessage, UserId,
};

use super::view::messages::words;

/// Lines that are read ahead of what is sent.
const AHEAD: usize = 64;

/// Runs until the input ends.
pub(super) async fn run(client: &Client, mut events: Events) -> anyhow::Result<()> {
    client.wait_online().await?;
    let mut talk = Talk { client, peers: HashMap::new(), open: None, unanswered: HashMap::new() };
    let mut lines = lines();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => talk.say(line.context("cannot read the input")?.trim()).await?,
                None => return talk.finish().await,
            },
            event = events.next() => match event {
                Some(event) => talk.hear(event).await?,
                None => return Ok(()),
            },
        }
    }
}

/// Lines come from a thread of their own: reading blocks, and must not keep the process from ending.
fn lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

struct Talk<'a> {
    client: &'a Client,
    peers: HashMap<UserId, String>,
    open: Option<ConversationId>,
    /// Sent from here, and not known to be placed or refused.
    unanswered: HashMap<MessageId, ConversationId>,
}

impl Talk<'_> {
    async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let mut text = line;
        if let Some(rest) = line.strip_prefix('@') {
            let (handle, after) = rest.split_once(' ').unwrap_or((rest, ""));
            text = after.trim();
            let found = self.client.rest().find_user(&handle.to_lowercase()).await?;
            self.open = match found {
                Some(profile) => self.client.conversation_with(profile.id).await?,
                None => None,
            };
            if self.open.is_none() {
                eprintln!("! {handle} is not one of your friends");
                return Ok(());
            }
        }
        match self.open {
            _ if text.is_empty() => {}
            Some(conversation) => {
                let id = self.client.send_text(conversation, text).await?;
                self.unanswered.insert(id, conversation);
            }
            None => eprintln!("! to whom? begin with @handle"),
        }
        Ok(())
    }

    async fn hear(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Message(message) if message.sender != self.client.user() => self.print(message).await?,
            Event::Sent { message_id, .. } => {
                self.unanswered.remove(&message_id);
            }
            Event::Refused { message_id, refusal, .. } => {
                self.unanswered.remove(&message_id);
                eprintln!("! not sent: {}", refusal.sentence());
            }
            Event::State(ConnectionState::Closed { why }) => anyhow::bail!("closed: {why}"),
            Event::Lagged { missed } => eprintln!("! too slow: {missed} events were not shown"),
            _ => {}
        }
        Ok(())
    }

    async fn print(&mut self, message: StoredMessage) -> anyhow::Result<()> {
        if let Some(text) = words(&message) {
            let name = self.name(message.sender).await;
            println!("{name}: {}", text.replace('\n', " "));
            self.client.mark_read(message.conversation, message.seq).await?;
        }
        Ok(())
    }

    /// Waits for the answers that did not come yet.
    async fn finish(self) -> anyhow::Result<()> {
        for (id, conversation) in self.unanswered {
            match self.client.sent(conversation, id).await? {
                Outcome::Sent { .. } => {}
                Outcome::Refused(refusal) => eprintln!("! not sent: {}", refusal.sentence()),
                Outcome::Conflict => eprintln!("! not sent: {}", NotPlaced::Conflict.sentence()),
            }
        }
        Ok(())
    }

    /// The handle, or the number when it cannot be had now: nothing is held up by a name.
    async fn name(&mut self, user: UserId) -> String {
        if let Some(name) = self.peers.get(&user) {
            return name.clone();
        }
        match self.client.rest().user(user).await {
            Ok(profile) => self.peers.entry(user).or_insert(profile.handle).clone(),
            Err(_) => format!("user {user}"),
        }
    }
}
