//! Directory: what an engine remembers for other processes, if it is one that several use at once.

use whimbrel_core::{ConversationId, PlacedRow, Seq, UserId};

use super::devices::{device, log_in};
use super::people::{befriend, people};
use crate::directory::{LoggedOut, Refreshed, RelationChange, Rows};
use crate::{Directory, Timeline};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

fn out(user: UserId, number: u8) -> LoggedOut {
    LoggedOut { user, device: Some(device(number)) }
}

async fn since(directory: &dyn Directory, since: u64) -> Vec<LoggedOut> {
    let mut ended = directory.logged_out_since(since).await.expect("the store answers");
    ended.sort_by_key(|ended| (ended.user, ended.device));
    ended
}

/// A log-out, a new password, a theft and a deletion, some time apart: each is found from its time on, and not after.
pub async fn whoever_may_not_stay_connected_is_remembered(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [me, other] = users[..] else { unreachable!("two people") };
    for number in 1..=5 {
        log_in(directory, me, number, Some([number; 32])).await.expect("room");
    }
    assert_eq!(since(directory, 0).await, []);
    let at = |minute: u64| HOUR + minute * 60 * SECOND;
    directory.log_out(me, Some(device(1)), at(1)).await.expect("it is in");
    directory.refresh([2; 32], [12; 32], at(1), SECOND).await.expect("answers");
    let stolen = directory.refresh([2; 32], [12; 32], at(2), SECOND).await.expect("answers");
    assert!(matches!(stolen, Refreshed::Stolen { .. }));
    directory.set_password(me, "$new".into(), device(3), at(3)).await.expect("an account");
    directory.delete_user(other, at(4)).await.expect("an account");
    let gone = LoggedOut { user: other, device: None };
    assert_eq!(since(directory, at(1)).await, [out(me, 1), out(me, 2), out(me, 4), out(me, 5), gone]);
    assert_eq!(since(directory, at(2)).await, [out(me, 2), out(me, 4), out(me, 5), gone]);
    assert_eq!(since(directory, at(3)).await, [out(me, 4), out(me, 5), gone]);
    assert_eq!(since(directory, at(4)).await, [gone]);
    assert_eq!(since(directory, at(5)).await, []);
}

/// Log-outs at 0, 30 and 61 minutes: the third one forgets the first, and not the second. What was refused leaves
/// nothing.
pub async fn log_outs_are_forgotten_after_an_hour(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    for (number, minutes) in [(1, 0), (2, 30), (3, 61)] {
        log_in(directory, user, number, None).await.expect("room");
        let now = HOUR + minutes * 60 * SECOND;
        directory.log_out(user, Some(device(number)), now).await.expect("it is in");
        assert!(directory.log_out(user, Some(device(number)), now).await.is_err());
    }
    assert_eq!(since(directory, 0).await, [out(user, 2), out(user, 3)]);
}

/// Everything that places rows, a second apart each: what is untold is what the changes returned, the oldest first and
/// the same in every part; what was told is so no more, and telling twice harms nothing.
pub async fn rows_are_untold_until_they_are_told(_: &dyn Timeline, directory: &dyn Directory) {
    let mut returned = everything_that_is_told(directory).await;
    assert_eq!(returned.len(), 17);
    let all = directory.untold(HOUR, 1000).await.expect("answers");
    assert_eq!(sorted(all.clone()), sorted(returned.clone()));
    assert!(all.iter().zip(&all[1..]).all(|(one, next)| one.message.at <= next.message.at));
    assert_eq!(directory.untold(HOUR, 3).await.expect("answers"), all[..3]);
    assert_eq!(directory.untold(0, 1000).await.expect("answers"), []);
    let middle = all[6].message.at;
    let before = directory.untold(middle, 1000).await.expect("answers");
    assert!(!before.is_empty() && before.iter().all(|row| row.message.at < middle));

    let told: Vec<(ConversationId, Seq)> = returned.drain(..9).map(|row| place(&row)).collect();
    for _ in 0..2 {
        directory.told(&told).await.expect("answers");
        assert_eq!(sorted(directory.untold(HOUR, 1000).await.expect("answers")), sorted(returned.clone()));
    }
    directory.told(&[]).await.expect("answers");
    directory.told(&returned.iter().map(place).collect::<Vec<_>>()).await.expect("answers");
    assert_eq!(directory.untold(HOUR, 1000).await.expect("answers"), []);
}

async fn everything_that_is_told(directory: &dyn Directory) -> Rows {
    let users = people(directory, "user", 3).await;
    let [one, two, three] = users[..] else { unreachable!("three people") };
    let at = |number: u64| number * 100 * SECOND;
    let request = RelationChange::Request { greeting: String::new() };
    let mut rows = directory.change_relation(one, two, request, at(1)).await.expect("it fits").1;
    rows.extend(directory.change_relation(two, one, RelationChange::Accept, at(2)).await.expect("it fits").1);
    rows.extend(directory.change_relation(one, three, RelationChange::Block, at(3)).await.expect("it fits").1);
    rows.extend(directory.change_relation(one, two, RelationChange::Block, at(4)).await.expect("it fits").1);
    rows.extend(directory.set_profile(one, Some("New".into()), None, at(5)).await.expect("an account").1);
    for (number, token) in [(1, [1; 32]), (2, [2; 32])] {
        let log_in = crate::directory::LogIn {
            user: one,
            device: device(number),
            platform: String::new(),
            name: String::new(),
            refresh_hash: Some(token),
            now: at(6),
        };
        rows.extend(directory.log_in(vec![log_in]).await.expect("answers").remove(0).expect("room"));
    }
    directory.refresh([1; 32], [11; 32], at(6), SECOND).await.expect("answers");
    match directory.refresh([1; 32], [11; 32], at(7), SECOND).await.expect("answers") {
        Refreshed::Stolen { rows: told, .. } => rows.extend(told),
        other => panic!("a copy was used: {other:?}"),
    }
    rows.extend(directory.set_password(one, "$new".into(), device(1), at(8)).await.expect("an account").1);
    rows.extend(directory.delete_user(one, at(9)).await.expect("an account"));
    rows
}

fn place(row: &PlacedRow) -> (ConversationId, Seq) {
    (row.message.conversation, row.message.seq)
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort_by_key(place);
    rows
}

/// A row of one of two that have the same time: its audience is that of its conversation, and its text its own.
pub async fn untold_rows_read_back_as_they_were_placed(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let relation = befriend(directory, users[0], users[1]).await;
    let conversation = relation.conversation.expect("friends have one");
    let untold = directory.untold(HOUR, 1000).await.expect("answers");
    let standing = untold.iter().find(|row| row.message.conversation == conversation).expect("it was placed");
    assert_eq!(standing.audience.named().collect::<Vec<_>>(), users);
    for row in &untold {
        let before = Seq(row.message.seq.0 - 1);
        let stored = timeline.read(row.message.conversation, before, 1).await.expect("answers");
        assert_eq!(stored, std::slice::from_ref(&row.message));
    }
}
