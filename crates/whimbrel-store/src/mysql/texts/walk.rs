//! The walk through what was said before there was searching, or is found by words of a former version.

use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::ConversationId;

use super::super::text::Text;
use super::super::value::{number, number_or_zero, user};
use super::{BYTES, STATEMENT, Said, push_said, said};
use crate::search::dated;

// How far it is stands in a row, 2: the first walk, whose row is 1, left words without times.

/// What stands there is newer, and stays.
const INSERT_BESIDE: &str = "INSERT IGNORE INTO message_text (conv,at,seq,sender,kind,text,words) ";
/// A text's words are of a former version: the first of them, the conversation's, is shorter there.
const IS_FORMER: &str = " AND LOCATE(' ',words)=18";

/// Whether everything from before was taken up.
pub(in super::super) async fn is_walked(db: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let rows = Text::new("SELECT done FROM text_walk WHERE id=2").rows(db).await?;
    rows.first().map_or(Ok(false), |row| Ok(row.try_get::<u8, _>(0)? != 0))
}

/// Takes up the texts of the next `look` places (a conversation counts as one more), in an open transaction; whether there
/// are more. One at a time: the others wait for the row that says how far it is.
pub(in super::super) async fn take_up(db: &mut MySqlConnection, look: usize) -> Result<bool, sqlx::Error> {
    let mut text = Text::new("INSERT IGNORE INTO text_walk (id,conv,seq,done) VALUES (2,'',0,0);");
    text.words("SELECT conv,seq,done FROM text_walk WHERE id=2 FOR UPDATE");
    let rows = text.rows(db).await?;
    let Some(row) = rows.first() else { return Ok(true) };
    let (mut conv, mut place): (Vec<u8>, u64) = (row.try_get(0)?, number(row, 1)?);
    if row.try_get::<u8, _>(2)? != 0 {
        return Ok(false);
    }
    let mut left = look as u64;
    let more = loop {
        if let Ok(id) = <[u8; 16]>::try_from(&conv[..]) {
            let id = ConversationId::from_bytes(id);
            let (floor, head) = ends(db, id).await?;
            let from = place.max(floor);
            if from < head {
                place = head.min(from.saturating_add(left));
                left -= place - from;
                let said = said_before(db, id, (from, place)).await?;
                put_beside(db, &said).await?;
                renew(db, id, (from, place)).await?;
            }
            if left == 0 {
                break true;
            }
        }
        let mut text = Text::new("SELECT id FROM conversation WHERE id>");
        text.bytes(&conv).words(" ORDER BY id LIMIT 1");
        let rows = text.rows(db).await?;
        let Some(row) = rows.first() else { break false };
        (conv, place) = (row.try_get(0)?, 0);
        left = left.saturating_sub(1);
        if left == 0 {
            break true;
        }
    };
    let mut text = Text::new("UPDATE text_walk SET conv=");
    text.bytes(&conv).words(",seq=").number(place).words(",done=").number(u64::from(!more)).words(" WHERE id=2");
    text.run(db).await?;
    Ok(more)
}

/// What is to be taken up of these places. Who takes one of them back waits from now on.
pub(in super::super) async fn said_before(
    db: &mut MySqlConnection,
    id: ConversationId,
    places: (u64, u64),
) -> Result<Vec<Said>, sqlx::Error> {
    said(db, id, places, " LOCK IN SHARE MODE").await
}

/// Takes it up, where nobody has done so and nothing was placed since. A statement for each: MySQL leaves rows out of the
/// full-text index that stand in one statement with a row that is there already.
pub(in super::super) async fn put_beside(db: &mut MySqlConnection, said: &[Said]) -> Result<(), sqlx::Error> {
    let mut part = Text::default();
    for said in said {
        part.words(INSERT_BESIDE).words("VALUES (");
        let (_, (_, _, at), _) = said;
        push_said(&mut part, said, &dated::whole_time(*at));
        part.words(";");
        if part.len() > BYTES {
            std::mem::take(&mut part).run(db).await?;
        }
    }
    if !part.is_empty() {
        part.run(db).await?;
    }
    Ok(())
}

/// Makes the words of a former version anew, of the texts that they stand beside, which nobody changes meanwhile.
async fn renew(db: &mut MySqlConnection, id: ConversationId, (after, upto): (u64, u64)) -> Result<(), sqlx::Error> {
    let mut text = Text::new(
        "SELECT t.at,t.seq FROM message m FORCE INDEX (PRIMARY) STRAIGHT_JOIN message_text t \
         ON t.conv=m.conv AND t.at=m.at AND t.seq=m.seq WHERE m.conv=",
    );
    text.bytes(id.as_bytes()).words(" AND m.seq>").number(after).words(" AND m.seq<=").number(upto).words(IS_FORMER);
    let found = text.rows(db).await?;
    for part in found.chunks(STATEMENT) {
        let keys = part.iter().map(|row| Ok((number(row, 0)?, number(row, 1)?)));
        let keys = keys.collect::<Result<Vec<(u64, u64)>, sqlx::Error>>()?;
        let mut text = Text::new("SELECT at,seq,sender,text FROM message_text FORCE INDEX (PRIMARY) WHERE ");
        text.each(keys, "((conv=", " OR (conv=", |text, (at, seq)| {
            text.bytes(id.as_bytes()).words(" AND at=").number(at).words(" AND seq=").number(seq).words(")");
        });
        text.words(")").words(IS_FORMER).words(" FOR UPDATE");
        let mut change = Text::default();
        for row in &text.rows(db).await? {
            let (at, said): (u64, &[u8]) = (number(row, 0)?, row.try_get(3)?);
            let words = dated::of_text(id, user(row, 2)?, &String::from_utf8_lossy(said), &dated::whole_time(at));
            change.words("UPDATE message_text SET words='").letters(&words).words("' WHERE conv=").bytes(id.as_bytes());
            change.words(" AND at=").number(at).words(" AND seq=").number(number(row, 1)?).words(";");
            if change.len() > BYTES {
                std::mem::take(&mut change).run(db).await?;
            }
        }
        if !change.is_empty() {
            change.run(db).await?;
        }
    }
    Ok(())
}

/// The floor, which stays there until the transaction ends, and the end of a conversation.
async fn ends(db: &mut MySqlConnection, id: ConversationId) -> Result<(u64, u64), sqlx::Error> {
    let mut text = Text::new("SELECT floor FROM conversation WHERE id=");
    text.bytes(id.as_bytes())
        .words(" LOCK IN SHARE MODE;SELECT MAX(seq) FROM message WHERE conv=")
        .bytes(id.as_bytes());
    let rows = text.run(db).await?;
    let first = |at: usize| rows.get(at).and_then(|rows: &Vec<MySqlRow>| rows.first());
    let floor = first(0).map_or(Ok(0), |row| number(row, 0))?;
    Ok((floor, first(1).map_or(Ok(0), |row| number_or_zero(row, 0))?))
}
