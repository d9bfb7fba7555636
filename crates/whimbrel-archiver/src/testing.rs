//! A timeline in memory with the engine's two unique keys, and faults to order.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use whimbrel_core::{
    Audience, BatchId, ConversationId, CursorMoved, Cursors, DeviceId, DirectStanding, Draft, FileId, GroupStanding,
    Members, Message, MessageId, MessageKind, Role, Seq, Standing, SyncAnswer, SyncQuestion, TransferId, UserId,
};
use whimbrel_store::{
    CommitError, Delivered, DraftsEntry, Entry, FoundRow, Head, NewRow, PlaceBatch, Record, StoreError, Target,
    Timeline,
};

pub(crate) const ANN: UserId = UserId(1);
pub(crate) const BOB: UserId = UserId(2);
pub(crate) const EVE: UserId = UserId(3);

/// What a commit runs into; it is rolled back.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Away,
    /// Committed, but the answer gets lost.
    AwayAfter,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<(ConversationId, Seq), NewRow>,
    pub(crate) standing: HashMap<ConversationId, DirectStanding>,
    pub(crate) groups: HashMap<ConversationId, Group>,
    pub(crate) cursors: HashMap<(ConversationId, UserId), Cursors>,
    pub(crate) faults: VecDeque<Fault>,
    /// Bodies that are refused for good; with `false` the engine cannot say which row it was.
    pub(crate) refuses: Option<(Bytes, bool)>,
    /// Somebody else is always quicker than a transaction with more rows than this.
    pub(crate) crowd: Option<usize>,
    pub(crate) commits: usize,
    pub(crate) head_reads: usize,
    pub(crate) finds: usize,
    pub(crate) standing_reads: usize,
    pub(crate) target_reads: usize,
    pub(crate) file_reads: usize,
    /// Files that are whole.
    pub(crate) files: HashSet<(FileId, UserId)>,
    /// A file that goes as soon as somebody has asked which ones are there.
    pub(crate) goes: Option<FileId>,
    /// How often the engine was reached anew.
    pub(crate) connections: u64,
    /// It goes back, and is reached anew, before the next commit.
    pub(crate) goes_back: bool,
}

/// A group of any members.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) rules: GroupStanding,
    pub(crate) members: HashMap<UserId, Standing>,
}

/// The timeline of friends [`ANN`] and [`BOB`] in any number of conversations.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) state: Mutex<State>,
}

impl Shelf {
    pub(crate) fn with(conversations: &[ConversationId]) -> Self {
        let shelf = Self::default();
        for conversation in conversations {
            shelf.stand(*conversation, DirectStanding { friends: true, ..Default::default() });
        }
        shelf
    }

    pub(crate) fn stand(&self, conversation: ConversationId, standing: DirectStanding) {
        self.state.lock().standing.insert(conversation, standing);
    }

    /// Changes the standing as the API does: with a row.
    pub(crate) fn change(&self, conversation: ConversationId, standing: DirectStanding) {
        self.stand(conversation, standing);
        let mut state = self.state.lock();
        let head = state.head(conversation).expect("exists");
        let mut row = row(conversation, head.seq.0 + 1, ANN, "");
        (row.message.kind, row.n, row.own) = (MessageKind::STANDING, head.n, head.first_own);
        state.rows.insert((conversation, row.message.seq), row);
    }

    /// A group of these, which began with a row.
    pub(crate) fn found(&self, group: ConversationId, members: &[(UserId, Role)]) {
        self.state.lock().groups.insert(group, Group::default());
        self.change_group(group, |group| {
            let standing = |role| Standing { role, muted_until: 0, sees_from: Seq(1) };
            group.members = members.iter().map(|(user, role)| (*user, standing(*role))).collect();
        });
    }

    /// Changes a group as the API does: with a row.
    pub(crate) fn change_group(&self, id: ConversationId, change: impl FnOnce(&mut Group)) {
        let mut state = self.state.lock();
        let head = state.head(id).expect("exists");
        let group = state.groups.get_mut(&id).expect("exists");
        change(group);
        (group.rules.revision, group.rules.size) = (head.seq.next(), group.members.len() as u32);
        let mut row = row(id, head.seq.0 + 1, ANN, "{}");
        (row.message.kind, row.n, row.in_group) = (MessageKind::GROUP, head.n, true);
        state.rows.insert((id, row.message.seq), row);
    }

    /// The last row of every conversation is lost, and the engine that lost it is reached anew.
    pub(crate) fn go_back(&self) {
        let mut state = self.state.lock();
        let last: HashMap<ConversationId, Seq> = state.rows.keys().copied().collect();
        state.rows.retain(|(conversation, seq), _| last.get(conversation) != Some(seq));
        state.connections += 1;
    }

