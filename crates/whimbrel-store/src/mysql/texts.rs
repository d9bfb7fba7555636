//! What messages say, and the words by which it is found: statements of the transactions that place, take back and delete.
//!
//! A message's time is part of its text's key, so whoever knows only the place asks the message for it. What a row of the
//! placing batch says by itself goes with its packet; what is added to a stream is read first, in the open transaction
//! ([`Texts::appends`]): placing in a conversation is one after the other, so nobody else adds meanwhile.
//!
//! Texts from before are taken up under locks of their messages: whoever takes one back waits, and then finds its text.
//! Nobody overwrites a text that is there: what was placed since is newer.

use hashbrown::HashMap;
use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::text::Text;
use super::value::{conversation, number, number_or_zero, seq, user};
use crate::search::texts::{self, Deed};
use crate::search::words;
use crate::timeline::NewRow;

const INSERT: &str = "INSERT INTO message_text (conv,at,seq,sender,kind,text,words) ";
const OVER: &str = " ON DUPLICATE KEY UPDATE text=VALUES(text),words=VALUES(words);";
/// What stands there is newer, and stays.
const INSERT_BESIDE: &str = "INSERT IGNORE INTO message_text (conv,at,seq,sender,kind,text,words) ";
/// Of these messages; `m` is the message.
const DROP: &str = "DELETE t FROM message m FORCE INDEX (PRIMARY) STRAIGHT_JOIN message_text t \
     ON t.conv=m.conv AND t.at=m.at AND t.seq=m.seq WHERE ";

/// Messages of one statement: each is a range of its own for the server, whose room to find ranges in is bounded.
const STATEMENT: usize = 512;
/// Bytes after which a statement ends.
const BYTES: usize = 256 * 1024;

type Place = (ConversationId, Seq);

/// What the rows of one batch do to texts.
#[derive(Default)]
pub(super) struct Texts {
    /// Statements, each with its semicolon.
    pub(super) parts: Vec<Text>,
    /// What is to be added to texts that have to be read first.
    pub(super) appends: Vec<(Place, String)>,
}

impl Texts {
    /// Nothing, if no body of them can be read.
    pub(super) fn of(rows: &[NewRow]) -> Self {
        let mut texts = Self::default();
        let (mut put, mut drops) = (Vec::new(), Vec::new());
        for (place, deed) in texts::deeds(rows.iter().map(|row| &row.message)) {
            match deed {
                Deed::Put { sender, kind, at, text } => put.push((place, (sender, kind, at), text)),
                Deed::Replace(text) if !text.is_empty() => texts.parts.push(replace(place, &text)),
                Deed::Replace(_) | Deed::Drop => drops.push(place),
                Deed::Append(more) => texts.appends.push((place, more)),
            }
        }
        texts.parts.extend(put_all(&put));
        texts.parts.extend(drops.chunks(STATEMENT).map(drop_all));
        texts
    }
}

/// A message, who said it, as what and when, and what it says.
pub(super) type Said = (Place, (UserId, MessageKind, u64), String);

/// New texts, in as many statements as they need.
fn put_all(all: &[Said]) -> Vec<Text> {
    let mut parts = Vec::new();
    let mut part = Text::default();
    for said in all {
        if part.is_empty() {
            part.words(INSERT).words("VALUES (");
        } else {
            part.words(",(");
        }
        push_said(&mut part, said);
        if part.len() > BYTES {
            part.words(OVER);
            parts.push(std::mem::take(&mut part));
        }
    }
    if !part.is_empty() {
        part.words(OVER);
        parts.push(part);
    }
    parts
}

fn push_said(part: &mut Text, ((conversation, seq), (sender, kind, at), said): &Said) {
    part.bytes(conversation.as_bytes()).words(",").number(*at).words(",").number(seq.0).words(",");
    part.number(sender.0).words(",").number(kind.0.into()).words(",").bytes(said.as_bytes()).words(",'");
    part.letters(&words::of_text(*conversation, *sender, said)).words("')");
}

/// A message that stands says this now, if it can be read at all.
fn replace((conversation, seq): Place, text: &str) -> Text {
    let mut part = Text::new(INSERT);
    part.words("SELECT m.conv,m.at,m.seq,m.sender,m.kind,").bytes(text.as_bytes()).words(",CONCAT('");
    part.letters(&words::of_conversation(conversation)).words(" sid',m.sender,' ").letters(&words::pieces(text));
    part.words("') FROM message m FORCE INDEX (PRIMARY) WHERE m.conv=").bytes(conversation.as_bytes());
    part.words(" AND m.seq=").number(seq.0).words(" AND m.key_version=0 AND m.body<>''").words(OVER);
    part
}

fn drop_all(places: &[Place]) -> Text {
    let mut part = Text::new(DROP);
    push_places(&mut part, places.iter());
    part.words(";");
    part
}

fn push_places<'a>(text: &mut Text, places: impl Iterator<Item = &'a Place>) {
    text.each(places, "(m.conv=", " OR (m.conv=", |text, (conversation, seq)| {
        text.bytes(conversation.as_bytes()).words(" AND m.seq=").number(seq.0).words(")");
    });
}

/// Nothing is left of what stands at these places; `of`: of what this one said. With its semicolon.
pub(super) fn push_drop(text: &mut Text, of: Option<UserId>, id: ConversationId, (from, upto): (u64, u64)) {
    text.words(DROP).words("m.conv=").bytes(id.as_bytes());
    text.words(" AND m.seq BETWEEN ").number(from).words(" AND ").number(upto);
    if let Some(user) = of {
        text.words(" AND m.sender=").number(user.0);
    }
    text.words(";");
}

