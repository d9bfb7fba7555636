//! People, friendships and messages for the cases.

use bytes::Bytes;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};

use crate::directory::{NewUser, Relation, RelationChange};
use crate::{Directory, NewRow, PlaceBatch, Timeline};

/// A small generator whose seed is the test's: the same history every time.
pub struct Dice(u64);

impl Dice {
    /// From a seed above 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `sides` (xorshift64).
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// New accounts `{prefix}0`, `{prefix}1`, …
pub async fn people(directory: &dyn Directory, prefix: &str, count: usize) -> Vec<UserId> {
    let new = (0..count).map(|number| NewUser {
        handle: format!("{prefix}{number}"),
        display_name: format!("{prefix} {number}"),
        password_hash: None,
    });
    let created = directory.create_users(new.collect(), 1).await.expect("the store answers");
    created.into_iter().map(|user| user.expect("a free handle").id).collect()
}

/// Makes two users friends; the relation as the first sees it.
pub async fn befriend(directory: &dyn Directory, one: UserId, two: UserId) -> Relation {
    let request = RelationChange::Request { greeting: String::new() };
    directory.change_relation(one, two, request, 2).await.expect("a request");
    directory.change_relation(two, one, RelationChange::Accept, 3).await.expect("a yes");
    directory.relation(one, two).await.expect("the store answers").expect("a relation")
}

/// A message to place.
pub fn draft_row(conversation: ConversationId, seq: u64, sender: UserId, n: u64, own: u64) -> NewRow {
    let body = Bytes::from(format!("{conversation} {seq}"));
    NewRow {
        message: Message {
            conversation,
            seq: Seq(seq),
            sender,
            device: DeviceId::from_bytes([5; 16]),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body,
            at: 1000 + seq,
        },
        hash: [7; 32],
        n,
        own,
        in_group: false,
    }
}

/// A direct conversation with what its archiver remembers.
pub struct Lane {
    /// Which.
    pub conversation: ConversationId,
    /// Its two users, the lower id first.
    pub users: [UserId; 2],
    /// The last place.
    pub seq: u64,
    n: u64,
    own: [u64; 2],
}

impl Lane {
    /// The conversation of two new friends.
    pub async fn new(timeline: &dyn Timeline, directory: &dyn Directory, one: UserId, two: UserId) -> Self {
        let conversation = befriend(directory, one, two).await.conversation.expect("friends have one");
        Self::of(timeline, conversation, one, two).await
    }

    /// An existing conversation, as its head says.
    pub async fn of(timeline: &dyn Timeline, conversation: ConversationId, one: UserId, two: UserId) -> Self {
        let heads = timeline.heads(&[conversation]).await.expect("the store answers");
        let head = heads[0].clone().expect("it exists");
        let own = [head.first_own, head.n - head.first_own];
        Self { conversation, users: [one.min(two), one.max(two)], seq: head.seq.0, n: head.n, own }
    }

    /// The next row, said by the first (0) or the second (1).
    pub fn row(&mut self, side: usize) -> NewRow {
        self.seq += 1;
        self.n += 1;
        self.own[side] += 1;
        draft_row(self.conversation, self.seq, self.users[side], self.n, self.own[side])
    }

    /// The last row, which this one said, was not placed.
    pub fn takes_back_row(&mut self, side: usize) {
        self.seq -= 1;
        self.n -= 1;
        self.own[side] -= 1;
    }

    /// The next row, by the first (0) or the second (1), which does not count.
    pub fn follow_up(&mut self, side: usize) -> NewRow {
        self.seq += 1;
        draft_row(self.conversation, self.seq, self.users[side], self.n, self.own[side])
    }

    /// Places `count` rows, said by the two in turn; returns the messages.
    pub async fn say(&mut self, timeline: &dyn Timeline, count: usize) -> Vec<Message> {
        let rows: Vec<NewRow> = (0..count).map(|turn| self.row(turn % 2)).collect();
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        let (batch, _) = timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
        batch.rows.into_iter().map(|row| row.message).collect()
    }
}
