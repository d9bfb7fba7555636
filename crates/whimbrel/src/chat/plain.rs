//! Lines instead of a screen, for pipes, scripts and terminals that can do no more.
//!
//! Out: `handle: text` for each message of others, `[group] handle: text` in groups, `* …` for what else happens there,
//! and on the standard error `! …` for what went wrong and `· …` for what was done. In: `@handle text` speaks to somebody
//! and remembers them, also a group, by its handle or its name with `-` for spaces; other lines go to the remembered one.
//! Commands are those of the screen, each done before the next line is read; `/last` shows the numbers that they take.
//! It ends with the input, once all of it is answered. A message is one line: line breaks and other control characters in
//! it become spaces.
//!
//! The state is the screen's, without one: nothing is opened but what was named.

use std::collections::{HashMap, VecDeque};
use std::io::BufRead;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use whimbrel_client::{
    Client, ConnectionState, Content, ConversationId, ConversationKind, Error, Event, Events, FollowUp, GroupNews,
    MessageId, NotPlaced, Outcome, StoredMessage, UserId,
};

use super::app::{App, Effect, Happened, Notice, Selected, erased, number};
use super::command::COMMANDS;
use super::deeds::perform;
use super::now_ms;
use super::view::said::words;
use super::view::text::one_line;
use super::view::{Look, news};

/// Lines that are read ahead of what is sent.
const AHEAD: usize = 64;
/// How long a group that one has come into may take to be known on this device.
const OPENS_WITHIN: Duration = Duration::from_secs(10);
/// Messages that `/last` shows.
const LAST: usize = 10;

/// Runs until the input ends.
pub(super) async fn run(client: &Client, events: Events, handle: String) -> anyhow::Result<()> {
    client.wait_online().await?;
    let app = App::headless(client.user(), client.device(), handle);
    let look = Look { colour: false, offset: *chrono::Local::now().offset() };
    let mut talk = Talk { client, events, app, look, handles: HashMap::new(), unanswered: HashMap::new(), over: false };
    talk.carry_out(vec![Effect::RefreshConversations]).await;
    let mut lines = lines();
    while !talk.over {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => talk.say(line.context("cannot read the input")?.trim()).await?,
                None => break,
            },
            event = talk.events.next() => match event {
                Some(event) => talk.hear(event).await?,
                None => return Ok(()),
            },
        }
    }
    talk.finish().await
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
    events: Events,
    app: App,
    look: Look,
    handles: HashMap<UserId, String>,
    /// Sent from here, and not known to be placed or refused.
    unanswered: HashMap<MessageId, ConversationId>,
    /// The person has said so.
    over: bool,
}

