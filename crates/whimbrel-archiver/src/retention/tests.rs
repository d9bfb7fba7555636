//! On SQLite, with time set by the rows themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::TempDir;
use whimbrel_core::{
    ConnectorId, CursorMoved, DeviceId, Known, Message, MessageId, MessageKind, PlacedRow, SyncQuestion, View,
};
use whimbrel_rpc::{PlacedBatch, Revoked, Told};
use whimbrel_store::directory::{NewUser, RelationChange};
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::{Directory, Keyring, MasterKey, NewRow};

use super::*;

const HOUR: u64 = 3_600_000;

/// Hears what is announced.
#[derive(Default)]
struct Ear {
    moved: Mutex<Vec<CursorMoved>>,
    placed: Mutex<Vec<PlacedRow>>,
    /// Nobody listens.
    deaf: bool,
}

#[async_trait]
impl Announce for Ear {
    async fn placed(&self, batches: Vec<PlacedBatch>, _: Through) -> Told {
        if self.deaf {
            std::future::pending().await
        }
        self.placed.lock().extend(batches.into_iter().flat_map(|batch| batch.rows));
        Told::default()
    }

    async fn advanced(&self, moved: Vec<CursorMoved>, _: Through) -> Told {
        self.moved.lock().extend(moved);
        Told::default()
    }

    async fn expel(&self, _: Vec<ConnectorId>) -> bool {
        panic!("retention expels nobody");
    }

    async fn revoked(&self, _: Vec<Revoked>) {
        panic!("retention revokes nothing");
    }
}

/// Breaks off at the step with this number, before it or (odd) after it.
struct Breaking {
    store: SqliteStore,
    steps: AtomicUsize,
    at: usize,
}

impl Breaking {
    async fn step<T>(&self, step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let number = self.steps.fetch_add(2, Ordering::Relaxed);
        let broken = || StoreError::Unavailable("killed".into());
        if number >= self.at {
            return Err(broken());
        }
        let done = step.await?;
        if number + 1 >= self.at { Err(broken()) } else { Ok(done) }
    }
}

#[async_trait]
impl Keeping for Breaking {
    async fn kept(
        &self,
        which: Which,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, Option<ConversationId>), StoreError> {
        self.store.kept(which, after, limit).await
    }

    async fn first_since(&self, id: ConversationId, after: Seq, upto: Seq, at: u64) -> Result<Seq, StoreError> {
        self.store.first_since(id, after, upto, at).await
    }

    async fn behind(
        &self,
        id: ConversationId,
        floor: Seq,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.step(self.store.behind(id, floor, after, limit)).await
    }

    async fn raise_floor(&self, id: ConversationId, floor: Seq) -> Result<Seq, StoreError> {
        self.step(self.store.raise_floor(id, floor)).await
    }

    async fn erase(&self, user: UserId) -> Result<(), StoreError> {
        self.store.erase(user).await
    }

    async fn erasures(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.store.erasures(limit).await
    }

    async fn erase_some(&self, user: UserId, look: usize) -> Result<Erased, StoreError> {
        self.step(self.store.erase_some(user, look)).await
    }

    async fn sweep(&self, id: ConversationId, limit: usize) -> Result<usize, StoreError> {
        self.step(self.store.sweep(id, limit)).await
    }
}

/// Two friends whose messages are an hour apart, the last one now.
struct House {
    store: SqliteStore,
    ear: Arc<Ear>,
    users: [UserId; 2],
    chat: ConversationId,
    head: u64,
    _folder: TempDir,
}

async fn house(messages: u64) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let keyring = Arc::new(Keyring::new(MasterKey::generate(), Vec::new()).expect("one key"));
    let store = SqliteStore::open(folder.path(), keyring, SqliteConfig::default()).expect("a good folder");
    let new =
        ["ann", "bob"].map(|name| NewUser { handle: name.into(), display_name: String::new(), password_hash: None });
    let long_ago = now_ms() - 1000 * HOUR;
    let made = store.create_users(new.into(), long_ago).await.expect("answers");
    let users = [0, 1].map(|index| made[index].as_ref().expect("free").id);
    let ask = RelationChange::Request { greeting: String::new() };
    store.change_relation(users[0], users[1], ask, long_ago).await.expect("fits");
    store.change_relation(users[1], users[0], RelationChange::Accept, long_ago).await.expect("fits");
    let relation = store.relation(users[0], users[1]).await.expect("answers").expect("friends");
    let chat = relation.conversation.expect("friends have one");
    let head = store.heads(&[chat]).await.expect("answers")[0].clone().expect("there");
    let now = now_ms();
    let rows = (1..=messages).map(|step| NewRow {
        message: Message {
            conversation: chat,
            seq: Seq(head.seq.0 + step),
            sender: users[0],
            device: DeviceId::from_bytes([1; 16]),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::from_static(b"said"),
            at: now - (messages - step) * HOUR,
        },
        hash: [1; 32],
        n: step,
        own: step,
        in_group: false,
    });
    let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
    store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    House { store, ear: Arc::default(), users, chat, head: head.seq.0 + messages, _folder: folder }
}

