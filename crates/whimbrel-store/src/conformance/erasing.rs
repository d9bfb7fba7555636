//! What one user said: found, and emptied.

use bytes::Bytes;
use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use super::Stores;
use super::company::Company;
use super::people::Lane;
use crate::groups::GroupChange;

/// Somebody in two conversations and in a group that they left, among others who talk there too.
async fn talk(stores: &Stores) -> (UserId, Vec<ConversationId>) {
    let company = Company::of(stores, 3).await;
    let [one, two, three] = company.users[..] else { panic!("three") };
    let mut ids = vec![company.id];
    for other in [one, three] {
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, two, other).await;
        lane.say(&*stores.timeline, 9).await;
        ids.push(lane.conversation);
    }
    for _ in 0..4 {
        company.say(&[one, two, three, two]).await;
    }
    let mut like = company.rows(&[two]).await.remove(0);
    (like.message.kind, like.n) = (MessageKind::REACTION, like.n - 1);
    like.message.body = [&3_u64.to_be_bytes()[..], b"like"].concat().into();
    company.commit(vec![like]).await.expect("places are free");
    company.does(two, GroupChange::Leave).await;
    company.say(&[one]).await;
    (two, ids)
}

async fn rows(stores: &Stores, ids: &[ConversationId]) -> Vec<Message> {
    let mut all = Vec::new();
    for id in ids {
        all.extend(stores.timeline.read(*id, Seq::ZERO, 1000).await.expect("answers"));
    }
    all.sort_by_key(|row| (row.conversation, row.seq));
    all
}

fn is_said_by(row: &Message, user: UserId) -> bool {
    row.sender == user && row.kind.is_submittable()
}

/// In parts of any size; also what they said where they no longer are.
pub async fn what_one_said_is_found_wherever_it_was_said(stores: &Stores) {
    let (user, ids) = talk(stores).await;
    let mut expected = rows(stores, &ids).await;
    expected.retain(|row| is_said_by(row, user));
    assert!(expected.len() > 15);
    for look in [1, 2, 7, 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let part = stores.history.said_by(user, after, look).await.expect("answers");
            assert!(part.messages.len() <= look);
            found.extend(part.messages);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "by {look}");
    }
}

/// Step by step, and begun anew in between: what they said is empty, follow-ups keep their targets, and no other row is
/// another one. Nobody is left to be erased in the end.
pub async fn what_is_erased_is_empty_and_the_rest_as_it_was(stores: &Stores) {
    let (user, ids) = talk(stores).await;
    let before = rows(stores, &ids).await;
    let erasures = async || stores.keeping.erasures(10).await.expect("answers");
    assert!(!stores.keeping.erase_some(user, 5).await.expect("answers"), "nobody asked for it");
    assert_eq!(rows(stores, &ids).await, before);
    stores.keeping.erase(user).await.expect("answers");
    assert!(stores.keeping.erase_some(user, 5).await.expect("answers"));
    stores.keeping.erase(user).await.expect("answers");
    assert_eq!(erasures().await, [user]);
    let mut steps = 0;
    while stores.keeping.erase_some(user, 5).await.expect("answers") {
        steps += 1;
    }
    assert!(steps > 5 && erasures().await.is_empty());
    let expected = before.into_iter().map(|row| match is_said_by(&row, user) {
        true if row.kind.is_follow_up() => Message { body: row.body.slice(..8), ..row },
        true => Message { body: Bytes::new(), ..row },
        false => row,
    });
    assert_eq!(rows(stores, &ids).await, expected.collect::<Vec<_>>());
}