impl Talk<'_> {
    async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let mut text = line;
        if let Some(rest) = line.strip_prefix('@') {
            let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
            text = after.trim();
            if !self.turn_to(&name.to_lowercase()).await? {
                return Ok(());
            }
        }
        let command = text.split(' ').next().unwrap_or_default();
        if command.starts_with('/') {
            // What was said before has its place before anything else is done.
            self.settle().await?;
        }
        match command {
            "" => return Ok(()),
            "/help" => {
                COMMANDS
                    .iter()
                    .for_each(|(name, arguments, what)| println!("{:<24} {what}", format!("{name} {arguments}")));
                return Ok(());
            }
            "/accept" | "/decline" => self.carry_out(vec![Effect::RefreshRequests, Effect::RefreshInvitations]).await,
            _ => {}
        }
        if command == "/last" {
            self.last();
            return Ok(());
        }
        if self.app.open().is_none() && (!text.starts_with('/') || text.starts_with("//")) {
            eprintln!("! to whom? begin with @handle");
            return Ok(());
        }
        self.app.now = now_ms();
        let effects = self.app.entered(text);
        // What cannot be done is given back; nobody edits it here.
        self.app.editor.take();
        if let Some(Notice::Bad(sentence)) = self.app.notice.take() {
            eprintln!("! {sentence}");
        }
        self.carry_out(effects).await;
        self.arrive().await
    }

    /// Remembers whom the next lines are for.
    async fn turn_to(&mut self, name: &str) -> anyhow::Result<bool> {
        let found = match self.client.rest().find_user(name).await {
            Ok(Some(profile)) => self.client.conversation_with(profile.id).await?,
            // A group's name may be what no handle can be.
            Ok(None) | Err(Error::Api(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.carry_out(vec![Effect::RefreshConversations]).await;
        let Some(found) = found.or_else(|| self.group_called(name)) else {
            eprintln!("! {name} is not one of your friends or groups");
            return Ok(false);
        };
        let effects = self.app.select(Selected::Conversation(found));
        self.carry_out(effects).await;
        Ok(true)
    }

    fn group_called(&self, name: &str) -> Option<ConversationId> {
        let mut groups = self.app.conversations.iter().filter(|row| row.kind == ConversationKind::Group);
        let is_called = |row: &&whimbrel_client::ConversationSummary| {
            let handle = row.group.as_ref().and_then(|info| info.group.handle.as_deref());
            handle == Some(name) || row.title.to_lowercase().replace(' ', "-") == name
        };
        groups.find(is_called).map(|row| row.id)
    }

    /// Does what was asked for, and what follows from it.
    async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            match effect {
                Effect::Quit => self.over = true,
                // What is printed is marked as read where it is printed.
                Effect::Typing(..) | Effect::MarkRead(..) => {}
                effect => {
                    let Some(happened) = perform(self.client.clone(), effect).await else { continue };
                    self.report(&happened);
                    waiting.extend(self.app.update(happened));
                }
            }
        }
        (self.app.help, self.app.sheet, self.app.notice) = (None, None, None);
    }

    fn report(&mut self, happened: &Happened) {
        match happened {
            Happened::Queued { conversation, message_id, .. } | Happened::FollowedUp { conversation, message_id } => {
                self.unanswered.insert(*message_id, *conversation);
            }
            Happened::NotQueued { why, .. } => eprintln!("! not sent: {why}"),
            Happened::Notice(Notice::Bad(text)) | Happened::Opens(_, Notice::Bad(text)) => eprintln!("! {text}"),
            Happened::Notice(Notice::Good(text)) | Happened::Opens(_, Notice::Good(text)) => eprintln!("· {text}"),
            Happened::Sheet(sheet) => {
                println!("* {}", sheet.title);
                sheet.lines.iter().for_each(|line| println!("  {}", one_line(line)));
            }
            _ => {}
        }
    }

    async fn hear(&mut self, event: Event) -> anyhow::Result<()> {
        if let Event::Message(message) = &event
            && !self.app.conversations.iter().any(|row| row.id == message.conversation)
        {
            self.carry_out(vec![Effect::RefreshConversations]).await;
        }
        match &event {
            Event::Message(message) if message.sender != self.client.user() => self.print(message.clone()).await?,
            Event::Sent { message_id, .. } => {
                self.unanswered.remove(message_id);
            }
            Event::Refused { message_id, refusal, .. } => {
                self.unanswered.remove(message_id);
                eprintln!("! not sent: {}", refusal.sentence());
            }
            Event::State(ConnectionState::Closed { why }) => anyhow::bail!("closed: {why}"),
            Event::Erased { conversation, user, .. } => {
                let (at, name) = (self.place(*conversation), self.handle(*user).await);
                println!("* {at}{}", erased(&one_line(&name)));
            }
            Event::Lagged { missed } => eprintln!("! too slow: {missed} events were not shown"),
            _ => {}
        }
        let mut effects = self.app.update(Happened::Event(event));
        // Requests are asked for when they are to be answered.
        effects.retain(|effect| !matches!(effect, Effect::RefreshRequests | Effect::RefreshInvitations));
        self.carry_out(effects).await;
        Ok(())
    }

    /// Listens until everything that was sent from here is answered.
    async fn settle(&mut self) -> anyhow::Result<()> {
        while !self.unanswered.is_empty() {
            let Some(event) = self.events.next().await else { return Ok(()) };
            self.hear(event).await?;
        }
        // What follows from the last answer was told with it.
        while let Some(event) = self.events.try_next() {
            self.hear(event).await?;
        }
        Ok(())
    }

    /// Listens until the group that one has come into is known here.
    async fn arrive(&mut self) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + OPENS_WITHIN;
        while self.app.is_waiting_to_open() {
            match tokio::time::timeout_at(until, self.events.next()).await {
                Ok(Some(event)) => self.hear(event).await?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    eprintln!("! the group is not known on this device yet");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// In which group, before what is said there; nothing in a conversation of two.
    fn place(&self, conversation: ConversationId) -> String {
        match self.app.conversations.iter().find(|row| row.id == conversation) {
            Some(row) if row.kind == ConversationKind::Group => format!("[{}] ", one_line(&row.title)),
            _ => String::new(),
        }
    }

    async fn print(&mut self, message: StoredMessage) -> anyhow::Result<()> {
        let name = self.handle(message.sender).await;
        let at = self.place(message.conversation);
        let target = message.target().map_or(0, number);
        let line = match &message.content {
            Content::System { json, .. } => {
                GroupNews::read(json).map(|news| format!("* {at}{}", news::sentence(&self.app, &news, self.look)))
            }
            Content::FollowUp { what, .. } => match what {
                FollowUp::Edit(content) => words(content).map(|text| format!("edited #{target}: {text}")),
                FollowUp::Finish(whole) => Some(format!("finished #{target}: {}", one_line(whole))),
                FollowUp::Recall => Some(format!("took #{target} back")),
                FollowUp::React { emoji, removed: false } => Some(format!("reacted to #{target}: {}", one_line(emoji))),
                FollowUp::React { emoji, .. } => Some(format!("takes {} away from #{target}", one_line(emoji))),
                _ => None,
            }
            .map(|what| format!("* {at}{name} {what}")),
            content => words(content).map(|text| match &message.quote {
                Some(quote) => format!("{at}{name}: [{}] {text}", one_line(&quote.excerpt)),
                None => format!("{at}{name}: {text}"),
            }),
        };
        if let Some(line) = line {
            println!("{}", line.replace('\n', " "));
            self.client.mark_read(message.conversation, message.seq).await?;
        }
        Ok(())
    }

    /// The last messages of the remembered conversation, with the numbers that commands take.
    fn last(&self) {
        let said: Vec<_> = self.app.messages.values().filter(|item| item.kind.is_countable()).collect();
        for item in &said[said.len().saturating_sub(LAST)..] {
            let text =
                words(&item.content).filter(|_| item.gone.is_none()).unwrap_or_else(|| "(taken back)".to_owned());
            println!("#{} {}: {}", number(item.seq), one_line(&self.app.name(item.sender)), one_line(&text));
        }
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
    async fn handle(&mut self, user: UserId) -> String {
        if let Some(handle) = self.handles.get(&user) {
            return handle.clone();
        }
        if user == UserId(0) {
            return "the operator".to_owned();
        }
        match self.client.rest().user(user).await {
            Ok(profile) => self.handles.entry(user).or_insert(profile.handle).clone(),
            Err(_) => format!("user {user}"),
        }
    }
}
