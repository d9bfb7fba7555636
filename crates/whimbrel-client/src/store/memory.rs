//! A store that is gone with the process.
//!
//! It keeps the last messages of each conversation and forgets older ones, so that a client that runs for weeks, or one
//! of a thousand in a load generator, has a bound.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use whimbrel_core::{ConversationId, Draft, FileId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_wire::seal::TARGET_LEN;

use super::{Commit, ConversationRow, Erased, Snapshot, Store, UploadRow, is_about};
use crate::account::Credentials;
use crate::error::StoreError;
use crate::group::GroupInfo;
use crate::relation::{Relation, RelationKey};
use crate::setting::Setting;

/// Messages of each conversation that [`MemoryStore::new`] keeps.
pub const MEMORY_MESSAGES: usize = 10_000;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    keep: usize,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    credentials: Option<Credentials>,
    conversations: BTreeMap<ConversationId, ConversationRow>,
    /// Gapless in each conversation, so the index of a seq is its distance from the first.
    runs: HashMap<ConversationId, VecDeque<Message>>,
    outbox: Vec<(ConversationId, Draft)>,
    uploads: BTreeMap<FileId, UploadRow>,
    relations: HashMap<UserId, Relation>,
    relations_due: BTreeSet<UserId>,
    relations_loaded: bool,
    groups: BTreeMap<ConversationId, GroupInfo>,
    group_keys: BTreeMap<(ConversationId, u32), RelationKey>,
    groups_due: BTreeSet<ConversationId>,
    settings: BTreeMap<ConversationId, Setting>,
    settings_due: BTreeSet<ConversationId>,
    settings_loaded: bool,
    bodies_readable: Option<bool>,
    fleeting_begun: BTreeMap<(ConversationId, Seq), u64>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Keeps the last [`MEMORY_MESSAGES`] of each conversation.
    pub fn new() -> Self {
        Self::keeping(MEMORY_MESSAGES)
    }

    /// Keeps the last `messages` (1 or more) of each conversation.
    pub fn keeping(messages: usize) -> Self {
        Self { state: Mutex::default(), keep: messages.max(1) }
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock();
        if state.closed { Err(StoreError::Closed) } else { Ok(state) }
    }
}

impl State {
    fn append(&mut self, mut message: Message, keep: usize) {
        // Otherwise a short body would hold the memory of everything that was read with it.
        message.body = Bytes::copy_from_slice(&message.body);
        let run = self.runs.entry(message.conversation).or_default();
        if run.len() >= keep {
            run.pop_front();
        }
        run.push_back(message);
    }

    /// Only where it is next to what is there: what does not fit leaves a run that nothing older is next to.
    fn put_before(&mut self, mut message: Message, keep: usize) {
        let base = self.conversations.get(&message.conversation).map(|row| row.cursor.next());
        let run = self.runs.entry(message.conversation).or_default();
        let next = run.front().map(|first| first.seq).or(base);
        if run.len() < keep && next == Some(message.seq.next()) {
            message.body = Bytes::copy_from_slice(&message.body);
            run.push_front(message);
        }
    }

    /// The stored messages with places above `after`.
    fn after(&self, conversation: ConversationId, after: Seq) -> impl Iterator<Item = &Message> {
        let run = self.runs.get(&conversation);
        let skip = match run.and_then(VecDeque::front) {
            Some(first) => (after.0 + 1).saturating_sub(first.seq.0),
            None => 0,
        };
        run.into_iter().flat_map(move |run| run.range(run.len().min(skip as usize)..))
    }

    fn take_back(&mut self, conversation: ConversationId, target: Seq) {
        for message in self.runs.get_mut(&conversation).into_iter().flatten() {
            if message.seq == target {
                message.body = Bytes::new();
            } else if message.kind.adds_content() && message.kind.target(&message.body) == Some(target) {
                message.body = Bytes::copy_from_slice(&message.body[..TARGET_LEN]);
            }
        }
    }

    fn erase(&mut self, erased: Erased) {
        let Erased { conversation, user, from, before } = erased;
        for message in self.runs.get_mut(&conversation).into_iter().flatten() {
            if message.sender != user || message.seq < from || message.seq >= before {
                continue;
            }
            let left = if message.kind.is_follow_up() { TARGET_LEN } else { 0 };
            if message.kind.is_submittable() && message.body.len() > left {
                message.body = Bytes::copy_from_slice(&message.body[..left]);
            }
            self.fleeting_begun.remove(&(conversation, message.seq));
        }
    }

    fn fleeting(&self) -> Vec<Message> {
        let is_there = |message: &&Message| message.kind == MessageKind::FLEETING && !message.body.is_empty();
        self.runs.values().flatten().filter(is_there).cloned().collect()
    }

