//! What a user said is gone.

use super::*;
use crate::store::Erased;

/// In a part of a run: of what one user said their places are left, and what names a target; the server's rows, what others
/// said and what lies outside of the part stay as they are. The row that says so comes in the same commit.
#[tokio::test]
async fn what_is_erased_is_one_users_and_of_one_part() {
    each(async |store| {
        let of_peer = |message: Message| Message { sender: PEER, ..message };
        let (edit, react) = (MessageKind::EDIT, MessageKind::REACTION);
        let first = vec![
            of_peer(message(1)),
            message(2),
            about(3, edit, 1),
            of_peer(about(4, edit, 2)),
            of_peer(message(5)),
            of_peer(about(6, react, 3)),
            Message { kind: MessageKind::FLEETING, ..of_peer(message(7)) },
            Message { kind: MessageKind::IMAGE, ..of_peer(message(8)) },
        ];
        let begun = vec![(CHAT, Seq(3), 10), (CHAT, Seq(7), 20)];
        let commit = Commit { messages: first.clone(), fleeting_begun: begun, ..run(1..=8) };
        store.commit(commit).await.expect("committed");
        let row = Message { kind: MessageKind::ERASED, ..of_peer(message(9)) };
        let erased = |from, before| Erased { conversation: CHAT, user: PEER, from: Seq(from), before: Seq(before) };
        let messages = vec![row.clone(), of_peer(message(10))];
        let commit = Commit { messages: messages.clone(), erased: vec![erased(2, 9)], ..run(9..=10) };
        assert!(!Commit { erased: vec![erased(2, 9)], ..Commit::default() }.is_empty());
        store.commit(commit).await.expect("committed");
        let emptied = |message: &Message, left: usize| Message { body: message.body.slice(..left), ..message.clone() };
        let expected = |is_first_gone: bool| {
            let mut rows = [first.clone(), messages.clone()].concat();
            for (place, left) in [(2, 0), (4, 8), (6, 8), (7, 0), (8, 0)] {
                rows[place - 1] = emptied(&rows[place - 1], left);
            }
            if is_first_gone {
                rows[0] = emptied(&rows[0], 0);
            }
            rows
        };
        assert_eq!(first[4].kind, MessageKind::STANDING, "a row that the server placed");
        assert_eq!(store.messages(CHAT, Seq(0), 100).await.expect("read"), expected(false));
        let (loaded, targets) = (store.load().await.expect("loaded"), store.follow_ups(CHAT, Seq(2), Seq(3)).await);
        assert_eq!((loaded.fleeting, loaded.fleeting_begun), (vec![], vec![(CHAT, Seq(3), 10)]));
        assert_eq!(targets.expect("read").len(), 2, "what is left names its target");
        for _ in 0..2 {
            store.commit(Commit { erased: vec![erased(0, 9)], ..Commit::default() }).await.expect("committed");
            assert_eq!(store.messages(CHAT, Seq(0), 100).await.expect("read"), expected(true));
        }
        assert_eq!(store.erasures(CHAT).await.expect("read"), [row]);
        assert_eq!(store.erasures(ConversationId::from_bytes([9; 16])).await.expect("read"), []);
    })
    .await;
}

/// What is put before the run in the commit that erases is erased with it.
#[tokio::test]
async fn older_messages_are_erased_as_they_come() {
    each(async |store| {
        let commit = Commit { conversations: vec![ConversationRow { base: Seq(4), ..row(6) }], ..run(5..=6) };
        store.commit(Commit { messages: (5..=6).map(message).collect(), ..commit }).await.expect("committed");
        let erased = vec![Erased { conversation: CHAT, user: PEER, from: Seq(1), before: Seq(5) }];
        let older = (1..=4).map(message).collect();
        let conversations = vec![ConversationRow { base: Seq(0), ..row(6) }];
        store.commit(Commit { conversations, older, erased, ..Commit::default() }).await.expect("committed");
        let bodies = store.messages(CHAT, Seq(0), 100).await.expect("read").into_iter().map(|row| row.body.len());
        assert_eq!(bodies.collect::<Vec<_>>(), [9, 0, 9, 0, 9, 9]);
    })
    .await;
}
