//! Rows that a change placed itself, until they were announced: whoever placed them may die before. A group's audience is
//! that of its newest revision: the roster of any later one says who is owed a row.

use bytes::Bytes;
use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, Message, MessageKind, PlacedRow, Seq};

use super::super::MySqlStore;
use super::super::head::{members_columns, read_members};
use super::many::{STEP, filled, repeat};
use super::value;
use super::work::{Change, Stop, Work, run_all};
use crate::StoreError;
use crate::directory::Rows;

/// A place.
type Place = (ConversationId, Seq);

/// The oldest first. What retention took meanwhile is forgotten here: nobody is owed it any more.
pub(super) async fn before(store: &MySqlStore, before: u64, limit: usize) -> Result<Rows, StoreError> {
    let (rows, gone) = store.read(async |db| read(db, before, limit).await).await?;
    told(store, &gone).await?;
    Ok(rows)
}

/// The rows, and places where there is none any more.
async fn read(db: &mut MySqlConnection, before: u64, limit: usize) -> Result<(Rows, Vec<Place>), StoreError> {
    let read = concat!(
        "SELECT ",
        members_columns!(),
        ", u.conv, u.seq, m.sender, m.device, m.message_id, m.kind, m.key_version, m.at, m.body FROM \
         (SELECT conv, seq, at FROM untold WHERE at < ? ORDER BY at, conv, seq LIMIT ?) u \
         LEFT JOIN message m ON m.conv = u.conv AND m.seq = u.seq LEFT JOIN conversation c ON c.id = m.conv \
         LEFT JOIN chat_group g ON g.conv = c.id ORDER BY u.at, u.conv, u.seq"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (mut rows, mut gone) = (Rows::new(), Vec::new());
    for row in query(read).bind(before).bind(limit).fetch_all(db).await? {
        let place = (value::conversation(&row, 11)?, value::seq(&row, 12)?);
        match value::get::<Option<&[u8]>>(&row, 0)? {
            Some(_) => rows.push(placed(&row, place)?),
            None => gone.push(place),
        }
    }
    Ok((rows, gone))
}

fn placed(row: &MySqlRow, (conversation, seq): Place) -> sqlx::Result<PlacedRow> {
    let message = Message {
        conversation,
        seq,
        sender: value::user(row, 13)?,
        device: value::device(row, 14)?,
        message_id: value::message_id(row, 15)?,
        kind: MessageKind(value::get(row, 16)?),
        key_version: value::get(row, 17)?,
        at: value::get(row, 18)?,
        body: Bytes::from(value::get::<Vec<u8>>(row, 19)?),
    };
    Ok(PlacedRow { message, audience: read_members(row)?.audience(), change: None })
}

pub(super) async fn told(store: &MySqlStore, places: &[Place]) -> Result<(), StoreError> {
    for places in places.chunks(STEP) {
        run_all(store, &Told { places }).await?;
    }
    Ok(())
}

struct Told<'a> {
    places: &'a [Place],
}

impl Change for Told<'_> {
    type Answer = ();

    async fn make(&self, work: &mut Work) -> Result<(), Stop> {
        let places = filled(self.places);
        let text = repeat("DELETE FROM untold WHERE ", "(conv = ? AND seq = ?)", " OR ", places.len(), "");
        let delete = places
            .iter()
            .fold(query(text), |delete, (conversation, seq)| delete.bind(&conversation.as_bytes()[..]).bind(seq.0));
        delete.execute(work.db()).await?;
        Ok(())
    }
}