    fn apply(&mut self, commit: Commit, keep: usize) {
        for conversation in commit.dropped_runs {
            self.runs.remove(&conversation);
            self.fleeting_begun.retain(|(id, _), _| *id != conversation);
            self.conversations.remove(&conversation);
        }
        self.conversations.extend(commit.conversations.into_iter().map(|row| (row.id, row)));
        for message in commit.messages {
            self.append(message, keep);
        }
        self.fleeting_begun.extend(commit.fleeting_begun.into_iter().map(|(id, seq, at)| ((id, seq), at)));
        for message in commit.older.into_iter().rev() {
            self.put_before(message, keep);
        }
        for (conversation, target) in commit.taken_back {
            self.fleeting_begun.remove(&(conversation, target));
            self.take_back(conversation, target);
        }
        for erased in commit.erased {
            self.erase(erased);
        }
        for (conversation, upto) in commit.cleared {
            self.fleeting_begun.retain(|(id, seq), _| *id != conversation || *seq > upto);
            if let Some(run) = self.runs.get_mut(&conversation) {
                run.retain(|message| message.seq > upto);
            }
        }
        self.outbox.extend(commit.drafts);
        if !commit.answered.is_empty() {
            let answered: hashbrown::HashSet<_> = commit.answered.into_iter().collect();
            self.outbox.retain(|(_, draft)| !answered.contains(&draft.message_id));
        }
        self.uploads.extend(commit.uploads.into_iter().map(|row| (row.file, row)));
        for file in commit.uploads_ended {
            self.uploads.remove(&file);
        }
        self.relations.extend(commit.relations.into_iter().map(|relation| (relation.peer.id, relation)));
        self.relations_due.extend(commit.relations_due);
        for user in commit.relations_settled {
            self.relations_due.remove(&user);
        }
        self.relations_loaded = commit.relations_loaded.unwrap_or(self.relations_loaded);
        self.groups.extend(commit.groups.into_iter().map(|info| (info.group.id, info)));
        self.group_keys.extend(commit.group_keys.into_iter().map(|(group, key)| ((group, key.version), key)));
        self.groups_due.extend(commit.groups_due);
        for group in commit.groups_settled {
            self.groups_due.remove(&group);
        }
        self.settings.extend(commit.settings.into_iter().map(|setting| (setting.conversation, setting)));
        self.settings_due.extend(commit.settings_due);
        for conversation in commit.settings_settled {
            self.settings_due.remove(&conversation);
        }
        self.settings_loaded = commit.settings_loaded.unwrap_or(self.settings_loaded);
        self.bodies_readable = commit.bodies_readable.or(self.bodies_readable);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn credentials(&self) -> Result<Option<Credentials>, StoreError> {
        Ok(self.open()?.credentials.clone())
    }

    async fn save_credentials(&self, credentials: &Credentials) -> Result<(), StoreError> {
        let mut state = self.open()?;
        if let Some(saved) = &state.credentials {
            super::check_owner((saved.user, saved.device), credentials)?;
        }
        state.credentials = Some(credentials.clone());
        Ok(())
    }

    async fn load(&self) -> Result<Snapshot, StoreError> {
        let state = self.open()?;
        Ok(Snapshot {
            conversations: state.conversations.values().cloned().collect(),
            outbox: state.outbox.clone(),
            relations: state.relations.values().cloned().collect(),
            relations_loaded: state.relations_loaded,
            relations_due: state.relations_due.iter().copied().collect(),
            groups: state.groups.values().cloned().collect(),
            group_keys: state.group_keys.iter().map(|((group, _), key)| (*group, key.clone())).collect(),
            groups_due: state.groups_due.iter().copied().collect(),
            settings: state.settings.values().cloned().collect(),
            settings_loaded: state.settings_loaded,
            settings_due: state.settings_due.iter().copied().collect(),
            fleeting: state.fleeting(),
            fleeting_begun: state.fleeting_begun.iter().map(|((id, seq), at)| (*id, *seq, *at)).collect(),
            bodies_readable: state.bodies_readable,
        })
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.open()?.apply(commit, self.keep);
        Ok(())
    }

    async fn conversations(&self) -> Result<Vec<ConversationRow>, StoreError> {
        Ok(self.open()?.conversations.values().cloned().collect())
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Ok(self.open()?.after(conversation, after).take(limit).cloned().collect())
    }

    async fn uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        Ok(self.open()?.uploads.values().cloned().collect())
    }

    async fn follow_ups(&self, conversation: ConversationId, from: Seq, upto: Seq) -> Result<Vec<Message>, StoreError> {
        let state = self.open()?;
        Ok(state.after(conversation, from).filter(|message| is_about(message, from, upto)).cloned().collect())
    }

    async fn erasures(&self, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
        let state = self.open()?;
        let run = state.runs.get(&conversation).into_iter().flatten();
        Ok(run.filter(|message| message.kind == MessageKind::ERASED).cloned().collect())
    }

    async fn last_messages(&self) -> Result<Vec<Message>, StoreError> {
        Ok(self.open()?.runs.values().filter_map(|run| run.back().cloned()).collect())
    }

    async fn find_message(
        &self,
        conversation: ConversationId,
        message_id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let state = self.open()?;
        let run = state.runs.get(&conversation);
        Ok(run.and_then(|run| run.iter().rev().find(|message| message.message_id == message_id).cloned()))
    }

    async fn count_incoming(
        &self,
        conversation: ConversationId,
        me: UserId,
        after: Seq,
        upto: Seq,
    ) -> Result<u64, StoreError> {
        let state = self.open()?;
        let stored = state.after(conversation, after).take_while(|message| message.seq <= upto);
        Ok(stored.filter(|message| message.sender != me && message.kind.is_countable()).count() as u64)
    }

    async fn close(&self) {
        self.state.lock().closed = true;
    }
}
