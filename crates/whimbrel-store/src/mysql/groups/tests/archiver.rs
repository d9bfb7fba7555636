//! An archiver as a test needs it: it remembers a head and who may speak, and reads both again when its place was taken.

use sha2::{Digest, Sha256};
use whimbrel_core::{
    ConversationId, Cursors, DeviceId, GroupStanding, Members, Message, MessageId, MessageKind, Seq, Standing, UserId,
};

use super::MySqlStore;
use crate::{CommitError, CursorWrite, Head, NewRow, PlaceBatch, Timeline};

pub(super) struct Archiver<'a> {
    pub(super) store: &'a MySqlStore,
    pub(super) group: ConversationId,
    pub(super) users: &'a [UserId],
    pub(super) head: Head,
    standings: Vec<Option<Standing>>,
    /// How often a place was taken.
    pub(super) met: u32,
}

impl<'a> Archiver<'a> {
    pub(super) async fn new(store: &'a MySqlStore, group: ConversationId, users: &'a [UserId]) -> Self {
        let members = Members::Group(GroupStanding::default());
        let head = Head { seq: Seq::ZERO, n: 0, first_own: 0, at: 0, members };
        let mut archiver = Self { store, group, users, head, standings: Vec::new(), met: 0 };
        archiver.read().await;
        archiver
    }

    /// The head first, so that a change in between takes the place.
    pub(super) async fn read(&mut self) {
        let heads = self.store.heads(&[self.group]).await.expect("answers");
        self.head = heads[0].clone().expect("a group");
        let of: Vec<_> = self.users.iter().map(|user| (self.group, *user)).collect();
        self.standings = self.store.standings(&of).await.expect("answers");
    }

    pub(super) fn is_member(&self, user: usize) -> bool {
        self.standings[user].is_some()
    }

    pub(super) fn row(&self, behind: u64, user: usize, kind: MessageKind, body: &[u8]) -> NewRow {
        let message = Message {
            conversation: self.group,
            seq: Seq(self.head.seq.0 + 1 + behind),
            sender: self.users[user],
            device: DeviceId::from_bytes([1; 16]),
            message_id: MessageId::generate(),
            kind,
            key_version: 1,
            body: body.to_vec().into(),
            at: self.head.at,
        };
        let hash = Sha256::digest(&message.body).into();
        NewRow { message, hash, n: self.head.n + 1 + behind, own: 0, in_group: true }
    }

    /// One message of each of these, with their read cursors raised to what was the head; whether it is placed.
    pub(super) async fn say(&mut self, users: &[usize]) -> bool {
        let rows: Vec<_> =
            users.iter().zip(0..).map(|(user, behind)| self.row(behind, *user, MessageKind::TEXT, b"hello")).collect();
        let cursors = users.iter().map(|user| CursorWrite {
            conversation: self.group,
            user: self.users[*user],
            cursors: Cursors { delivered: self.head.seq, read: self.head.seq },
        });
        let batch = PlaceBatch { cursors: cursors.collect(), rows };
        match self.store.commit(batch).await {
            Ok(_) => {
                self.head.seq.0 += users.len() as u64;
                self.head.n += users.len() as u64;
                true
            }
            Err((_, CommitError::SeqTaken)) => {
                self.met += 1;
                self.read().await;
                false
            }
            Err((_, other)) => panic!("{other}"),
        }
    }
}
