//! What a call reads: not the whole of a conversation. The server counts the rows that it looks at.

use sqlx::Executor;
use sqlx::Row;
use sqlx::mysql::MySqlConnection;
use whimbrel_core::{ConversationId, Known, MessageId, Seq, SyncQuestion};

use super::super::{head, sync};
use super::fresh;
use crate::conformance::{Lane, people};

/// Rows read by index and by scan in this session.
async fn reads(db: &mut MySqlConnection) -> u64 {
    let rows = db.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read%'").await.expect("answers");
    rows.iter().map(|row| row.get::<String, _>(1).parse::<u64>().expect("a number")).sum()
}

/// Twenty conversations of 300 messages with current statistics: a few rows each, however long they are.
#[tokio::test]
async fn heads_finds_and_syncs_are_seeks() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 21).await;
    let mut lanes = Vec::new();
    for other in &users[1..] {
        let mut lane = Lane::new(&store, &store, users[0], *other).await;
        let said = lane.say(&store, 300).await;
        lanes.push((lane, said));
    }
    let mut db = database.connect().await;
    db.execute("ANALYZE TABLE message, conversation, member").await.expect("answers");
    let ids: Vec<ConversationId> = lanes.iter().map(|(lane, _)| lane.conversation).collect();

    let before = reads(&mut db).await;
    let heads = head::heads(&mut db, &ids).await.expect("answers");
    assert!(heads.iter().zip(&lanes).all(|(head, (lane, _))| head.as_ref().expect("there").seq.0 == lane.seq));
    let counted = reads(&mut db).await - before;
    assert!(counted < 10 * 20 + 100, "{counted} rows for 20 heads");

    let keys: Vec<_> =
        lanes.iter().map(|(_, said)| (said[5].conversation, said[5].sender, said[5].message_id)).collect();
    let before = reads(&mut db).await;
    let found = head::find(&mut db, &keys).await.expect("answers");
    assert!(found.iter().all(Option::is_some));
    let counted = reads(&mut db).await - before;
    assert!(counted < 3 * 20 + 100, "{counted} rows for 20 ids");

    let known = |cursor: u64, message_id: fn(&[whimbrel_core::Message]) -> Option<MessageId>| {
        let mut known: Vec<_> = lanes
            .iter()
            .map(|(lane, said)| Known {
                conversation: lane.conversation,
                cursor: Seq(lane.seq - cursor),
                message_id: message_id(said),
            })
            .collect();
        known.sort_by_key(|known| known.conversation);
        known
    };
    for (behind, expected) in [(0, 0), (2, 40), (40, 800)] {
        let known = known(behind, |_| None);
        let question = SyncQuestion { id: 1, after: None, until: None, known, only_known: false, max_messages: 0 };
        let before = reads(&mut db).await;
        let answer = sync::answer(&mut db, users[0], &question).await.expect("answers");
        assert_eq!(answer.views.iter().map(|view| view.messages.len()).sum::<usize>(), expected);
        let counted = reads(&mut db).await - before;
        // Those above a few rows are read twice: once for their lengths.
        assert!(counted < 20 * 20 + 3 * expected as u64 + 100, "{counted} rows for {expected} messages");
    }
}
