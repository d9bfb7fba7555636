//! What messages say, and the words by which it is found: statements of the transactions that place, take back and delete.
//!
//! A message's time is part of its text's key, so whoever knows only the place asks the message for it. What a row of the
//! placing batch says by itself goes with its packet; what is added to a stream is read first, in the open transaction
//! ([`Texts::appends`]): placing in a conversation is one after the other, so nobody else adds meanwhile.
//!
//! Texts from before (`walk`) are taken up under locks of their messages: whoever takes one back waits, and then finds its text.
//! Nobody overwrites a text that is there: what was placed since is newer. Words of a former version are made anew from the
//! text beside them, in the same walk; until it is done searches ask for both.

mod walk;

use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::text::Text;
use super::value::{conversation, number, seq, user};
use crate::search::dated::{self, Pace};
use crate::search::texts::{self, Deed};
use crate::search::words;
use crate::timeline::NewRow;

pub(super) use walk::{is_walked, take_up};
#[cfg(test)]
pub(super) use walk::{put_beside, said_before};

const INSERT: &str = "INSERT INTO message_text (conv,at,seq,sender,kind,text,words) ";
const OVER: &str = " ON DUPLICATE KEY UPDATE text=VALUES(text),words=VALUES(words);";
/// Of these messages; `m` is the message.
const DROP: &str = "DELETE t FROM message m FORCE INDEX (PRIMARY) STRAIGHT_JOIN message_text t \
     ON t.conv=m.conv AND t.at=m.at AND t.seq=m.seq WHERE ";

/// Messages of one statement: each is a range of its own for the server, whose room to find ranges in is bounded.
const STATEMENT: usize = 512;
/// Bytes after which a statement ends.
const BYTES: usize = 256 * 1024;

type Place = (ConversationId, Seq);

/// What a store knows of its texts.
#[derive(Debug)]
pub(super) struct State {
    /// How much is said.
    pub(super) pace: Pace,
    /// Whether everything from before was taken up, as far as is known; it is never otherwise again.
    is_walked: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self { pace: Pace::new(), is_walked: AtomicBool::new(false) }
    }
}

impl State {
    /// Whether all words carry times.
    pub(super) async fn is_walked(&self, db: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
        if !self.is_walked.load(Ordering::Relaxed) && walk::is_walked(db).await? {
            self.is_walked.store(true, Ordering::Relaxed);
        }
        Ok(self.is_walked.load(Ordering::Relaxed))
    }
}

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
    pub(super) fn of(rows: &[NewRow], pace: &Pace) -> Self {
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
        texts.parts.extend(put_all(&put, pace));
        texts.parts.extend(drops.chunks(STATEMENT).map(drop_all));
        texts
    }
}

/// A message, who said it, as what and when, and what it says.
pub(super) type Said = (Place, (UserId, MessageKind, u64), String);

/// New texts, in as many statements as they need.
fn put_all(all: &[Said], pace: &Pace) -> Vec<Text> {
    let mut parts = Vec::new();
    let mut part = Text::default();
    for said in all {
        if part.is_empty() {
            part.words(INSERT).words("VALUES (");
        } else {
            part.words(",(");
        }
        let (_, (_, _, at), _) = said;
        push_said(&mut part, said, &dated::time(*at, pace.digits(*at)));
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

fn push_said(part: &mut Text, ((conversation, seq), (sender, kind, at), said): &Said, time: &str) {
    part.bytes(conversation.as_bytes()).words(",").number(*at).words(",").number(seq.0).words(",");
    part.number(sender.0).words(",").number(kind.0.into()).words(",").bytes(said.as_bytes()).words(",'");
    part.letters(&dated::of_text(*conversation, *sender, said, time)).words("')");
}

/// A message that stands says this now, if it can be read at all.
fn replace((conversation, seq): Place, text: &str) -> Text {
    let mut part = Text::new(INSERT);
    let mut pieces = String::new();
    dated::push_pieces(&mut pieces, text, dated::OPEN);
    part.words("SELECT m.conv,m.at,m.seq,m.sender,m.kind,").bytes(text.as_bytes()).words(",REPLACE(CONCAT('");
    part.letters(&words::of_conversation(conversation)).words("T s',LOWER(HEX(m.sender)),'xT ").letters(&pieces);
    part.words("'),'T',LPAD(LOWER(HEX(LEAST(m.at DIV ").number(dated::SLOT_MS).words(",").number(dated::LAST.into());
    part.words("))),6,'0')) FROM message m FORCE INDEX (PRIMARY) WHERE m.conv=").bytes(conversation.as_bytes());
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