/// Young is what is less than two hours and a half old.
fn config(keep: Keep) -> Config {
    Config { direct: keep, young: Duration::from_secs(9000), step: 3, pause: Duration::ZERO, ..Config::default() }
}

impl House {
    fn retention(&self, config: Config) -> Retention {
        let engine = Arc::new(self.store.clone());
        Retention::new(config, engine.clone(), engine.clone(), engine, self.ear.clone())
    }

    /// Passes until nothing is left to be done; how many messages are left above the floor, and rows.
    async fn settle(&self, retention: &Retention) -> (u64, usize) {
        while retention.pass(Which::All).await.expect("answers") {}
        self.left().await
    }

    async fn left(&self) -> (u64, usize) {
        let rows = self.rows().await;
        (self.head - self.view(0).await.floor.0, rows.len())
    }

    async fn rows(&self) -> Vec<Message> {
        self.store.read(self.chat, Seq::ZERO, 1000).await.expect("answers")
    }

    async fn view(&self, side: usize) -> View {
        let known = vec![Known { conversation: self.chat, cursor: Seq(0), message_id: None }];
        let question = SyncQuestion { id: 1, after: None, until: None, known, only_known: true, max_messages: 0 };
        self.store.sync(self.users[side], question).await.expect("answers").views.remove(0)
    }
}

#[tokio::test]
async fn what_is_older_goes_and_what_is_not_stays() {
    let house = house(100).await;
    // 40 hours and a half: the last one is of now, so 41 are younger.
    let retention = house.retention(config(Keep { age_ms: 40 * HOUR + HOUR / 2, messages: 0 }));
    assert_eq!(house.settle(&retention).await, (41, 42), "with the row at the floor");
    assert_eq!(house.view(1).await.unread, 41);
    assert!(house.ear.moved.lock().iter().any(|moved| moved.user == house.users[1]), "their devices hear of it");
}

#[tokio::test]
async fn what_is_further_back_goes_unless_it_is_young() {
    let house = house(100).await;
    assert_eq!(house.settle(&house.retention(config(Keep { age_ms: 0, messages: 30 }))).await, (30, 31));
    assert_eq!(house.settle(&house.retention(config(Keep { age_ms: 0, messages: 1 }))).await, (3, 4));
    assert_eq!(house.settle(&house.retention(config(Keep { age_ms: 1, messages: 0 }))).await, (3, 4));
}

#[tokio::test]
async fn the_strictest_of_all_bounds_counts_and_other_kinds_are_left_alone() {
    let house = house(100).await;
    let strict = Keep { age_ms: 0, messages: 10 };
    let others = Config { private: strict, group: strict, ..config(Keep { age_ms: 0, messages: 50 }) };
    assert_eq!(house.settle(&house.retention(others.clone())).await, (50, 51));
    let all = Config { all: Keep { age_ms: 20 * HOUR + HOUR / 2, messages: 0 }, ..others };
    assert_eq!(house.settle(&house.retention(all)).await, (21, 22));
}

#[tokio::test]
async fn a_conversation_that_is_all_old_keeps_its_last_row_alone() {
    let house = house(100).await;
    let retention = house.retention(Config { young: Duration::ZERO, ..config(Keep { age_ms: 1, messages: 0 }) });
    assert_eq!(house.settle(&retention).await, (0, 1));
    assert_eq!((house.view(0).await.unread, house.view(1).await.unread), (0, 0));
}

