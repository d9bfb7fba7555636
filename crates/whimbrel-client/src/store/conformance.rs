//! What every store has to do; each test runs on every implementation.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, FileId, Message, MessageId, MessageKind, Seq, UserId,
};
use whimbrel_wire::seal::ConversationKey;

use super::{Commit, ConversationRow, MemoryStore, SqliteStore, Store, UploadRow};
use crate::account::Credentials;
use crate::error::StoreError;
use crate::group::{Group, GroupInfo, JoinMode};
use crate::relation::{Profile, Relation, RelationKey, RelationState};
use crate::setting::Setting;

mod erased;

const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);
const ME: UserId = UserId(1);
const PEER: UserId = UserId(2);

fn row(cursor: u64) -> ConversationRow {
    ConversationRow {
        id: CHAT,
        kind: ConversationKind::Direct,
        peer: Some(PEER),
        base: Seq(0),
        cursor: Seq(cursor),
        shown: Seq(cursor / 2),
        cursor_id: (cursor > 0).then(|| message(cursor).message_id),
        head: Seq(cursor + 1),
        own: Cursors { delivered: Seq(cursor), read: Seq(0) },
        peer_cursors: Cursors::default(),
        unread: 3,
        unread_from: Seq(0),
        unread_upto: Seq(cursor),
        mentions: vec![Seq(cursor + 1), Seq(cursor + 300)],
    }
}

/// Even places are the peer's; every fifth is a row that the server made.
fn message(seq: u64) -> Message {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&seq.to_be_bytes());
    Message {
        conversation: CHAT,
        seq: Seq(seq),
        sender: if seq.is_multiple_of(2) { PEER } else { ME },
        device: DeviceId::from_bytes([3; 16]),
        message_id: MessageId::from_bytes(id),
        kind: if seq.is_multiple_of(5) { MessageKind::STANDING } else { MessageKind::TEXT },
        key_version: 1,
        body: Bytes::from(vec![seq as u8; 9]),
        at: 1000 + seq,
    }
}

fn run(seqs: std::ops::RangeInclusive<u64>) -> Commit {
    let cursor = *seqs.end();
    Commit { conversations: vec![row(cursor)], messages: seqs.map(message).collect(), ..Commit::default() }
}

fn draft(n: u8) -> Draft {
    Draft {
        message_id: MessageId::from_bytes([n; 16]),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: Bytes::from(vec![n; 30]),
    }
}

fn credentials(user: UserId, token: &str) -> Credentials {
    Credentials {
        user,
        device: DeviceId::from_bytes([3; 16]),
        access_token: token.into(),
        access_expires_at: 99,
        refresh_token: Some("r".into()),
    }
}

async fn file(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.expect("a store")
}

async fn each(test: impl AsyncFn(Arc<dyn Store>)) {
    test(Arc::new(MemoryStore::new())).await;
    let folder = tempfile::tempdir().expect("a folder");
    test(Arc::new(file(&folder.path().join("device")).await)).await;
}

#[tokio::test]
async fn a_run_is_read_back_in_order_and_in_parts() {
    each(async |store| {
        store.commit(run(1..=4)).await.expect("committed");
        store.commit(run(5..=9)).await.expect("committed");
        let all = store.messages(CHAT, Seq(0), 100).await.expect("read");
        assert_eq!(all, (1..=9).map(message).collect::<Vec<_>>());
        assert_eq!(store.messages(CHAT, Seq(6), 2).await.expect("read"), [message(7), message(8)]);
        assert_eq!(store.messages(CHAT, Seq(9), 2).await.expect("read"), []);
        assert_eq!(store.last_messages().await.expect("read"), [message(9)]);
        assert_eq!(store.find_message(CHAT, message(3).message_id).await.expect("read"), Some(message(3)));
        assert_eq!(store.find_message(CHAT, draft(200).message_id).await.expect("read"), None);
        assert_eq!(store.conversations().await.expect("read"), [row(9)]);
    })
    .await;
}

#[tokio::test]
async fn only_what_others_said_is_counted() {
    each(async |store| {
        store.commit(run(1..=12)).await.expect("committed");
        // 2 4 6 8 10 12 are the peer's, and 10 is no message.
        assert_eq!(store.count_incoming(CHAT, ME, Seq(0), Seq(12)).await, Ok(5));
        assert_eq!(store.count_incoming(CHAT, ME, Seq(4), Seq(8)).await, Ok(2));
    })
    .await;
}

