//! What a call reads: not the whole of a conversation. The server counts the rows that it looks at.

use sqlx::Executor;
use sqlx::Row;
use sqlx::mysql::MySqlConnection;
use whimbrel_core::{ConversationId, Known, MessageId, Seq, SyncQuestion};

use super::super::{head, sync};
use super::fresh;
use crate::Timeline;
use crate::conformance::{Lane, people};

/// Rows read by index and by scan in this session.
pub(super) async fn reads(db: &mut MySqlConnection) -> u64 {
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

/// A message with five thousand edits costs its followers as little as one with none; what a former version wrote, which
/// did not count, is counted, and counted on.
#[tokio::test]
async fn the_last_follow_up_says_how_many_there_are() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let said = lane.say(&store, 2).await;
    let mut db = database.connect().await;
    let conv: String = lane.conversation.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let run = async |db: &mut MySqlConnection, text: String| {
        db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await.expect("answers");
    };
    let (many, old) = (said[0].seq, said[1].seq);
    let rows: Vec<_> = (1..=5000).map(|nth| format!("(x'{conv}',{many},{},{nth})", 1000 + nth)).collect();
    run(&mut db, format!("INSERT INTO follow_up (conv,target,seq,nth) VALUES {}", rows.join(","))).await;
    let rows: Vec<_> = (1..=3).map(|nth| format!("(x'{conv}',{old},{})", 10 + nth)).collect();
    run(&mut db, format!("INSERT INTO follow_up (conv,target,seq) VALUES {}", rows.join(","))).await;
    for expected in [[5000, 3], [5001, 4], [5002, 5]] {
        let before = reads(&mut db).await;
        let targets = super::super::rights::targets(&mut db, &[many, old].map(|seq| (lane.conversation, seq))).await;
        let counted = reads(&mut db).await - before;
        let found: Vec<_> =
            targets.expect("answers").into_iter().map(|target| target.expect("there").follow_ups).collect();
        assert_eq!(found, expected);
        assert!(counted < 30, "{counted} rows");
        let rows = [many, old].map(|target| {
            let mut row = lane.follow_up(0);
            row.message.kind = whimbrel_core::MessageKind::EDIT;
            row.message.body = target.0.to_be_bytes().to_vec().into();
            row
        });
        // Behind those that were written past the timeline.
        let rows: Vec<_> = rows.into_iter().collect();
        store.commit(crate::PlaceBatch { rows, cursors: Vec::new() }).await.map_err(|(_, error)| error).expect("free");
        run(&mut db, format!("UPDATE follow_up SET seq=seq+100000 WHERE conv=x'{conv}' AND seq={}", lane.seq - 1))
            .await;
        run(&mut db, format!("UPDATE follow_up SET seq=seq+100000 WHERE conv=x'{conv}' AND seq={}", lane.seq)).await;
    }
}

/// A group of five thousand: its heir is found by the key, in order of role and of coming.
#[tokio::test]
async fn the_heir_of_a_large_group_is_a_seek() {
    let (store, database) = fresh().await;
    let mut db = database.connect().await;
    people(&store, "user", 1).await;
    let member = |user: u64| {
        let role = if user < 100 { 2 } else { 1 };
        format!("(x'{}',{user},{role},1,0,1,{})", "07".repeat(16), 10_000 - user)
    };
    let rows: Vec<_> = (1..=5000).map(member).collect();
    let text =
        format!("INSERT INTO group_member (conv,user,role,since,until,key_from,joined_at) VALUES {}", rows.join(","));
    db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await.expect("answers");
    db.execute("ANALYZE TABLE group_member").await.expect("answers");
    for (role, but, expected) in [(2_u8, 7_u64, 99_u64), (2, 99, 98), (1, 7, 5000)] {
        let before = reads(&mut db).await;
        let oldest = sqlx::query(super::super::groups::OLDEST).bind(&[7; 16][..]).bind(role).bind(but);
        let found: u64 = oldest.fetch_one(&mut db).await.expect("somebody").get(0);
        let counted = reads(&mut db).await - before;
        assert_eq!(found, expected);
        assert!(counted < 15, "{counted} rows");
    }
}
