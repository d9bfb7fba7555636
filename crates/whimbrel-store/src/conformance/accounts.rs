//! Directory: accounts, profiles, passwords, deletion.

use whimbrel_core::{ConversationKind, DeviceId, Members, MessageKind, Seq, UserId};

use super::devices::{device, log_in};
use super::people::{Lane, befriend, people};
use super::relations::{ACCOUNT, RELATION, STANDING, heard, told};
use super::sync::everything;
use crate::directory::{DirectoryError, NewUser, RelationChange, RelationState};
use crate::{Directory, Timeline};

fn new(handle: &str, password: Option<&str>) -> NewUser {
    NewUser { handle: handle.into(), display_name: handle.to_uppercase(), password_hash: password.map(str::to_owned) }
}

/// Three at once, the second with a handle that is taken: the others are made, each with a private conversation.
pub async fn accounts_have_numbers_handles_and_private_conversations(
    timeline: &dyn Timeline,
    directory: &dyn Directory,
) {
    let created = directory.create_users(vec![new("anna", Some("$x")), new("anna", None), new("ben", None)], 5).await;
    let created = created.expect("the store answers");
    let (anna, ben) = (created[0].as_ref().expect("free"), created[2].as_ref().expect("free"));
    assert!(matches!(created[1], Err(DirectoryError::HandleTaken)));
    assert!(UserId(0) < anna.id && anna.id < ben.id);
    assert_eq!((anna.display_name.as_str(), anna.avatar.as_str(), anna.created_at), ("ANNA", "", 5));
    assert_eq!(directory.user(anna.id).await.expect("answers").as_ref(), Some(anna));
    assert_eq!(directory.user_by_handle("anna").await.expect("answers").as_ref(), Some(anna));
    assert_eq!(directory.user_by_handle("ann").await.expect("answers"), None);
    assert_eq!(directory.password_hash(anna.id).await.expect("answers"), Some(Some("$x".into())));
    assert_eq!(directory.password_hash(ben.id).await.expect("answers"), Some(None));
    assert_eq!(directory.password_hash(UserId(99)).await.expect("answers"), None);
    for user in [anna.id, ben.id] {
        let views = timeline.sync(user, everything()).await.expect("answers").views;
        assert_eq!((views.len(), views[0].kind), (1, ConversationKind::Private));
        let members = directory.members(&[views[0].conversation]).await.expect("answers");
        assert_eq!(members, [Some(Members::Private { owner: user })]);
    }
    directory.ping().await.expect("the engine answers");
}