/// A row about an earlier one.
fn about(seq: u64, kind: MessageKind, target: u64) -> Message {
    let body = whimbrel_wire::seal::about(Seq(target), &[7; 40]);
    Message { kind, body, ..message(seq) }
}

/// 1 and 2 are texts; 3 and 4 edit them, 6 and 7 react to them, 8 takes 1 back: of 1 and 3 nothing is left but their places.
/// Row 8 comes in the same commit as 7, as a sync brings them.
#[tokio::test]
async fn what_is_taken_back_is_gone_with_its_edits_and_nothing_else_is() {
    each(async |store| {
        let (edit, react) = (MessageKind::EDIT, MessageKind::REACTION);
        let first = vec![message(1), message(2), about(3, edit, 1), about(4, edit, 2)];
        store.commit(Commit { messages: first, ..run(1..=4) }).await.expect("committed");
        let recall = Message { body: whimbrel_wire::seal::about(Seq(1), &[]), ..about(8, MessageKind::RECALL, 1) };
        let then = vec![message(5), about(6, react, 1), about(7, react, 2), recall.clone()];
        let taken_back = vec![(CHAT, Seq(1)), (CHAT, Seq(77))];
        store.commit(Commit { messages: then, taken_back, ..run(5..=8) }).await.expect("committed");
        let empty = Message { body: Bytes::new(), ..message(1) };
        let cut = about(3, edit, 1);
        let cut = Message { body: cut.body.slice(..8), ..cut };
        let rows = [
            empty,
            message(2),
            cut.clone(),
            about(4, edit, 2),
            message(5),
            about(6, react, 1),
            about(7, react, 2),
            recall.clone(),
        ];
        assert_eq!(store.messages(CHAT, Seq(0), 100).await.expect("read"), rows);
        let of_first = store.follow_ups(CHAT, Seq(1), Seq(1)).await.expect("read");
        assert_eq!(of_first, [cut, about(6, react, 1), recall]);
        assert_eq!(
            store.follow_ups(CHAT, Seq(2), Seq(9)).await.expect("read"),
            [about(4, edit, 2), about(7, react, 2)]
        );
        let (none, other) = (store.follow_ups(CHAT, Seq(3), Seq(99)), ConversationId::from_bytes([9; 16]));
        assert_eq!(none.await.expect("read"), []);
        assert_eq!(store.follow_ups(other, Seq(1), Seq(9)).await.expect("read"), []);
    })
    .await;
}

#[tokio::test]
async fn what_is_cleared_is_dropped_from_the_front() {
    each(async |store| {
        store.commit(run(1..=5)).await.expect("committed");
        let cleared = vec![(CHAT, Seq(3))];
        store.commit(Commit { cleared, ..run(6..=6) }).await.expect("committed");
        assert_eq!(store.messages(CHAT, Seq(0), 9).await.expect("read"), [message(4), message(5), message(6)]);
    })
    .await;
}

#[tokio::test]
async fn fleeting_messages_that_are_still_there_are_remembered() {
    each(async |store| {
        let fleeting = |seq| Message { kind: MessageKind::FLEETING, ..message(seq) };
        let messages = vec![fleeting(1), fleeting(2), message(3)];
        store.commit(Commit { messages, taken_back: vec![(CHAT, Seq(1))], ..run(1..=3) }).await.expect("committed");
        assert_eq!(store.load().await.expect("loaded").fleeting, [fleeting(2)]);
        let begun = async || store.load().await.expect("loaded").fleeting_begun;
        let at = |seq, at| (CHAT, Seq(seq), at);
        let fleeting_begun = vec![at(2, 500), at(3, 600), at(4, 700), at(5, 800)];
        store.commit(Commit { fleeting_begun, ..Commit::default() }).await.expect("committed");
        store.commit(Commit { fleeting_begun: vec![at(5, 900)], ..Commit::default() }).await.expect("committed");
        assert_eq!(begun().await, [at(2, 500), at(3, 600), at(4, 700), at(5, 900)]);
        let (taken_back, cleared) = (vec![(CHAT, Seq(4))], vec![(CHAT, Seq(2))]);
        store.commit(Commit { taken_back, cleared, ..Commit::default() }).await.expect("committed");
        assert_eq!(begun().await, [at(3, 600), at(5, 900)], "the others are gone with their messages");
        store.commit(Commit { dropped_runs: vec![CHAT], ..Commit::default() }).await.expect("committed");
        assert_eq!(begun().await, []);
    })
    .await;
}

