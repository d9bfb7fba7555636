//! A standalone server's data with something of everything: the source of all copies here.

use std::path::Path;

use tempfile::TempDir;
use whimbrel_core::{ConversationId, Cursors, DeviceId, FileId, MessageId, Seq, UserId};

use super::keyring;
use crate::conformance::{Dice, Lane, befriend, draft_row};
use crate::directory::{LogIn, NewUser, RelationChange};
use crate::filing::{Kept, NewFile, NewPicture, Picture, Usage};
use crate::groups::{Actor, GroupChange, JoinMode, NewGroup};
use crate::presence::PrivacyChange;
use crate::settings::SettingChange;
use crate::sqlite::{SqliteConfig, SqliteStore};
use crate::{CursorWrite, Directory, Files, Groups, NewRow, PlaceBatch, Presences, Settings, Timeline};

/// Deleted at the end.
const DELETED: usize = 6;

/// What is in it, and the folder.
pub(super) struct History {
    pub(super) folder: TempDir,
    pub(super) users: Vec<UserId>,
    pub(super) devices: Vec<(UserId, DeviceId)>,
    pub(super) conversations: Vec<ConversationId>,
    pub(super) groups: Vec<ConversationId>,
    pub(super) messages: Vec<(ConversationId, UserId, MessageId)>,
}

pub(super) fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, keyring(), SqliteConfig::default()).expect("a good folder")
}

/// The refresh token that a device got at its log-in.
pub(super) fn token(device: DeviceId) -> [u8; 32] {
    [device.as_bytes()[0]; 32]
}

/// Made through the store, as the server does it, and closed.
pub(super) async fn history() -> History {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = accounts(&store).await;
    let devices = log_ins(&store, &users).await;
    let conversations = relations(&store, &users).await;
    let messages = talk(&store, &users, &conversations).await;
    let groups = groups(&store, &users).await;
    settings(&store, &users, &conversations, &groups).await;
    presence(&store, &users).await;
    files(&store, &users, conversations[0]).await;
    store.delete_user(users[DELETED], 900).await.expect("there");
    // One device's token is exchanged, another device is logged out.
    store.refresh(token(devices[0].1), [0xEE; 32], 50, 10).await.expect("answers");
    store.log_out(devices[3].0, Some(devices[3].1), 60).await.expect("there");
    crate::Keeping::erase(&store, users[DELETED]).await.expect("answers");
    store.close().await.expect("in order");
    History { folder, users, devices, conversations, groups, messages }
}

/// Names in many alphabets; one of them long; with and without passwords.
async fn accounts(store: &SqliteStore) -> Vec<UserId> {
    let names = ["Anna", "Bérénice", "Ölaf", "李雷", "🦀 Ferris", "it's \\ \"quoted\"", "gone", ""];
    let new = names.iter().enumerate().map(|(index, name)| NewUser {
        handle: format!("user.{index}"),
        display_name: (*name).to_owned(),
        password_hash: (index % 2 == 0).then(|| format!("$argon2id$v=19$m=1,t=1,p=1${index}")),
    });
    let made = store.create_users(new.collect(), 10).await.expect("answers");
    let users: Vec<UserId> = made.into_iter().map(|user| user.expect("free").id).collect();
    let avatar = Some("https://example.org/🦀.png".to_owned());
    store.set_profile(users[1], None, avatar, 11).await.expect("there");
    users
}

async fn log_ins(store: &SqliteStore, users: &[UserId]) -> Vec<(UserId, DeviceId)> {
    let devices = users.iter().flat_map(|user| [*user, *user]).enumerate();
    let devices: Vec<(UserId, DeviceId)> =
        devices.map(|(index, user)| (user, DeviceId::from_bytes([index as u8 + 1; 16]))).collect();
    let log_ins = devices.iter().enumerate().map(|(index, (user, device))| LogIn {
        user: *user,
        device: *device,
        platform: "linux".into(),
        name: format!("{user:?}'s {index} 📱"),
        refresh_hash: (index % 5 != 4).then(|| token(*device)),
        now: 20 + index as u64,
    });
    let answers = store.log_in(log_ins.collect()).await.expect("answers");
    assert!(answers.iter().all(Result::is_ok));
    devices
}

