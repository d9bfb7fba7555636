//! People and friendships written with SQL, for cases that are about the timeline.

use async_trait::async_trait;
use whimbrel_core::{ConversationId, DeviceId, Members, MessageId, MessageKind, Seq, UserId};

use super::super::MySqlStore;
use crate::conformance::draft_row;
use crate::directory::*;
use crate::{Directory, PlaceBatch, StoreError, Timeline};

pub(super) struct Seed(pub(super) MySqlStore);

impl Seed {
    async fn conversation(&self, one: UserId, two: UserId) -> Option<ConversationId> {
        let mut session = self.0.pool.session().await.expect("answers");
        let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT id FROM conversation WHERE kind = 1 AND first = ? AND second = ?")
            .bind(one.min(two).0).bind(one.max(two).0).fetch_optional(&mut *session).await.expect("answers");
        session.done();
        row.map(|(id,)| ConversationId::from_bytes(id.try_into().expect("16 bytes")))
    }

    async fn make(&self, kind: u8, one: UserId, two: UserId) -> ConversationId {
        let id = ConversationId::generate();
        let mut session = self.0.pool.session().await.expect("answers");
        sqlx::query("INSERT INTO conversation (id, kind, first, second, friends, created_at) VALUES (?, ?, ?, ?, 1, 1)")
            .bind(&id.as_bytes()[..]).bind(kind).bind(one.0).bind(two.0).execute(&mut *session).await.expect("answers");
        for user in [one, two].iter().filter(|user| user.0 > 0) {
            sqlx::query("INSERT INTO member (user, conv) VALUES (?, ?)").bind(user.0).bind(&id.as_bytes()[..])
                .execute(&mut *session).await.expect("answers");
        }
        session.done();
        id
    }

    async fn tell(&self, conversation: ConversationId, sender: UserId) {
        let head = self.0.heads(&[conversation]).await.expect("answers").remove(0).expect("exists");
        let own = match head.members { Members::Direct { first, .. } if first == sender => head.first_own, _ => head.n - head.first_own };
        let mut row = draft_row(conversation, head.seq.0 + 1, sender, head.n, own);
        row.message.kind = MessageKind::STANDING;
        row.message.message_id = MessageId::generate();
        self.0.commit(PlaceBatch { rows: vec![row], cursors: vec![] }).await.expect("free");
    }
}

#[async_trait]
impl Directory for Seed {
    async fn create_users(&self, users: Vec<NewUser>, now: u64) -> Result<Vec<Result<User, DirectoryError>>, StoreError> {
        let mut made = Vec::new();
        for user in users {
            let mut session = self.0.pool.session().await?;
            let id = sqlx::query("INSERT INTO user (handle, display_name, avatar, private_conversation, created_at) VALUES (?, '', '', x'00000000000000000000000000000000', 1)")
                .bind(&user.handle).execute(&mut *session).await.expect("free").last_insert_id();
            session.done();
            self.make(2, UserId(id), UserId(0)).await;
            made.push(Ok(User { id: UserId(id), handle: user.handle, display_name: String::new(), avatar: String::new(), created_at: now }));
        }
        Ok(made)
    }
    async fn change_relation(&self, user: UserId, peer: UserId, change: RelationChange, _: u64) -> Result<(Relation, Rows), DirectoryError> {
        let conversation = match (change, self.conversation(user, peer).await) {
            (RelationChange::Request { .. }, known) => known,
            (_, Some(known)) => { self.tell(known, user.min(peer)).await; Some(known) }
            (_, None) => { let made = self.make(1, user.min(peer), user.max(peer)).await; self.tell(made, user.min(peer)).await; Some(made) }
        };
        let mut relation = self.relation(user, peer).await?.expect("one");
        relation.conversation = conversation;
        Ok((relation, vec![]))
    }
    async fn relation(&self, user: UserId, peer: UserId) -> Result<Option<Relation>, StoreError> {
        Ok(Some(Relation {
            peer: User { id: peer, handle: String::new(), display_name: String::new(), avatar: String::new(), created_at: 1 },
            state: RelationState::Friends, blocked: false, greeting: String::new(),
            conversation: self.conversation(user, peer).await, keys: vec![], changed_at: 1,
        }))
    }
    async fn user(&self, _: UserId) -> Result<Option<User>, StoreError> { unimplemented!() }
    async fn user_by_handle(&self, _: &str) -> Result<Option<User>, StoreError> { unimplemented!() }
    async fn set_profile(&self, _: UserId, _: Option<String>, _: Option<String>, _: u64) -> Result<(User, Rows), DirectoryError> { unimplemented!() }
    async fn password_hash(&self, _: UserId) -> Result<Option<Option<String>>, StoreError> { unimplemented!() }
    async fn set_password(&self, _: UserId, _: String, _: DeviceId, _: u64) -> Result<(Vec<DeviceId>, Rows), DirectoryError> { unimplemented!() }
    async fn delete_user(&self, _: UserId, _: u64) -> Result<Rows, DirectoryError> { unimplemented!() }
    async fn log_in(&self, _: Vec<LogIn>) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError> { unimplemented!() }
    async fn refresh(&self, _: [u8; 32], _: [u8; 32], _: u64, _: u64) -> Result<Refreshed, StoreError> { unimplemented!() }
    async fn logged_in(&self, _: &[(UserId, DeviceId)]) -> Result<Vec<bool>, StoreError> { unimplemented!() }
    async fn logged_out_since(&self, _: u64) -> Result<Vec<LoggedOut>, StoreError> { unimplemented!() }
    async fn untold(&self, _: u64, _: usize) -> Result<Rows, StoreError> { unimplemented!() }
    async fn told(&self, _: &[(ConversationId, Seq)]) -> Result<(), StoreError> { unimplemented!() }
    async fn devices(&self, _: UserId) -> Result<Vec<Device>, StoreError> { unimplemented!() }
    async fn log_out(&self, _: UserId, _: Option<DeviceId>, _: u64) -> Result<(Vec<DeviceId>, Rows), DirectoryError> { unimplemented!() }
    async fn relations(&self, _: UserId, _: UserId, _: usize) -> Result<Vec<Relation>, StoreError> { unimplemented!() }
    async fn members(&self, _: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError> { unimplemented!() }
    async fn rewrap_keys(&self) -> Result<u64, StoreError> { unimplemented!() }
    async fn ping(&self) -> Result<(), StoreError> { unimplemented!() }
}
