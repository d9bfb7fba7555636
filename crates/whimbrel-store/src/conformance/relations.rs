//! Directory: the life of a relation.

use whimbrel_core::{MessageKind, Seq, UserId};

use super::people::{befriend, people};
use crate::directory::{DirectoryError, Relation, RelationChange, RelationState, Rows};
use crate::{Directory, Timeline};

pub(super) const RELATION: u32 = MessageKind::RELATION.0;
pub(super) const ACCOUNT: u32 = MessageKind::ACCOUNT.0;
pub(super) const STANDING: u32 = MessageKind::STANDING.0;

/// Who heard what: the first of a row's audience, its kind and its body.
pub(super) type Heard = (UserId, u32, String);

pub(super) fn heard(user: UserId, kind: u32, body: &str) -> Heard {
    (user, kind, body.to_owned())
}

pub(super) fn told(rows: &Rows) -> Vec<Heard> {
    let told = rows.iter().map(|row| {
        let first = row.audience.named().next().expect("an audience has somebody");
        assert_eq!(row.message.sender, first);
        (first, row.message.kind.0, String::from_utf8_lossy(&row.message.body).into_owned())
    });
    told.collect()
}

/// Both hear of each other.
fn both(one: UserId, two: UserId) -> Vec<Heard> {
    vec![heard(one, RELATION, &format!(r#"{{"user":{two}}}"#)), heard(two, RELATION, &format!(r#"{{"user":{one}}}"#))]
}

async fn change(
    directory: &dyn Directory,
    user: UserId,
    peer: UserId,
    change: RelationChange,
) -> (Relation, Vec<Heard>) {
    let (relation, rows) = directory.change_relation(user, peer, change, 7).await.expect("it fits");
    (relation, told(&rows))
}

fn ask() -> RelationChange {
    RelationChange::Request { greeting: "hello".into() }
}

async fn states(directory: &dyn Directory, one: UserId, two: UserId) -> [(RelationState, bool); 2] {
    let mut states = [(RelationState::None, false); 2];
    for (state, (user, peer)) in states.iter_mut().zip([(one, two), (two, one)]) {
        if let Some(relation) = directory.relation(user, peer).await.expect("answers") {
            *state = (relation.state, relation.blocked);
        }
    }
    states
}

/// Asked, accepted, removed: states, greeting, conversation and key on both sides, and who is told.
pub async fn friendship_comes_from_a_request_and_its_answer(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    assert!(directory.relation(one, two).await.expect("answers").is_none());
    let (relation, rows) = change(directory, one, two, ask()).await;
    assert_eq!((relation.state, relation.greeting.as_str()), (RelationState::RequestSent, "hello"));
    assert_eq!((relation.conversation, relation.keys.len(), relation.changed_at), (None, 0, 7));
    assert_eq!(rows, both(one, two));
    let received = directory.relation(two, one).await.expect("answers").expect("asked");
    assert_eq!((received.state, received.greeting.as_str()), (RelationState::RequestReceived, "hello"));
    assert_eq!((received.peer.id, received.peer.handle.as_str()), (one, "user0"));

    let (relation, rows) = change(directory, two, one, RelationChange::Accept).await;
    let conversation = relation.conversation.expect("friends have one");
    assert_eq!((relation.state, relation.greeting.as_str()), (RelationState::Friends, ""));
    assert_eq!(relation.keys.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [1]);
    assert_ne!(relation.keys[0].1, [0; 32]);
    assert_eq!(rows.iter().filter(|row| row.1 == STANDING).count(), 1);
    assert_eq!(rows.iter().filter(|row| row.1 == RELATION).count(), 2);
    let other = directory.relation(one, two).await.expect("answers").expect("friends");
    assert_eq!((other.state, other.conversation), (RelationState::Friends, Some(conversation)));
    assert_eq!(other.keys, relation.keys);
    let placed = timeline.read(conversation, Seq::ZERO, 10).await.expect("answers");
    assert_eq!(placed.iter().map(|row| (row.seq, row.kind)).collect::<Vec<_>>(), [(Seq(1), MessageKind::STANDING)]);

    change(directory, one, two, RelationChange::Remove).await;
    assert_eq!(states(directory, one, two).await, [(RelationState::None, false); 2]);
    let kept = directory.relation(two, one).await.expect("answers").expect("there was one");
    assert_eq!((kept.conversation, kept.keys), (Some(conversation), relation.keys));
}

/// No and never mind: both are told, neither has a conversation, and asking again is possible.
pub async fn requests_end_by_decline_and_cancel(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    for (who, other, end) in [(two, one, RelationChange::Decline), (one, two, RelationChange::Cancel)] {
        change(directory, one, two, ask()).await;
        let (relation, rows) = change(directory, who, other, end).await;
        assert_eq!((relation.state, relation.greeting.as_str()), (RelationState::None, ""));
        assert_eq!(rows, both(who, other));
        assert_eq!(states(directory, one, two).await, [(RelationState::None, false); 2]);
        assert!(directory.relations(one, UserId(0), 10).await.expect("answers").is_empty());
    }
}

/// Both ask: they are friends.
pub async fn a_request_to_one_who_asked_is_a_yes(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    change(directory, users[0], users[1], ask()).await;
    let (relation, _) = change(directory, users[1], users[0], ask()).await;
    assert_eq!((relation.state, relation.keys.len()), (RelationState::Friends, 1));
}

/// Removed and befriended twice more: one conversation, keys 1, 2, 3, all different, the old ones still there.
pub async fn befriending_again_keeps_the_conversation_and_adds_a_key(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    let mut before = befriend(directory, one, two).await;
    for versions in [vec![1, 2], vec![1, 2, 3]] {
        change(directory, two, one, RelationChange::Remove).await;
        let again = befriend(directory, one, two).await;
        assert_eq!(again.conversation, before.conversation);
        assert_eq!(again.keys.iter().map(|(version, _)| *version).collect::<Vec<_>>(), versions);
        assert_eq!(again.keys[..before.keys.len()], before.keys);
        assert!(before.keys.iter().all(|(_, key)| *key != again.keys.last().expect("a key").1));
        before = again;
    }
}

/// Every change in every state where it does not fit: refused, and nothing is different afterwards.
pub async fn changes_that_do_not_fit_are_refused(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    let (accept, decline) = (RelationChange::Accept, RelationChange::Decline);
    let (cancel, remove) = (RelationChange::Cancel, RelationChange::Remove);
    let all = [accept.clone(), decline.clone(), cancel.clone(), remove.clone()];
    refused(directory, one, two, &all).await;
    refused(directory, one, one, &[ask(), RelationChange::Block]).await;
    let nobody = directory.change_relation(one, UserId(99), ask(), 1).await;
    assert!(matches!(nobody, Err(DirectoryError::NoSuchUser)));

    change(directory, one, two, ask()).await;
    refused(directory, one, two, &[ask(), accept.clone(), decline.clone(), remove.clone()]).await;
    refused(directory, two, one, &[cancel.clone(), remove]).await;
    change(directory, two, one, RelationChange::Accept).await;
    refused(directory, one, two, &[ask(), accept, decline, cancel]).await;
}

async fn refused(directory: &dyn Directory, user: UserId, peer: UserId, changes: &[RelationChange]) {
    let before = states(directory, user, peer).await;
    for change in changes {
        let result = directory.change_relation(user, peer, change.clone(), 1).await;
        assert!(matches!(result, Err(DirectoryError::NotApplicable(_))), "{change:?}: {result:?}");
    }
    assert_eq!(states(directory, user, peer).await, before);
}

/// A friend's block and a stranger's: the blocked one's view does not move by a hair, and no row reaches only them.
pub async fn a_block_is_told_to_the_blocker_only(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 3).await;
    let [one, two, stranger] = users[..] else { unreachable!("three people") };
    befriend(directory, one, two).await;
    let before = directory.relation(two, one).await.expect("answers").expect("friends");
    let about = format!(r#"{{"user":{two}}}"#);
    for (step, blocked) in [(RelationChange::Block, true), (RelationChange::Unblock, false)] {
        let (relation, rows) = change(directory, one, two, step.clone()).await;
        assert_eq!((relation.state, relation.blocked), (RelationState::Friends, blocked));
        assert_eq!(rows, [heard(one, RELATION, &about), heard(one, STANDING, "")]);
        let after = directory.relation(two, one).await.expect("answers").expect("friends");
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
        let (_, rows) = change(directory, one, two, step).await;
        assert_eq!(rows, [], "what is so already is told to nobody");
    }
    let (relation, rows) = change(directory, one, stranger, RelationChange::Block).await;
    assert_eq!((relation.state, relation.blocked), (RelationState::None, true));
    assert_eq!(rows, [heard(one, RELATION, &format!(r#"{{"user":{stranger}}}"#))]);
    assert!(directory.relation(stranger, one).await.expect("answers").is_none());
    assert!(directory.relations(stranger, UserId(0), 10).await.expect("answers").is_empty());
}

/// In either direction the request is gone for both; while the block stands nobody can ask, and afterwards one can.
pub async fn a_block_ends_a_request_and_forbids_another(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    for (asks, asked) in [(one, two), (two, one)] {
        change(directory, asks, asked, ask()).await;
        let (_, rows) = change(directory, one, two, RelationChange::Block).await;
        assert_eq!(rows, both(one, two));
        assert_eq!(states(directory, one, two).await, [(RelationState::None, true), (RelationState::None, false)]);
        for (user, peer) in [(one, two), (two, one)] {
            let result = directory.change_relation(user, peer, ask(), 1).await;
            assert!(matches!(result, Err(DirectoryError::Blocked)), "{result:?}");
        }
        change(directory, one, two, RelationChange::Unblock).await;
    }
    befriend(directory, one, two).await;
}

/// By peer, a page at a time; without those with whom there is nothing any more.
pub async fn relations_are_listed_in_order(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 6).await;
    let me = users[5];
    for other in [users[3], users[0]] {
        befriend(directory, me, other).await;
    }
    change(directory, me, users[1], ask()).await;
    change(directory, me, users[1], RelationChange::Cancel).await;
    change(directory, me, users[2], RelationChange::Block).await;
    change(directory, users[4], me, ask()).await;
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied().unwrap_or(UserId(0));
        let page = directory.relations(me, after, 3).await.expect("answers");
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|relation| relation.peer.id));
    }
    assert_eq!(listed, [users[0], users[2], users[3], users[4]]);
}