/// Friends, former friends, friends again (with a second key), requests that wait, blocks.
async fn relations(store: &SqliteStore, users: &[UserId]) -> Vec<ConversationId> {
    let mut conversations = Vec::new();
    for (one, two) in [(0, 1), (0, 2), (1, 2), (3, 0), (4, 3), (5, 6), (0, 6)] {
        let relation = befriend(store, users[one], users[two]).await;
        conversations.push(relation.conversation.expect("friends have one"));
    }
    let change = async |one: usize, two: usize, change| {
        store.change_relation(users[one], users[two], change, 30).await.expect("it fits");
    };
    change(0, 2, RelationChange::Remove).await;
    change(1, 2, RelationChange::Remove).await;
    befriend(store, users[1], users[2]).await;
    change(3, 4, RelationChange::Block).await;
    change(7, 0, RelationChange::Request { greeting: "hello 👋 it's me".into() }).await;
    change(2, 7, RelationChange::Block).await;
    conversations
}

/// Messages of both sides, of empty and of long bodies with every byte, and cursors of both.
async fn talk(
    store: &SqliteStore,
    users: &[UserId],
    conversations: &[ConversationId],
) -> Vec<(ConversationId, UserId, MessageId)> {
    let mut dice = Dice::new(7);
    let mut said = Vec::new();
    for (index, conversation) in conversations.iter().enumerate() {
        let members = store.members(&[*conversation]).await.expect("answers").remove(0).expect("there");
        let whimbrel_core::Members::Direct { first, second, .. } = members else { panic!("a direct one") };
        let mut lane = Lane::of(store, *conversation, first, second).await;
        let mut rows: Vec<_> = (0..5 + 9 * index).map(|_| lane.row(dice.roll(2) as usize)).collect();
        for row in &mut rows {
            let len = [0, 3, 300, 3000][dice.roll(4) as usize];
            row.message.body = (0..len).map(|at: usize| at as u8).collect();
            row.hash = [dice.roll(256) as u8; 32];
            row.message.device = DeviceId::from_bytes([dice.roll(256) as u8; 16]);
        }
        said.extend(rows.iter().map(|row| (*conversation, row.message.sender, row.message.message_id)));
        let cursors = [first, second].into_iter().enumerate().map(|(side, user)| CursorWrite {
            conversation: *conversation,
            user,
            cursors: Cursors { delivered: Seq(4 + side as u64 + index as u64), read: Seq(2 + index as u64) },
        });
        let batch = PlaceBatch { rows, cursors: cursors.collect() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    }
    assert_eq!(users.len(), 8);
    said
}

/// One group with members who came, left, came back, are muted for good, asked and are invited, with messages, edits and cursors;
/// one whose owner is deleted.
async fn groups(store: &SqliteStore, users: &[UserId]) -> Vec<ConversationId> {
    let mut ids = Vec::new();
    for (owner, handle, members) in [(0, Some("group"), vec![users[1], users[7]]), (DELETED, None, vec![users[5]])] {
        let new = NewGroup {
            owner: users[owner],
            handle: handle.map(Into::into),
            name: format!("{owner} & 🦀"),
            avatar: String::new(),
            announcement: "it's \\ \"quoted\"".into(),
            join: JoinMode::Approval,
            listed: true,
            history_for_all: false,
            member_limit: 100,
            members,
        };
        ids.push(store.create_group(new, 70).await.expect("it fits").0.id);
    }
    let change = async |by, change| {
        store.change_group(ids[0], by, change, 80).await.expect("it fits");
    };
    change(Actor::Operator, GroupChange::Add { users: users[2..5].to_vec() }).await;
    change(Actor::User(users[4]), GroupChange::Leave).await;
    change(Actor::User(users[1]), GroupChange::Leave).await;
    change(Actor::Operator, GroupChange::Add { users: vec![users[1]] }).await;
    let keep = crate::keeping::Keep { age_ms: 90_000_000, messages: 1000 };
    let settings = crate::groups::GroupSettings { keep: Some(keep), ..Default::default() };
    change(Actor::User(users[0]), GroupChange::Settle(settings)).await;
    change(Actor::User(users[0]), GroupChange::Mute { user: users[3], until: u64::MAX }).await;
    change(Actor::User(users[0]), GroupChange::MuteAll { until: u64::MAX }).await;
    change(Actor::User(users[5]), GroupChange::Join { message: "🦀?".into() }).await;
    let head = store.heads(&ids[..1]).await.expect("answers")[0].clone().expect("there");
    let rows: Vec<NewRow> = (1..=9)
        .map(|step| {
            let row = draft_row(ids[0], head.seq.0 + step, users[step as usize % 3], head.n + step, 0);
            NewRow { in_group: true, ..row }
        })
        .collect();
    let mut edit = draft_row(ids[0], head.seq.0 + 10, users[1], head.n + 9, 0);
    edit.message.kind = whimbrel_core::MessageKind::EDIT;
    edit.message.body = [&(head.seq.0 + 1).to_be_bytes()[..], b"other"].concat().into();
    let mut like = draft_row(ids[0], head.seq.0 + 11, users[2], head.n + 9, 0);
    like.message.kind = whimbrel_core::MessageKind::REACTION;
    like.message.body = edit.message.body.clone();
    let cursors = vec![CursorWrite {
        conversation: ids[0],
        user: users[2],
        cursors: Cursors { delivered: Seq(head.seq.0 + 7), read: Seq(head.seq.0 + 5) },
    }];
    let batch = PlaceBatch { rows: rows.into_iter().chain([edit, like]).collect(), cursors };
    store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    ids
}

/// Seen, and hidden.
async fn presence(store: &SqliteStore, users: &[UserId]) {
    store.seen(&[(users[0], 86), (users[1], 87), (users[2], 88)], 89).await.expect("answers");
    let hide = PrivacyChange { invisible: Some(true), last_seen_hidden: Some(true) };
    store.set_privacy(users[1], hide, 90).await.expect("theirs");
}

/// A whole file that a message came with, its copy, an upload that rests, and what was thrown away.
async fn files(store: &SqliteStore, users: &[UserId], conversation: ConversationId) {
    let room = Usage { bytes: 1 << 40, files: 10, uploads: 10 };
    let new = |number: u8, nonce| NewFile {
        id: FileId::from_bytes([number; 16]),
        owner: users[0],
        conversation: Some(conversation).filter(|_| number == 1),
        name: "it's \\ \"quoted\" 🦀.png".into(),
        content_type: "image/png".into(),
        size: 1 << 33,
        hash: [number; 32],
        encrypted: number == 2,
        keeps_metadata: number == 3,
        nonce,
    };
    for (number, nonce) in [(1, None), (2, Some([7; 16])), (3, None)] {
        store.announce(new(number, nonce), room, 90).await.expect("room");
    }
    let [first, _, third] = [1, 2, 3].map(|number| FileId::from_bytes([number; 16]));
    let picture = Picture { width: 4000, height: 3000, blur_hash: "LEHV6nWB2yk8".into(), has_thumbnail: true };
    let picture = NewPicture { picture, thumbnail: vec![0, 255, 39].into() };
    let made = Kept::Made { hash: [0x5c; 32], size: 1 << 32 };
    store.complete(first, made, Some(picture), 91).await.expect("there");
    store.copy_file(users[0], first, FileId::from_bytes([4; 16]), room, 92).await.expect("theirs");
    store.discard(users[0], third).await.expect("theirs");
    let head = store.heads(&[conversation]).await.expect("answers")[0].clone().expect("there");
    let mut row = draft_row(conversation, head.seq.0 + 1, users[0], head.n + 1, head.first_own + 1);
    row.message.kind = whimbrel_core::MessageKind::IMAGE;
    row.message.body = [&first.as_bytes()[..], b"sealed"].concat().into();
    let batch = PlaceBatch { rows: vec![row], cursors: Vec::new() };
    store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
}

/// Of a direct conversation and of a group.
async fn settings(store: &SqliteStore, users: &[UserId], direct: &[ConversationId], groups: &[ConversationId]) {
    let changes = [
        (0, direct[0], SettingChange { pinned_at: Some(85), archived: Some(true), ..Default::default() }),
        (1, direct[0], SettingChange { draft: Some((1, vec![0, 255, 39].into())), ..Default::default() }),
        (2, groups[0], SettingChange { muted_until: Some(u64::MAX), clear: true, ..Default::default() }),
    ];
    for (user, conversation, change) in changes {
        let done = store.change_setting(users[user], conversation, change, 85).await.expect("answers");
        assert!(done.is_some());
    }
}