/// Adds to texts, in the transaction that has placed the rows which say so.
pub(super) async fn append(db: &mut MySqlConnection, appends: &[(Place, String)]) -> Result<(), sqlx::Error> {
    for part in appends.chunks(STATEMENT) {
        let mut text = Text::new(
            "SELECT m.conv,m.seq,t.text FROM message m FORCE INDEX (PRIMARY) LEFT JOIN message_text t \
             ON t.conv=m.conv AND t.at=m.at AND t.seq=m.seq WHERE ",
        );
        push_places(&mut text, part.iter().map(|(place, _)| place));
        let mut known = HashMap::new();
        for row in &text.rows(db).await? {
            known.insert((conversation(row, 0)?, seq(row, 1)?), row.try_get::<Option<Vec<u8>>, _>(2)?);
        }
        for (place, more) in part {
            let text = match known.remove(place) {
                Some(Some(old)) => Some(texts::extended(String::from_utf8_lossy(&old).into_owned(), more)),
                // It was not taken up yet, or said nothing.
                Some(None) => whole(db, *place).await?,
                None => None,
            };
            if let Some(text) = text {
                replace(*place, &text).run(db).await?;
            }
        }
    }
    Ok(())
}

/// What a message says now, by its rows.
async fn whole(db: &mut MySqlConnection, (conversation, at): Place) -> Result<Option<String>, sqlx::Error> {
    let said = said(db, conversation, (at.0 - 1, at.0), "").await?;
    Ok(said.into_iter().next().map(|(_, _, text)| text))
}

/// What the messages of (`after`, `upto`] say now, as far as they can be read.
async fn said(
    db: &mut MySqlConnection,
    id: ConversationId,
    (after, upto): (u64, u64),
    lock: &'static str,
) -> Result<Vec<Said>, sqlx::Error> {
    let mut text =
        Text::new("SELECT kind,key_version,body,seq,sender,at FROM message FORCE INDEX (PRIMARY) WHERE conv=");
    text.bytes(id.as_bytes()).words(" AND seq>").number(after).words(" AND seq<=").number(upto);
    text.words(" AND key_version=0 AND kind BETWEEN 1 AND 499 AND body<>'' ORDER BY seq").words(lock);
    let messages = text.rows(db).await?;
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let mut text = Text::new(
        "SELECT m.kind,m.key_version,m.body,f.target FROM follow_up f FORCE INDEX (PRIMARY) STRAIGHT_JOIN message m \
         ON m.conv=f.conv AND m.seq=f.seq WHERE f.conv=",
    );
    text.bytes(id.as_bytes()).words(" AND f.target>").number(after).words(" AND f.target<=").number(upto);
    text.words(" ORDER BY f.target,f.seq");
    let mut follow_ups = HashMap::<Seq, Vec<texts::Row>>::new();
    for row in &text.rows(db).await? {
        follow_ups.entry(seq(row, 3)?).or_default().push(read_row(row)?);
    }
    let mut said = Vec::new();
    for row in &messages {
        let (seq, message) = (seq(row, 3)?, read_row(row)?);
        let follow_ups = follow_ups.get(&seq).map_or(&[][..], Vec::as_slice);
        if let Some(text) = texts::whole(&message, follow_ups) {
            said.push(((id, seq), (user(row, 4)?, message.kind, number(row, 5)?), text));
        }
    }
    Ok(said)
}

fn read_row(row: &MySqlRow) -> Result<texts::Row, sqlx::Error> {
    let body: &[u8] = row.try_get(2)?;
    Ok(texts::Row { kind: MessageKind(row.try_get(0)?), key_version: row.try_get(1)?, body: body.to_vec().into() })
}

/// Whether everything from before was taken up.
pub(super) async fn is_walked(db: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let rows = Text::new("SELECT done FROM text_walk WHERE id=1").rows(db).await?;
    rows.first().map_or(Ok(false), |row| Ok(row.try_get::<u8, _>(0)? != 0))
}

/// Takes up the texts of the next `look` places (a conversation counts as one more), in an open transaction; whether there
/// are more. One at a time: the others wait for the row that says how far it is.
pub(super) async fn take_up(db: &mut MySqlConnection, look: usize) -> Result<bool, sqlx::Error> {
    let mut text = Text::new("INSERT IGNORE INTO text_walk (id,conv,seq,done) VALUES (1,'',0,0);");
    text.words("SELECT conv,seq,done FROM text_walk WHERE id=1 FOR UPDATE");
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
    text.bytes(&conv).words(",seq=").number(place).words(",done=").number(u64::from(!more)).words(" WHERE id=1");
    text.run(db).await?;
    Ok(more)
}

/// What is to be taken up of these places. Who takes one of them back waits from now on.
pub(super) async fn said_before(
    db: &mut MySqlConnection,
    id: ConversationId,
    places: (u64, u64),
) -> Result<Vec<Said>, sqlx::Error> {
    said(db, id, places, " LOCK IN SHARE MODE").await
}

/// Takes it up, where nobody has done so and nothing was placed since. A statement for each: MySQL leaves rows out of the
/// full-text index that stand in one statement with a row that is there already.
pub(super) async fn put_beside(db: &mut MySqlConnection, said: &[Said]) -> Result<(), sqlx::Error> {
    let mut part = Text::default();
    for said in said {
        part.words(INSERT_BESIDE).words("VALUES (");
        push_said(&mut part, said);
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
