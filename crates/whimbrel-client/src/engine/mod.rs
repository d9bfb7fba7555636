//! What a device does with what it hears: frames and commands in, one commit, events and frames out.
//!
//! No I/O, no clock, no task: the driver reads, commits, emits and writes. Between [`Engine::take`] and the commit's
//! success nothing of the batch may be shown or acknowledged as delivered; the driver keeps to that by being the only
//! caller. When a commit fails, what is here is ahead of the store and the engine is of no more use.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use tokio::time::Instant;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, FileId, Message, MessageId, Seq, UserId,
};
use whimbrel_wire::convert::Welcome;

use crate::builder::FirstSync;
use crate::cursors::Advances;
use crate::event::{Event, Outcome};
use crate::inbox::{Conversation, Recount};
use crate::keys::Directory;
use crate::message::show;
use crate::outbox::Outbox;
use crate::presence::Watched;
use crate::relations::Due;
use crate::store::{Commit, Snapshot, UploadRow};
use crate::sync::Syncs;

mod erased;
mod fleeting;
mod frames;
mod groups;
mod older;
mod outgoing;
mod passing;
mod people;
mod presence;

#[cfg(test)]
mod tests;

pub(crate) use erased::{Unheard, erasure};
pub(crate) use frames::Fault;
pub(crate) use people::Sendable;

/// What the engine is told once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) first_sync: FirstSync,
    pub(crate) read_receipts: bool,
    pub(crate) auto_deliver: bool,
}

/// One device.
pub(crate) struct Engine {
    habits: Habits,
    directory: Arc<Directory>,
    conversations: HashMap<ConversationId, Conversation>,
    outbox: Outbox,
    syncs: Syncs,
    advances: Advances,
    pub(crate) due: Due,
    passing: passing::Passing,
    watched: Watched,
    fleeting: fleeting::Fleeting,
    batch: Batch,
    /// Key versions that REST did not give: what they seal is shown sealed and not held back again.
    keyless: HashSet<(ConversationId, u32)>,
    bodies_readable: Option<bool>,
    limits: Option<Welcome>,
}

/// What gathered since the last commit.
#[derive(Default)]
struct Batch {
    commit: Commit,
    events: Vec<Event>,
    outcomes: Vec<(MessageId, Outcome)>,
    touched: HashSet<ConversationId>,
    /// Places where a user may have called somebody whose words are gone, to be looked up in the store.
    unheard: Vec<Unheard>,
}

/// A batch on its way: first the commit, then the rest.
pub(crate) struct Taken {
    pub(crate) commit: Commit,
    pub(crate) events: Vec<Event>,
    pub(crate) outcomes: Vec<(MessageId, Outcome)>,
}

impl Engine {
    pub(crate) fn new(habits: Habits, directory: Arc<Directory>, snapshot: Snapshot) -> Self {
        let mut outbox = Outbox::default();
        let mut due = Due::new(&snapshot);
        for row in snapshot.conversations.iter().filter(|row| row.shown < row.cursor) {
            match row.peer {
                Some(peer) => due.user(peer),
                None if row.kind == ConversationKind::Group => due.group(row.id),
                None => {}
            }
        }
        for (conversation, draft) in snapshot.outbox {
            outbox.push(conversation, draft);
        }
        let rows = snapshot.conversations.into_iter();
        let mut engine = Self {
            habits,
            directory,
            conversations: rows.map(|row| (row.id, Conversation::stored(row))).collect(),
            outbox,
            syncs: Syncs::default(),
            advances: Advances::default(),
            due,
            passing: passing::Passing::default(),
            watched: Watched::default(),
            fleeting: fleeting::Fleeting::default(),
            batch: Batch::default(),
            keyless: HashSet::new(),
            bodies_readable: snapshot.bodies_readable,
            limits: None,
        };
        engine.remember_fleeting(snapshot.fleeting, snapshot.fleeting_begun, Instant::now());
        engine
    }

    /// A session has begun.
    pub(crate) fn session_started(&mut self, welcome: &Welcome) {
        self.outbox.session_started();
        self.syncs.session_started();
        self.advances.session_started();
        self.passing.session_started();
        let unknown = self.watched.session_started(welcome);
        self.show_presences(unknown);
        self.directory.set_readable_bodies(welcome.bodies_readable);
        self.directory.set_clock(welcome.server_time_ms);
        self.conversations.values_mut().for_each(Conversation::session_started);
        self.keyless.clear();
        if self.bodies_readable != Some(welcome.bodies_readable) {
            self.bodies_readable = Some(welcome.bodies_readable);
            self.batch.commit.bodies_readable = self.bodies_readable;
        }
        self.limits = Some(welcome.clone());
    }

    /// Whether the device has all that was missed: everything was compared, no gap is left, and the people are known
    /// (or cannot be asked about at the moment).
    pub(crate) fn is_in_step(&self) -> bool {
        self.syncs.has_compared() && self.syncs.is_idle() && self.due.is_idle()
    }

    /// Whether relations may be fetched: see [`crate::relations`].
    pub(crate) fn may_fetch(&self) -> bool {
        self.syncs.has_compared()
    }

    /// The batch, with the conversations that it touched as they are now.
    pub(crate) fn take(&mut self) -> Taken {
        let Batch { mut commit, mut events, outcomes, touched, unheard: _ } = std::mem::take(&mut self.batch);
        for id in touched {
            let Some(conversation) = self.conversations.get_mut(&id) else { continue };
            let unread = conversation.row.unread;
            let recounts = conversation.wants_recount();
            if !recounts && std::mem::replace(&mut conversation.told_unread, unread) != unread {
                events.push(Event::Unread { conversation: id, unread });
            }
            if recounts {
                // Not now: what it counts is not committed yet.
                self.batch.touched.insert(id);
            }
            commit.conversations.push(conversation.row.clone());
        }
        Taken { commit, events, outcomes }
    }

