//! The clients: each a whole SDK with an application that sends, reads, goes away, comes back, and writes down what it
//! was told and shown.

mod acts;
mod reading;
mod talk;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use whimbrel_client::{
    Client, ConnectionState, ConversationId, Error, Event, Events, FirstSync, MessageId, Seq, StoredMessage, UserId,
};

use super::accounts::Account;
use super::dice::Dice;
use super::ghosts::Calm;
use super::groups::Group;
use super::ledger::{Book, Refused, Told};
use super::punctual::{Presence, Punctual, SHOWN_WITHIN, Slowest};
use super::receipts::Receipts;
use reading::Reading;
use talk::Talk;

/// Events that may wait for an application: more than a run has between two of its turns.
const EVENT_CAPACITY: usize = 200_000;
/// What is left in the queue of a client that has closed is taken within this.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);
/// Mean pause between two times that somebody reads.
const READ_EVERY: Duration = Duration::from_millis(1500);

/// What all clients do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As planned.
    Load,
    /// Be there, and start nothing new.
    Settle,
    /// The same, but some users go for good: see [`goes_first`].
    Part,
    /// Close.
    Finish,
}

/// Whether somebody is among the first who go in the end.
pub(super) fn goes_first(user: UserId) -> bool {
    user.0.is_multiple_of(2)
}

/// What all clients share.
pub(super) struct World {
    /// Since when times of the plan count; and the same in milliseconds since 1970.
    pub(super) began: Instant,
    pub(super) began_ms: u64,
    /// Where clients connect, and where REST is.
    pub(super) server: String,
    pub(super) api: String,
    pub(super) order: watch::Receiver<Order>,
    pub(super) receipts: Mutex<Receipts>,
    pub(super) punctual: Mutex<Punctual>,
    /// Mean pause between two messages of one client.
    pub(super) send_every: Duration,
    /// Messages put into outboxes, and answered SENT, so far.
    pub(super) drafted: AtomicU64,
    pub(super) sent: AtomicU64,
    /// When the first SENT came since this was 0, milliseconds of the run (at least 1).
    pub(super) first_sent_ms: AtomicU64,
    /// The longest times from a draft to its SENT, while the device was online.
    pub(super) slowest_sent: Mutex<Slowest>,
    /// The longest time from a SENT to a device that was online, in milliseconds.
    pub(super) slowest_shown_ms: AtomicU64,
    /// Whether a fault is under way that shakes presence.
    pub(super) calm: Calm,
}

/// What a client is made of.
pub(super) struct Role {
    pub(super) account: Account,
    /// `None`: in memory.
    pub(super) store: Option<PathBuf>,
    /// The quiet ones come last.
    pub(super) conversations: Vec<ConversationId>,
    /// How many of them are not quiet.
    pub(super) loud: usize,
    /// Whose presence it watches.
    pub(super) friends: Vec<UserId>,
    /// Those in which the user may be at some time; the large one is the last.
    pub(super) groups: Vec<Group>,
    pub(super) joins: Duration,
    pub(super) away: Vec<(Duration, Duration)>,
    pub(super) dice: Dice,
}

/// A client as the others see it.
pub(super) struct Handle {
    book: Mutex<Book>,
    client: Mutex<Option<Client>>,
    friends: Vec<UserId>,
}

impl Handle {
    /// With an empty book.
    pub(super) fn new(index: usize, role: &Role) -> Arc<Self> {
        let book = Book::new(index, role.account.user, role.account.device);
        Arc::new(Self { book: Mutex::new(book), client: Mutex::new(None), friends: role.friends.clone() })
    }

    /// Whose presence it watches.
    pub(super) fn friends(&self) -> &[UserId] {
        &self.friends
    }

    /// Its book.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while writing")
    }

    /// Its SDK, while it is there.
    pub(super) fn client(&self) -> Option<Client> {
        self.client.lock().expect("nobody panics while looking").clone()
    }
}

/// A client at work.
pub(super) struct Actor {
    world: Arc<World>,
    role: Role,
    handle: Arc<Handle>,
    talk: Talk,
    /// In groups, as far as it was shown.
    presence: Presence,
    /// It was online once, so it knows its keys and can write without the server.
    knows_keys: bool,
    /// Since when, of the run.
    online: Option<Duration>,
    /// When what was drafted that has no answer yet.
    drafted: HashMap<MessageId, Duration>,
    /// `None`: its store remembers.
    reading: Option<Reading>,
    /// What is to be said again.
    read_again: Vec<(ConversationId, Seq)>,
}

/// What happens next in a client's life.
enum Next {
    Event(Box<Event>),
    Ended,
    Send,
    Read,
    Ordered,
    Leave,
}