    /// The bodies of a conversation, in order; panics if its places are not 1, 2, 3, ….
    pub(crate) fn bodies(&self, conversation: ConversationId) -> Vec<String> {
        let state = self.state.lock();
        let rows = state.rows.iter().filter(|((at, _), _)| *at == conversation);
        rows.zip(1..)
            .map(|(((_, seq), row), expected)| {
                assert_eq!(seq.0, expected, "the places are dense");
                String::from_utf8(row.message.body.to_vec()).expect("text")
            })
            .collect()
    }
}

impl State {
    pub(crate) fn head(&self, conversation: ConversationId) -> Option<Head> {
        let members = match (self.standing.get(&conversation), self.groups.get(&conversation)) {
            (Some(standing), _) => Members::Direct { first: ANN, second: BOB, standing: *standing },
            (None, group) => Members::Group(group?.rules),
        };
        let last = self.rows.range((conversation, Seq(0))..=(conversation, Seq(u64::MAX))).next_back();
        let (seq, n, first_own, at) = last.map_or((Seq(0), 0, 0, 0), |(_, row)| {
            let first_own = match row.in_group {
                true => 0,
                false if row.message.sender == ANN => row.own,
                false => row.n - row.own,
            };
            (row.message.seq, row.n, first_own, row.message.at)
        });
        Some(Head { seq, n, first_own, at, members })
    }

    fn check(&self, batch: &PlaceBatch) -> Result<(), CommitError> {
        for (index, row) in batch.rows.iter().enumerate() {
            if let Some((body, named)) = &self.refuses
                && *body == row.message.body
            {
                let index = if *named { index } else { usize::MAX };
                return Err(CommitError::RowRefused { index, reason: "no".into() });
            }
            let message = &row.message;
            if self.rows.contains_key(&(message.conversation, message.seq)) {
                return Err(CommitError::SeqTaken);
            }
            if self.find(message.conversation, message.sender, message.message_id).is_some() {
                return Err(CommitError::IdTaken);
            }
            if message.kind.file(&message.body).is_some_and(|file| !self.files.contains(&(file, message.sender))) {
                return Err(CommitError::NoFile);
            }
        }
        Ok(())
    }

    fn find(&self, conversation: ConversationId, sender: UserId, id: MessageId) -> Option<FoundRow> {
        let found = self.rows.values().find(|row| {
            let message = &row.message;
            message.conversation == conversation && message.sender == sender && message.message_id == id
        })?;
        Some(FoundRow { seq: found.message.seq, at: found.message.at, hash: found.hash })
    }

    fn target(&self, at: &(ConversationId, Seq)) -> Option<Target> {
        let message = &self.rows.get(at)?.message;
        let of_it = |row: &&NewRow| {
            let about = row.message.kind.target(&row.message.body);
            row.message.conversation == at.0 && row.message.kind.adds_content() && about == Some(at.1)
        };
        Some(Target {
            sender: message.sender,
            kind: message.kind,
            at: message.at,
            recalled: message.body.is_empty(),
            follow_ups: self.rows.values().filter(of_it).count() as u32,
            finished: self.rows.values().rfind(of_it).is_some_and(|row| row.message.kind == MessageKind::FINISH),
        })
    }

    fn apply(&mut self, batch: &PlaceBatch) -> Vec<CursorMoved> {
        for row in &batch.rows {
            let message = &row.message;
            if message.kind.takes_back() {
                let target = (message.conversation, message.kind.target(&message.body).expect("planned"));
                self.rows.get_mut(&target).expect("planned").message.body = Bytes::new();
            }
            self.rows.insert((message.conversation, message.seq), row.clone());
        }
        let mut moved = Vec::new();
        for write in &batch.cursors {
            let Some(head) = self.head(write.conversation).filter(|head| head.members.may_contain(write.user)) else {
                continue;
            };
            let cursors = self.cursors.entry((write.conversation, write.user)).or_default();
            *cursors = cursors.max(write.cursors.clamped(head.seq));
            moved.push(CursorMoved {
                conversation: write.conversation,
                user: write.user,
                cursors: *cursors,
                audience: Audience::Two(ANN, BOB),
            });
        }
        moved
    }
}