    /// Whether unread counts can be found before the commit: nothing that they count is in it.
    pub(crate) fn is_countable_now(&self) -> bool {
        self.batch.commit.messages.is_empty()
            && self.batch.commit.older.is_empty()
            && self.batch.commit.dropped_runs.is_empty()
    }

    /// Which unread counts are to be found anew, and how.
    pub(crate) fn recounts(&mut self) -> Vec<(ConversationId, Recount)> {
        let waiting: Vec<_> = self.batch.touched.iter().copied().collect();
        let recount = |id| {
            let conversation: &Conversation = self.conversations.get(&id)?;
            conversation.wants_recount().then(|| (id, conversation.recount()))
        };
        waiting.into_iter().filter_map(recount).collect()
    }

    /// The answer to one of [`Engine::recounts`]; `None`: the server has to be asked, and its view will say.
    pub(crate) fn recounted(&mut self, id: ConversationId, unread: Option<u64>) {
        match (self.conversations.get_mut(&id), unread) {
            (Some(conversation), Some(unread)) => {
                conversation.recounted(unread);
                self.batch.touched.insert(id);
            }
            (_, None) => {
                self.batch.touched.remove(&id);
                self.syncs.ask(id);
            }
            (None, _) => {}
        }
    }

    /// How many are unread now, as far as they were counted.
    pub(crate) fn unread(&self, id: ConversationId) -> u64 {
        self.conversations.get(&id).map_or(0, |conversation| conversation.row.unread)
    }

    /// Puts a draft into the outbox.
    pub(crate) fn draft(&mut self, conversation: ConversationId, draft: Draft) {
        self.batch.commit.drafts.push((conversation, draft.clone()));
        self.outbox.push(conversation, draft);
    }

    /// A file is on its way.
    pub(crate) fn upload_begins(&mut self, row: UploadRow) {
        self.batch.commit.uploads.push(row);
    }

    /// It is not any more.
    pub(crate) fn upload_ends(&mut self, file: FileId) {
        self.batch.commit.uploads_ended.push(file);
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The user has read up to `upto`, as far as it is stored. Says whether the conversation is known.
    pub(crate) fn mark_read(&mut self, id: ConversationId, upto: Seq, now: Instant) -> bool {
        let Some(conversation) = self.conversations.get_mut(&id) else { return false };
        let read = upto.min(conversation.row.cursor);
        if conversation.own_reached(Cursors { delivered: read, read }) {
            self.batch.touched.insert(id);
            self.tell(id, true, now);
            self.fleeting_read(id, read, self.habits.user, now);
        }
        true
    }

    /// Whether the server confirmed that the user has read up to `upto`.
    pub(crate) fn is_read_durable(&self, id: ConversationId, upto: Seq) -> bool {
        self.conversations.get(&id).is_some_and(|conversation| conversation.durable.read >= upto)
    }

    /// The user writes, or has stopped.
    pub(crate) fn typing(&mut self, id: ConversationId, typing: bool, now: Instant) {
        self.passing.typing(id, typing, now);
    }

    /// The embedding product's own signal. Says whether it is short enough.
    pub(crate) fn signal(&mut self, id: ConversationId, data: Bytes) -> bool {
        self.passing.custom(id, data)
    }

    pub(crate) fn poke(&mut self) {
        self.syncs.compare();
    }

    /// What the server is to know of one's own cursors in this conversation.
    fn target(&self, conversation: &Conversation) -> Cursors {
        let row = &conversation.row;
        let read = if self.habits.read_receipts { row.own.read } else { Seq::ZERO };
        let delivered = if self.habits.auto_deliver { row.cursor } else { read };
        Cursors { delivered, read }.normalized()
    }

    /// Tells the server about a conversation's cursors, unless it knows.
    fn tell(&mut self, id: ConversationId, urgent: bool, now: Instant) {
        let Some(conversation) = self.conversations.get(&id) else { return };
        let target = self.target(conversation);
        if target.delivered > conversation.durable.delivered || target.read > conversation.durable.read {
            self.advances.moved(id, urgent, now);
        } else {
            self.advances.confirmed(id);
        }
    }

    /// Shows a message that was just taken into its run, or holds it back until its key is known.
    fn show_next(&mut self, message: &Message, now: Instant) {
        let Some(conversation) = self.conversations.get_mut(&message.conversation) else { return };
        let held = conversation.row.shown.next() != message.seq;
        if !held && self.is_showable(message) {
            self.show(message, now);
            return;
        }
        let id = message.conversation;
        if self.is_group(id) && !self.due.awaits_group(id) {
            self.group_due(id);
        }
        let peer = self.conversations.get(&message.conversation).and_then(|held| held.row.peer);
        if let Some(peer) = peer.filter(|peer| !self.due.awaits(*peer)) {
            self.due.user(peer);
        }
    }

    fn show(&mut self, message: &Message, now: Instant) {
        if let Some(conversation) = self.conversations.get_mut(&message.conversation) {
            conversation.row.shown = message.seq;
            self.batch.touched.insert(message.conversation);
        }
        let shown = show(&self.directory, message.clone());
        self.batch.events.push(Event::Message(shown.clone()));
        self.shown(&shown, now);
    }
}

/// A row that the server placed, as its JSON says.
pub(crate) fn user_in(json: &Bytes) -> Option<UserId> {
    #[derive(serde::Deserialize)]
    struct Row {
        user: u64,
    }
    serde_json::from_slice::<Row>(json).ok().map(|row| UserId(row.user))
}