/// Waits for a moment; for ever if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

impl Actor {
    pub(super) fn new(world: Arc<World>, role: Role, handle: Arc<Handle>) -> Self {
        let presence = Presence::new(role.account.user, role.groups.iter().map(|group| group.conversation));
        let (talk, drafted) = (Talk::default(), HashMap::new());
        let reading = role.store.is_none().then(Reading::default);
        let read_again = Vec::new();
        Self { world, role, handle, talk, presence, knows_keys: false, online: None, drafted, reading, read_again }
    }

    /// Lives until it is told to finish.
    pub(super) async fn run(mut self) {
        let mut order = self.world.order.clone();
        self.sleep_until(self.role.joins, &mut order).await;
        for away in std::mem::take(&mut self.role.away) {
            if *order.borrow() == Order::Load {
                self.be_there(Some(away.0), &mut order).await;
                self.sleep_until(away.1, &mut order).await;
            }
        }
        self.be_there(None, &mut order).await;
    }

    /// Waits for a moment of the plan, or for another order.
    async fn sleep_until(&self, moment: Duration, order: &mut watch::Receiver<Order>) {
        tokio::select! {
            () = tokio::time::sleep_until((self.world.began + moment).into()) => {}
            _ = order.wait_for(|order| *order != Order::Load) => {}
        }
    }

    /// One life of the SDK: from connecting to closing, at `leaves` of the plan or when told to finish.
    async fn be_there(&mut self, leaves: Option<Duration>, order: &mut watch::Receiver<Order>) {
        let (client, mut events) = match self.connect().await {
            Ok(connected) => connected,
            Err(error) => return self.fail(format!("the SDK does not start: {error}")),
        };
        *self.handle.client.lock().expect("nobody panics while looking") = Some(client.clone());
        if let Err(error) = client.watch_presence(&self.role.friends).await {
            self.fail(format!("friends cannot be watched: {error}"));
        }
        self.reading.iter_mut().for_each(Reading::begins);
        let leaves = leaves.map(|moment| self.world.began + moment);
        let mut send_at = Instant::now() + self.role.dice.pause(self.world.send_every);
        let mut read_at = Instant::now() + self.role.dice.pause(READ_EVERY);
        loop {
            let now_ordered = *order.borrow_and_update();
            let goes_first = goes_first(self.role.account.user);
            if now_ordered == Order::Finish || (now_ordered == Order::Part && goes_first) {
                break;
            }
            let under_load = now_ordered == Order::Load;
            let next = tokio::select! {
                event = events.next() => event.map_or(Next::Ended, |event| Next::Event(Box::new(event))),
                _ = order.changed() => Next::Ordered,
                () = at(leaves), if under_load => Next::Leave,
                () = tokio::time::sleep_until(send_at.into()), if under_load && self.knows_keys => Next::Send,
                () = tokio::time::sleep_until(read_at.into()), if under_load => Next::Read,
            };
            match next {
                Next::Event(event) => {
                    self.take(*event);
                    self.read_again(&client).await;
                }
                Next::Ended => {
                    self.fail("the SDK ended by itself".to_owned());
                    break;
                }
                Next::Send => {
                    self.send(&client).await;
                    send_at = Instant::now() + self.role.dice.pause(self.world.send_every);
                }
                Next::Read => {
                    self.read(&client).await;
                    read_at = Instant::now() + self.role.dice.pause(READ_EVERY);
                }
                Next::Ordered => {}
                Next::Leave => break,
            }
        }
        *self.handle.client.lock().expect("nobody panics while looking") = None;
        self.went_offline();
        self.close(client, events).await;
    }

    async fn connect(&self) -> Result<(Client, Events), Error> {
        let credentials = self.role.account.credentials();
        let builder = Client::builder(&self.world.api, &self.world.server)
            .credentials(credentials)
            .first_sync(FirstSync::Everything)
            .event_capacity(EVENT_CAPACITY);
        match &self.role.store {
            Some(path) => builder.store_file(path),
            None => builder.store_memory(),
        }
        .connect()
        .await
    }