/// Killed before and after every step there is, and then begun anew: it ends the same, and at no moment is more gone than
/// the bounds say, or unread what is gone.
#[tokio::test]
async fn killed_in_the_middle_it_goes_on_with_the_next_pass() {
    let keep = Keep { age_ms: 0, messages: 10 };
    for at in 0.. {
        let house = house(18).await;
        let keeping = Arc::new(Breaking { store: house.store.clone(), steps: AtomicUsize::new(0), at });
        let engine = Arc::new(house.store.clone());
        let killed = Retention::new(config(keep), engine.clone(), keeping, engine, house.ear.clone());
        let mut done = killed.pass(Which::All).await;
        while matches!(done, Ok(true)) {
            done = killed.pass(Which::All).await;
        }
        let (left, rows) = house.left().await;
        assert!(left >= 10 && rows as u64 >= left, "{at}: {left}, {rows}");
        assert!(house.view(1).await.unread <= left, "{at}: what is gone is not unread");
        assert_eq!(house.settle(&house.retention(config(keep))).await, (10, 11), "killed at {at}");
        assert_eq!(house.view(1).await.unread, 10, "killed at {at}");
        if done.is_ok() {
            assert!(at > 10, "there were steps to be killed at");
            return;
        }
    }
}

/// Of what they said nothing is left, and whoever is in the conversation is told so once, when it is done.
#[tokio::test]
async fn who_is_to_be_erased_is_erased_to_the_end_and_it_is_told_once() {
    let house = house(40).await;
    house.store.erase(house.users[0]).await.expect("answers");
    let retention = house.retention(config(Keep::default()));
    retention.erase().await.expect("answers");
    let rows = house.rows().await;
    assert!(rows.iter().all(|row| row.body.is_empty() || !row.kind.is_countable()));
    assert_eq!((house.store.erasures(9).await.expect("answers").len(), house.left().await.1), (0, rows.len()));
    let told = std::mem::take(&mut *house.ear.placed.lock());
    let [row] = &told[..] else { panic!("one row, not {}", told.len()) };
    assert_eq!((row.message.kind, row.message.seq), (MessageKind::ERASED, Seq(house.head + 1)));
    assert_eq!(
        (&rows.last().expect("it stands").message_id, row.audience.named().count()),
        (&row.message.message_id, 2)
    );
    retention.erase().await.expect("answers");
    assert!(house.ear.placed.lock().is_empty(), "nobody asked for it again");
}

/// Killed before and after every step, and then begun anew: nothing is left of it and one row says so, whose teller may have
/// died.
#[tokio::test]
async fn killed_while_it_erases_it_goes_on_with_the_next_pass() {
    for at in 0.. {
        let house = house(10).await;
        house.store.erase(house.users[0]).await.expect("answers");
        let keeping = Arc::new(Breaking { store: house.store.clone(), steps: AtomicUsize::new(0), at });
        let engine = Arc::new(house.store.clone());
        let killed = Retention::new(config(Keep::default()), engine.clone(), keeping, engine, house.ear.clone());
        let done = killed.erase().await;
        let said = |rows: &[Message]| rows.iter().filter(|row| row.kind.is_countable() && !row.body.is_empty()).count();
        let erased = |rows: &[Message]| rows.iter().filter(|row| row.kind == MessageKind::ERASED).count();
        let rows = house.rows().await;
        assert_eq!(erased(&rows), usize::from(said(&rows) == 0), "killed at {at}");
        house.retention(config(Keep::default())).erase().await.expect("answers");
        let rows = house.rows().await;
        assert_eq!((said(&rows), erased(&rows)), (0, 1), "killed at {at}");
        if done.is_ok() {
            assert!(at > 6, "there were steps to be killed at");
            return;
        }
    }
}

/// Erasing goes on though nobody can be told.
#[tokio::test(start_paused = true)]
async fn who_cannot_tell_erases_all_the_same() {
    let house = House { ear: Arc::new(Ear { deaf: true, ..Ear::default() }), ..house(10).await };
    house.store.erase(house.users[0]).await.expect("answers");
    house.retention(config(Keep::default())).erase().await.expect("answers");
    assert!(house.store.erasures(9).await.expect("answers").is_empty());
}

#[tokio::test]
async fn two_at_once_end_as_one() {
    let house = house(60).await;
    let retention = || house.retention(config(Keep { age_ms: 0, messages: 10 }));
    let (one, two) = (retention(), retention());
    let (one, two) = tokio::join!(house.settle(&one), house.settle(&two));
    assert_eq!((one.0.min(two.0), house.left().await), (10, (10, 11)));
    assert_eq!(house.view(1).await.unread, 10);
}