/// The friend hears of it, the one who only asked does not; nothing changed: nobody hears of anything.
pub async fn a_profile_is_told_to_friends_and_own_devices(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 3).await;
    befriend(directory, users[0], users[1]).await;
    let request = RelationChange::Request { greeting: String::new() };
    directory.change_relation(users[0], users[2], request, 2).await.expect("a request");
    let change = directory.set_profile(users[0], Some("New".into()), Some("https://a/b".into()), 9).await;
    let (user, rows) = change.expect("an account");
    assert_eq!((user.display_name.as_str(), user.avatar.as_str()), ("New", "https://a/b"));
    assert_eq!(directory.user(users[0]).await.expect("answers"), Some(user.clone()));
    let friend = format!(r#"{{"user":{}}}"#, users[0]);
    assert_eq!(told(&rows), [heard(users[0], ACCOUNT, r#"{"what":"profile"}"#), heard(users[1], RELATION, &friend)]);
    let stored = timeline.read(rows[1].message.conversation, Seq::ZERO, 100).await.expect("answers");
    assert_eq!(stored.last(), Some(&rows[1].message), "it is a row like any other");
    let (same, rows) = directory.set_profile(users[0], Some("New".into()), None, 9).await.expect("an account");
    assert_eq!((same, rows.len()), (user, 0));
    let nobody = directory.set_profile(UserId(99), None, None, 9).await;
    assert!(matches!(nobody, Err(DirectoryError::NoSuchUser)));
}

/// Three devices, one keeps its session; the hash is the new one.
pub async fn a_new_password_logs_out_the_other_devices(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    for number in 1..=3 {
        log_in(directory, user, number, None).await.expect("room for three");
    }
    let (mut gone, rows) = directory.set_password(user, "$new".into(), device(2), 9).await.expect("an account");
    gone.sort();
    assert_eq!(gone, [device(1), device(3)]);
    assert_eq!(
        told(&rows),
        [heard(user, ACCOUNT, r#"{"what":"password"}"#), heard(user, ACCOUNT, r#"{"what":"device_removed"}"#)]
    );
    for (number, is_in) in [(1, false), (2, true), (3, false)] {
        assert_eq!(directory.is_logged_in(user, device(number)).await.expect("answers"), is_in);
    }
    assert_eq!(directory.password_hash(user).await.expect("answers"), Some(Some("$new".into())));
    let nobody = directory.set_password(UserId(99), "$".into(), device(1), 9).await;
    assert!(matches!(nobody, Err(DirectoryError::NoSuchUser)));
}

/// Friend, requester and blocker of a deleted user: relations end and are told, devices are out, the handle stays
/// taken, the name is gone, the messages are not, and the friend's sync goes on.
pub async fn a_deleted_user_is_gone_and_the_messages_stay(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 4).await;
    let [me, friend, asked, blocker] = users[..] else { unreachable!("four people") };
    let mut lane = Lane::new(timeline, directory, me, friend).await;
    let said = lane.say(timeline, 3).await;
    let request = RelationChange::Request { greeting: "hi".into() };
    directory.change_relation(me, asked, request.clone(), 2).await.expect("a request");
    directory.change_relation(blocker, me, RelationChange::Block, 2).await.expect("anyone may block");
    log_in(directory, me, 1, Some([1; 32])).await.expect("room");

    let rows = directory.delete_user(me, 9).await.expect("an account");
    let about = format!(r#"{{"user":{me}}}"#);
    let mut heard_of = told(&rows);
    heard_of.sort();
    let mut expected = [heard(me, STANDING, ""), heard(friend, RELATION, &about), heard(asked, RELATION, &about)];
    expected.sort();
    assert_eq!(heard_of, expected);
    assert_eq!(directory.user(me).await.expect("answers"), None);
    assert_eq!(directory.user_by_handle("user0").await.expect("answers"), None);
    assert_eq!(directory.password_hash(me).await.expect("answers"), None);
    assert!(!directory.is_logged_in(me, device(1)).await.expect("answers"));
    let again = directory.create_users(vec![new("user0", None)], 9).await.expect("answers");
    assert!(matches!(again[0], Err(DirectoryError::HandleTaken)));
    assert!(matches!(directory.delete_user(me, 9).await, Err(DirectoryError::NoSuchUser)));
    assert!(matches!(log_in(directory, me, 2, None).await, Err(DirectoryError::NoSuchUser)));
    let to_nobody = directory.change_relation(asked, me, request, 9).await;
    assert!(matches!(to_nobody, Err(DirectoryError::NoSuchUser)));

    let relation = directory.relation(friend, me).await.expect("answers").expect("there was one");
    assert_eq!((relation.state, relation.peer.display_name.as_str()), (RelationState::None, ""));
    assert_eq!((relation.conversation, relation.keys.len()), (Some(lane.conversation), 1));
    let view = timeline.sync(friend, everything()).await.expect("answers").views;
    let view = view.iter().find(|view| view.conversation == lane.conversation).expect("still theirs");
    assert_eq!(view.peer, Some(me));
    let stored = timeline.read(lane.conversation, Seq(1), 100).await.expect("answers");
    assert_eq!((&stored[..3], stored[3].kind), (&said[..], MessageKind::STANDING));
    let heads = timeline.heads(&[lane.conversation]).await.expect("answers");
    assert!(matches!(heads[0].as_ref().expect("exists").members,
        Members::Direct { standing, .. } if !standing.friends));
    assert_eq!(directory.devices(me).await.expect("answers"), []);
    assert_eq!(DeviceId::from_bytes([0; 16]), rows[0].message.device);
}