    /// Closes, and takes what is still to be told: an application that saw a message has seen it.
    async fn close(&mut self, client: Client, mut events: Events) {
        let closing = async {
            client.close().await;
            while let Some(event) = events.next().await {
                self.take(event);
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            self.fail("the SDK does not close".to_owned());
        }
    }

    fn take(&mut self, event: Event) {
        let now = self.world.began.elapsed();
        if let Event::State(state) = &event {
            match state {
                ConnectionState::Online => self.online = self.online.or(Some(now)),
                _ => self.went_offline(),
            }
        }
        let mut book = self.handle.book();
        match event {
            Event::Message(message) => {
                book.see(&message);
                if let Some(upto) = self.reading.as_mut().and_then(|one| one.shows(message.conversation, message.seq)) {
                    self.read_again.push((message.conversation, upto));
                }
                let row = book.news.get(&message.conversation).and_then(|news| news.get(&message.seq));
                if let Some((news, at)) = row {
                    let placed = Duration::from_millis(at.saturating_sub(self.world.began_ms));
                    self.presence.learn(message.conversation, message.seq, news, placed);
                }
                if let Some(since) = self.online.and_then(|online| self.owed_since(&message, online)) {
                    let punctual = self.world.punctual.lock().expect("nobody panics while writing");
                    let waited = punctual.waited(message.conversation, message.seq, since, now).unwrap_or_default();
                    self.world.slowest_shown_ms.fetch_max(waited.as_millis() as u64, Ordering::Relaxed);
                    book.failures.extend(too_late(message.conversation, message.seq, waited));
                }
                let mut receipts = self.world.receipts.lock().expect("nobody panics while writing");
                receipts.stored(book.user, message.conversation, message.seq, now);
            }
            Event::Sent { conversation, message_id, seq, .. } => {
                book.told.push(Told { conversation, message_id, seq });
                self.talk.sent(conversation, message_id, seq);
                self.world.punctual.lock().expect("nobody panics while writing").told(conversation, seq, now);
                if let (Some(drafted), Some(online)) = (self.drafted.remove(&message_id), self.online) {
                    let mut slowest = self.world.slowest_sent.lock().expect("nobody panics while writing");
                    slowest.waited(drafted.max(online), now);
                }
                self.world.sent.fetch_add(1, Ordering::Relaxed);
                let ms = (now.as_millis() as u64).max(1);
                // Only the first one since a restart counts.
                let _ = self.world.first_sent_ms.compare_exchange(0, ms, Ordering::Relaxed, Ordering::Relaxed);
            }
            Event::Refused { message_id, refusal: why, .. } => {
                book.refused.push(Refused { message_id, why, at: now_ms() });
                self.talk.refused(message_id);
                self.drafted.remove(&message_id);
            }
            Event::Receipt { conversation, user, cursors } => {
                let mut receipts = self.world.receipts.lock().expect("nobody panics while writing");
                receipts.heard(user, conversation, cursors, now);
            }
            Event::Lagged { missed } => book.missed += missed,
            Event::ConversationReset { .. } => book.resets += 1,
            Event::State(ConnectionState::Online) => self.knows_keys = true,
            Event::State(ConnectionState::Closed { why }) if why != whimbrel_client::Closed::ByApplication => {
                book.failures.push(format!("closed for good: {why}"));
            }
            Event::State(_) | Event::Unread { .. } | Event::RelationChanged(_) | Event::AccountChanged => {}
            // What they tell is looked at in the end.
            Event::Changed { .. }
            | Event::Erased { .. }
            | Event::GroupChanged { .. }
            | Event::SettingChanged { .. } => {}
            Event::Typing { .. } | Event::Signal { .. } | Event::Presence(_) => {}
        }
    }

    /// Since when a device that is online since then is owed this message.
    fn owed_since(&self, message: &StoredMessage, online: Duration) -> Option<Duration> {
        match self.presence.knows(message.conversation) {
            true => Some(online.max(self.presence.since(message.conversation, message.seq)?)),
            false => Some(online),
        }
    }

    /// What it still waits for, it should not have waited for too long.
    fn went_offline(&mut self) {
        let Some(online) = self.online.take() else { return };
        let now = self.world.began.elapsed();
        let mut book = self.handle.book();
        let punctual = self.world.punctual.lock().expect("nobody panics while writing");
        let friends = self.role.conversations.iter().map(|conversation| (*conversation, online));
        let groups = self.presence.now_in().map(|(group, since)| (group, online.max(since)));
        for (conversation, since) in friends.chain(groups) {
            if let Some((seq, waited)) = punctual.awaited(conversation, book.end(conversation), since, now) {
                book.failures.extend(too_late(conversation, seq, waited));
            }
        }
    }

    fn fail(&self, what: String) {
        self.handle.book().failures.push(what);
    }
}

/// This machine's clock, which is the server's too: milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn too_late(conversation: ConversationId, seq: Seq, waited: Duration) -> Option<String> {
    let what = || format!("it was online, and not shown {seq} in {conversation} for {waited:.1?} after its SENT");
    (waited > SHOWN_WITHIN).then(what)
}
