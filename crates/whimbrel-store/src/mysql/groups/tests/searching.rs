//! What a search reads: what it shows, however many groups there are. The server counts the rows that it looks at.

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor, Row};
use whimbrel_core::ConversationId;

use super::super::find;
use super::{fresh, new};
use crate::Groups;
use crate::conformance::people;

/// Every number below 100,000.
const NUMBERS: &str = "SELECT 1 FROM (SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL \
     SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";

async fn reads(db: &mut MySqlConnection) -> u64 {
    let rows = db.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read%'").await.expect("answers");
    rows.iter().map(|row| row.get::<String, _>(1).parse::<u64>().expect("a number")).sum()
}

/// A hundred thousand groups of one name.
async fn many(db: &mut MySqlConnection) {
    let digits: Vec<_> = (0..5).map(|place| format!("{} t{place}", &NUMBERS["SELECT 1 FROM ".len()..])).collect();
    let number = (0..5).map(|place| format!("t{place}.d*{}", 10_u64.pow(place))).collect::<Vec<_>>().join("+");
    let id = format!("UNHEX(CONCAT(LPAD(HEX({number}+1),12,'0'),'70008000000000000000'))");
    let from = digits.join(" CROSS JOIN ");
    let groups = format!(
        "INSERT INTO chat_group (conv,name,avatar,announcement,owner,join_mode,listed,history_for_all,member_limit,size,\
         created_at) SELECT {id},'Birds','','',1,1,1,0,10,1,1 FROM {from}"
    );
    let terms = "INSERT INTO group_term (term,conv) SELECT 'birds',conv FROM chat_group WHERE name='Birds'";
    for text in [groups, terms.to_owned(), "ANALYZE TABLE chat_group, group_term".to_owned()] {
        db.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.expect("answers");
    }
}

/// The idea: the server counts the rows that it looks at. Did it sort, or not begin where the page does, it would look at
/// all that have the term.
#[tokio::test]
async fn a_search_reads_what_it_shows_among_a_hundred_thousand_groups() {
    let (store, database) = fresh().await;
    let owner = people(&store, "user", 1).await[0];
    let (rare, _) = store.create_group(new(owner), 1).await.expect("a good group");
    let mut db = database.connect().await;
    many(&mut db).await;

    let mut after: Option<ConversationId> = None;
    for page in 0..3 {
        let before = reads(&mut db).await;
        let found = find::search(&mut db, "bird", after, 20).await.expect("answers");
        let counted = reads(&mut db).await - before;
        assert_eq!(found.len(), 20);
        assert!(counted < 3 * 20 + 20, "page {page}: {counted} rows for 20 groups");
        assert!(after.is_none_or(|after| found[0].id > after));
        after = found.last().map(|group| group.id);
    }
    let middle = ConversationId::from_bytes(*b"\0\0\0\0\xC3\x50\x70\0\x80\0\0\0\0\0\0\0");
    for (text, after, expected) in [("birds", Some(middle), 20), ("a group", None, 1), ("nobody", None, 0)] {
        let before = reads(&mut db).await;
        let found = find::search(&mut db, text, after, 20).await.expect("answers");
        let counted = reads(&mut db).await - before;
        assert_eq!(found.len(), expected, "{text}");
        assert!(counted < 3 * 20 + 20, "{text}: {counted} rows");
    }
    assert_eq!(find::search(&mut db, "a group", None, 20).await.expect("answers")[0].id, rare.id);
}