#[async_trait]
impl Timeline for Shelf {
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        let mut state = self.state.lock();
        state.head_reads += 1;
        Ok(conversations.iter().map(|conversation| state.head(*conversation)).collect())
    }

    async fn find(&self, ids: &[(ConversationId, UserId, MessageId)]) -> Result<Vec<Option<FoundRow>>, StoreError> {
        let mut state = self.state.lock();
        state.finds += 1;
        Ok(ids.iter().map(|(conversation, sender, id)| state.find(*conversation, *sender, *id)).collect())
    }

    async fn standings(&self, of: &[(ConversationId, UserId)]) -> Result<Vec<Option<Standing>>, StoreError> {
        let mut state = self.state.lock();
        state.standing_reads += 1;
        let standing = |(group, user)| state.groups.get(group)?.members.get(user).copied();
        Ok(of.iter().map(|(group, user)| standing((group, user))).collect())
    }

    async fn targets(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<Option<Target>>, StoreError> {
        let mut state = self.state.lock();
        state.target_reads += 1;
        Ok(of.iter().map(|at| state.target(at)).collect())
    }

    async fn files(&self, of: &[(FileId, UserId)]) -> Result<Vec<bool>, StoreError> {
        let mut state = self.state.lock();
        state.file_reads += 1;
        let there = of.iter().map(|file| state.files.contains(file)).collect();
        if let Some(file) = state.goes.take() {
            state.files.retain(|(id, _)| *id != file);
        }
        Ok(there)
    }

    async fn commit(&self, batch: PlaceBatch) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        let mut state = self.state.lock();
        state.commits += 1;
        let away = || CommitError::Store(StoreError::Unavailable("gone".into()));
        match state.faults.pop_front() {
            Some(Fault::Away) => return Err((batch, away())),
            Some(Fault::AwayAfter) => {
                state.check(&batch).expect("the test commits");
                state.apply(&batch);
                return Err((batch, away()));
            }
            None => {}
        }
        if state.crowd.is_some_and(|most| batch.rows.len() > most) {
            return Err((batch, CommitError::SeqTaken));
        }
        if let Err(error) = state.check(&batch) {
            return Err((batch, error));
        }
        let moved = state.apply(&batch);
        Ok((batch, moved))
    }

    fn connections(&self) -> u64 {
        self.state.lock().connections
    }

    async fn commit_since(
        &self,
        batch: PlaceBatch,
        connections: u64,
    ) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        if std::mem::take(&mut self.state.lock().goes_back) {
            self.go_back();
        }
        if self.connections() != connections {
            return Err((batch, CommitError::Anew));
        }
        self.commit(batch).await
    }

    async fn sync(&self, _: UserId, _: SyncQuestion) -> Result<SyncAnswer, StoreError> {
        Err(StoreError::Unavailable("not here".into()))
    }

    async fn read(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError> {
        let state = self.state.lock();
        let rows = state.rows.range((conversation, after.next())..=(conversation, Seq(u64::MAX))).take(limit);
        Ok(rows.map(|(_, row)| row.message.clone()).collect())
    }
}

pub(crate) fn draft(text: &str) -> Draft {
    Draft {
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn row(conversation: ConversationId, seq: u64, sender: UserId, text: &str) -> NewRow {
    let draft = draft(text);
    NewRow {
        message: Message {
            conversation,
            seq: Seq(seq),
            sender,
            device: DeviceId::from_bytes([0; 16]),
            message_id: draft.message_id,
            kind: draft.kind,
            key_version: 0,
            body: draft.body,
            at: 1,
        },
        hash: [0; 32],
        n: 0,
        own: 0,
        in_group: false,
    }
}

/// A draft about an earlier message.
pub(crate) fn about(kind: MessageKind, seq: u64, rest: &str) -> Draft {
    let body = [&seq.to_be_bytes()[..], rest.as_bytes()].concat();
    Draft { kind, body: body.into(), ..draft("") }
}

/// A draft that comes with a file.
pub(crate) fn with_file(file: FileId, rest: &str) -> Draft {
    let body = [&file.as_bytes()[..], rest.as_bytes()].concat();
    Draft { kind: MessageKind::IMAGE, body: body.into(), ..draft("") }
}

/// One with another kind.
pub(crate) fn of_kind(kind: MessageKind, text: &str) -> Draft {
    Draft { kind, ..draft(text) }
}

pub(crate) fn said(conversation: ConversationId, sender: UserId, drafts: &[Draft]) -> Entry {
    let device = DeviceId::from_bytes([sender.0 as u8; 16]);
    Entry::Drafts(DraftsEntry { conversation, sender, device, drafts: drafts.to_vec() })
}

pub(crate) fn record(entries: Vec<Entry>) -> Record {
    Record { batch: BatchId::generate(), transfer: TransferId::from_bytes([9; 16]), entries }
}

pub(crate) fn delivered(entries: Vec<Entry>) -> Delivered {
    Delivered { partition: 0, tag: 1, redelivered: false, record: record(entries) }
}