#[tokio::test]
async fn groups_keys_settings_and_what_is_due_are_kept() {
    each(async |store| {
        let group = Group {
            id: CHAT,
            handle: Some("walkers".into()),
            name: "Walkers".into(),
            avatar: String::new(),
            announcement: "Sunday".into(),
            owner: PEER,
            join: JoinMode::Approval,
            listed: true,
            history_for_all: false,
            member_limit: 10,
            size: 3,
            muted_until: u64::MAX,
            revision: Seq(7),
            key_version: 2,
            created_at: 5,
            dissolved_at: None,
            keep: crate::group::Keep { age_s: 60, messages: 5 },
        };
        let info = GroupInfo { group, role: Some(whimbrel_core::Role::Admin), muted_until: 0, until: Seq(9) };
        let setting = Setting {
            conversation: CHAT,
            pinned_at: 1,
            muted_until: u64::MAX,
            archived: true,
            draft_key_version: 2,
            draft: Bytes::from_static(b"sealed"),
            cleared: Seq(4),
            hidden: Seq(0),
            changed_at: 8,
        };
        let key = |version: u32| (CHAT, RelationKey { version, key: ConversationKey::from_bytes([version as u8; 32]) });
        let other = ConversationId::from_bytes([5; 16]);
        let due = Commit { groups_due: vec![CHAT, other], settings_due: vec![other, CHAT], ..Commit::default() };
        store.commit(due).await.expect("committed");
        let fetched = Commit {
            groups: vec![info.clone()],
            group_keys: vec![key(2), key(1)],
            groups_settled: vec![CHAT],
            settings: vec![setting.clone()],
            settings_settled: vec![CHAT],
            settings_loaded: Some(true),
            ..Commit::default()
        };
        store.commit(fetched).await.expect("committed");
        let snapshot = store.load().await.expect("loaded");
        assert_eq!((snapshot.groups, snapshot.settings), (vec![info], vec![setting]));
        let keys: Vec<_> = snapshot.group_keys.iter().map(|(id, key)| (*id, key.version, key.key_bytes())).collect();
        assert_eq!(keys, [(CHAT, 1, [1; 32]), (CHAT, 2, [2; 32])]);
        assert_eq!((snapshot.groups_due, snapshot.settings_due), (vec![other], vec![other]));
        assert!(snapshot.settings_loaded);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_run_makes_room_for_another_in_the_same_commit() {
    each(async |store| {
        store.commit(run(1..=4)).await.expect("committed");
        store.commit(Commit { dropped_runs: vec![CHAT], ..run(1..=2) }).await.expect("committed");
        assert_eq!(store.messages(CHAT, Seq(0), 100).await.expect("read"), [message(1), message(2)]);
    })
    .await;
}

#[tokio::test]
async fn drafts_keep_their_order_until_they_are_answered() {
    each(async |store| {
        let drafts = |ns: &[u8]| ns.iter().map(|n| (CHAT, draft(*n))).collect::<Vec<_>>();
        store.commit(Commit { drafts: drafts(&[3, 1, 2]), ..Commit::default() }).await.expect("committed");
        store.commit(Commit { drafts: drafts(&[9]), ..Commit::default() }).await.expect("committed");
        let answered = vec![draft(1).message_id];
        store.commit(Commit { answered, ..Commit::default() }).await.expect("committed");
        assert_eq!(store.load().await.expect("loaded").outbox, drafts(&[3, 2, 9]));
    })
    .await;
}

#[tokio::test]
async fn relations_keys_and_what_is_due_are_kept() {
    each(async |store| {
        let key = |version| RelationKey { version, key: ConversationKey::from_bytes([version as u8; 32]) };
        let relation = Relation {
            peer: Profile { id: PEER, handle: "bob".into(), display_name: "Bob".into(), avatar: None },
            state: RelationState::RequestReceived,
            blocked: true,
            greeting: Some("hi".into()),
            conversation: Some(CHAT),
            keys: vec![key(1), key(2)],
            changed_at: 7,
        };
        let due = Commit { relations_due: vec![PEER, UserId(5)], bodies_readable: Some(false), ..Commit::default() };
        store.commit(due).await.expect("committed");
        let fetched = Commit {
            relations: vec![relation.clone()],
            relations_settled: vec![PEER],
            relations_loaded: Some(true),
            ..Commit::default()
        };
        store.commit(fetched).await.expect("committed");
        let snapshot = store.load().await.expect("loaded");
        assert!(snapshot.relations[0].says_the_same(&relation));
        assert_eq!(snapshot.relations[0].keys[1].key_bytes(), [2; 32]);
        assert_eq!((snapshot.relations_due, snapshot.relations_loaded), (vec![UserId(5)], true));
        assert_eq!(snapshot.bodies_readable, Some(false));
    })
    .await;
}

#[tokio::test]
async fn a_store_belongs_to_one_device() {
    each(async |store| {
        assert!(store.credentials().await.expect("read").is_none());
        store.save_credentials(&credentials(ME, "one")).await.expect("saved");
        store.save_credentials(&credentials(ME, "two")).await.expect("saved");
        let refused = store.save_credentials(&credentials(PEER, "three")).await;
        assert!(matches!(refused, Err(StoreError::NotYours { user: ME, asked_user: PEER, .. })), "{refused:?}");
        let saved = store.credentials().await.expect("read").expect("saved").to_exposed();
        assert_eq!((saved.access_token.as_str(), saved.refresh_token.as_deref()), ("two", Some("r")));
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    each(async |store| {
        store.close().await;
        assert_eq!(store.commit(run(1..=1)).await, Err(StoreError::Closed));
    })
    .await;
}

fn upload(n: u8) -> UploadRow {
    UploadRow {
        file: FileId::from_bytes([n; 16]),
        conversation: CHAT,
        kind: MessageKind::IMAGE,
        path: format!("/home/ada/the sea {n} 🌊.png"),
        keeps_metadata: n == 2,
        content_hash: [n; 32],
        attachment: Bytes::from(vec![n; 9]),
    }
}

/// Its message leaves with it: the draft is there exactly when the upload is not any more.
#[tokio::test]
async fn an_upload_is_known_until_its_message_is_in_the_outbox() {
    each(async |store| {
        store.commit(Commit { uploads: vec![upload(1), upload(2)], ..Commit::default() }).await.expect("committed");
        assert_eq!(store.uploads().await.expect("read"), [upload(1), upload(2)]);
        let said = Commit { drafts: vec![(CHAT, draft(1))], uploads_ended: vec![upload(1).file], ..Commit::default() };
        assert!(!said.is_empty());
        store.commit(said).await.expect("committed");
        assert_eq!(store.uploads().await.expect("read"), [upload(2)]);
        assert_eq!(store.load().await.expect("loaded").outbox.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_memory_store_forgets_the_oldest() {
    let store = MemoryStore::keeping(3);
    store.commit(run(1..=10)).await.expect("committed");
    let kept: Vec<_> = store.messages(CHAT, Seq(0), 10).await.expect("read").iter().map(|m| m.seq.0).collect();
    assert_eq!(kept, [8, 9, 10]);
    assert_eq!(store.messages(CHAT, Seq(9), 10).await.expect("read").len(), 1);
}

/// A commit whose second message cannot be stored (its place is taken) fails: none of it is there afterwards.
#[tokio::test]
async fn a_failed_commit_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = file(&folder.path().join("device")).await;
    store.commit(run(1..=2)).await.expect("committed");
    let twice = Commit { messages: vec![message(3), message(3)], drafts: vec![(CHAT, draft(1))], ..run(3..=3) };
    assert!(store.commit(twice).await.is_err());
    assert_eq!(store.conversations().await.expect("read"), [row(2)]);
    assert_eq!(store.messages(CHAT, Seq(0), 10).await.expect("read").len(), 2);
    assert!(store.load().await.expect("loaded").outbox.is_empty());
}

/// After every commit the files are copied as a crash would leave them, nothing closed and nothing checkpointed: each
/// copy opens, holds all that was committed, and its run ends at its cursor.
#[tokio::test]
async fn after_a_crash_the_run_ends_at_the_cursor() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device");
    let store = file(&path).await;
    for n in 0..20 {
        store.commit(run(n * 3 + 1..=n * 3 + 3)).await.expect("committed");
        let image = folder.path().join(format!("image{n}"));
        for side in ["", "-wal"] {
            let (from, to) = (format!("{}{side}", path.display()), format!("{}{side}", image.display()));
            std::fs::copy(from, to).expect("copied");
        }
        let image = file(&image).await;
        let cursor = image.conversations().await.expect("read")[0].cursor;
        assert_eq!(cursor, Seq(n * 3 + 3));
        let run = image.messages(CHAT, Seq(0), 1000).await.expect("read");
        assert_eq!(run.iter().map(|m| m.seq.0).collect::<Vec<_>>(), (1..=cursor.0).collect::<Vec<_>>());
    }
}

/// The write-ahead log is cut off in the middle of the last commit, as power loss may do: it is as if that commit had
/// never been, all of it.
#[tokio::test]
async fn half_a_commit_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, image) = (folder.path().join("device"), folder.path().join("image"));
    let store = file(&path).await;
    store.commit(run(1..=3)).await.expect("committed");
    let wal = |of: &Path| std::path::PathBuf::from(format!("{}-wal", of.display()));
    let before = std::fs::metadata(wal(&path)).expect("it is there").len();
    store.commit(run(4..=200)).await.expect("committed");
    let bytes = std::fs::read(wal(&path)).expect("it is there");
    std::fs::copy(&path, &image).expect("copied");
    std::fs::write(wal(&image), &bytes[..(before as usize + bytes.len()) / 2]).expect("written");
    let image = file(&image).await;
    assert_eq!(image.conversations().await.expect("read")[0].cursor, Seq(3));
    assert_eq!(image.messages(CHAT, Seq(0), 1000).await.expect("read").len(), 3);
}

#[tokio::test]
async fn a_file_is_private_locked_and_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device");
    let store = file(&path).await;
    store.commit(run(1..=2)).await.expect("committed");
    #[cfg(unix)]
    for side in ["", "-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(format!("{}{side}", path.display())).expect("it is there");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    assert!(SqliteStore::open(&path).await.is_err(), "it is open");
    store.close().await;
    assert_eq!(file(&path).await.conversations().await.expect("read"), [row(2)]);
    let other = folder.path().join("other");
    rusqlite::Connection::open(&other).and_then(|c| c.execute_batch("CREATE TABLE t (x)")).expect("another database");
    assert!(matches!(SqliteStore::open(&other).await, Err(StoreError::Unreadable(_))));
}

/// What was said before goes before the run, and what of it was taken back is gone with the same commit. A store with a
/// bound takes the nearest ones, and nothing that is not next to its run.
#[tokio::test]
async fn what_was_before_goes_before_the_run() {
    each(async |store| {
        store.commit(run(20..=25)).await.expect("committed");
        let older = Commit {
            conversations: vec![row(25)],
            older: (10..=19).map(message).collect(),
            taken_back: vec![(CHAT, Seq(12))],
            ..Commit::default()
        };
        store.commit(older).await.expect("committed");
        let all = store.messages(CHAT, Seq(0), 100).await.expect("read");
        let expected = (10..=25).map(|seq| match seq {
            12 => Message { body: Bytes::new(), ..message(12) },
            seq => message(seq),
        });
        assert_eq!(all, expected.collect::<Vec<_>>());
        assert_eq!(store.messages(CHAT, Seq(17), 3).await.expect("read"), [message(18), message(19), message(20)]);
    })
    .await;
    let bounded = MemoryStore::keeping(10);
    bounded.commit(run(20..=25)).await.expect("committed");
    for part in [12..=19_u64, 5..=11] {
        let older = Commit { older: part.map(message).collect(), ..Commit::default() };
        bounded.commit(older).await.expect("committed");
    }
    let kept = bounded.messages(CHAT, Seq(0), 100).await.expect("read");
    assert_eq!(kept, (16..=25).map(message).collect::<Vec<_>>());
}
