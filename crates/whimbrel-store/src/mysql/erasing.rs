//! Emptying what one user said: a step is one transaction, made again when others were in its way.
//!
//! The row that says so is placed first and what is below it is emptied then, all in one transaction: so nothing that was
//! placed meanwhile stands below the row with its body.

use sqlx::Row;
use sqlx::mysql::MySqlConnection;
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::directory::place::post;
use super::directory::tell::Letter;
use super::directory::work::{Change, Stop, Work, run_all};
use super::head::last_seq;
use super::keeping::free_files;
use super::text::Text;
use super::value::{number, number_or_zero, seq};
use super::{MySqlStore, history, texts};
use crate::StoreError;
use crate::directory::{Rows, words};
use crate::keeping::{Erased, THROUGH, now_ms};

pub(super) async fn step(store: &MySqlStore, user: UserId, look: usize) -> Result<Erased, StoreError> {
    Ok(run_all(store, &Step { user, look: look.max(1) }).await?.0)
}

/// Up to the first conversation in which something is found: this is emptied, and its row placed with the last of it.
struct Step {
    user: UserId,
    look: usize,
}

impl Change for Step {
    type Answer = Erased;

    async fn make(&self, work: &mut Work) -> Result<Erased, Stop> {
        let user = self.user;
        let Some((after, said)) = note(work.db(), user).await? else { return Ok(Erased::default()) };
        let begun = after.filter(|_| said);
        let (mut ranges, next) = history::ranges(work.db(), user, after, self.look).await?;
        if let Some((id, at)) = begun.filter(|(id, _)| ranges.first().is_none_or(|(first, _)| first != id)) {
            // What was left of it is gone by itself, and its row is still owed.
            ranges.insert(0, (id, at.0 + 1..=at.0));
        }
        for (id, range) in ranges {
            let (from, upto) = (*range.start(), *range.end());
            let (found, head) = said_in(work.db(), user, id, (from, upto)).await?;
            if !found && begun.is_none_or(|(begun, _)| begun != id) {
                continue;
            }
            if next.is_some_and(|(next, _)| next == id) && upto < head {
                empty(work.db(), user, id, (from, upto)).await?;
                note_place(work.db(), user, (id, Seq(upto)), true).await?;
                return Ok(Erased { rows: Rows::new(), more: true });
            }
            let (kind, body) = (MessageKind::ERASED, words::about(user));
            work.letters.push(Letter { conversation: id, sender: user, kind, body, now: now_ms() });
            let rows = post(work).await?;
            let end = rows.first().map_or(upto, |row| row.message.seq.0 - 1);
            empty(work.db(), user, id, (from, end)).await?;
            note_place(work.db(), user, (id, THROUGH), false).await?;
            return Ok(Erased { rows, more: true });
        }
        match next {
            Some(next) => note_place(work.db(), user, next, false).await?,
            None => {
                let mut text = Text::new("DELETE FROM erasure WHERE user = ");
                text.number(user.0);
                text.run(work.db()).await?;
            }
        }
        Ok(Erased { rows: Rows::new(), more: next.is_some() })
    }
}

/// A place in one of the user's conversations.
type Place = (ConversationId, Seq);

/// How far it has come, and whether a row is owed there; locked.
async fn note(db: &mut MySqlConnection, user: UserId) -> Result<Option<(Option<Place>, bool)>, sqlx::Error> {
    let mut text = Text::new("SELECT conv, seq, said FROM erasure WHERE user = ");
    text.number(user.0).words(" FOR UPDATE");
    let rows = text.rows(db).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let conv: &[u8] = row.try_get(0)?;
    let at = <[u8; 16]>::try_from(conv).ok().map(ConversationId::from_bytes).zip(Some(seq(row, 1)?));
    Ok(Some((at, number(row, 2)? != 0)))
}

async fn note_place(db: &mut MySqlConnection, user: UserId, (id, at): Place, said: bool) -> Result<(), sqlx::Error> {
    let mut text = Text::new("UPDATE erasure SET conv = ");
    text.bytes(id.as_bytes()).words(", seq = ").number(at.0).words(", said = ").number(said.into());
    text.words(" WHERE user = ").number(user.0);
    text.run(db).await.map(drop)
}

/// Whether the user said anything there, and where the conversation ends. Nothing is locked: who finds nothing leaves it
/// alone.
async fn said_in(
    db: &mut MySqlConnection,
    user: UserId,
    id: ConversationId,
    (from, upto): (u64, u64),
) -> Result<(bool, u64), sqlx::Error> {
    let mut text =
        Text::new("SELECT (SELECT seq FROM message FORCE INDEX (PRIMARY) WHERE conv = c.id AND seq BETWEEN ");
    text.number(from).words(" AND ").number(upto).words(" AND sender = ").number(user.0);
    text.words(concat!(" AND kind < 1000 LIMIT 1), ", last_seq!("c.id"), " FROM conversation c WHERE c.id = "));
    text.bytes(id.as_bytes());
    let rows = text.rows(db).await?;
    rows.first().map_or(Ok((false, 0)), |row| Ok((number_or_zero(row, 0)? > 0, number_or_zero(row, 1)?)))
}

async fn empty(
    db: &mut MySqlConnection,
    user: UserId,
    id: ConversationId,
    (from, upto): (u64, u64),
) -> Result<(), sqlx::Error> {
    // What names its target is left of a follow-up.
    let mut text =
        Text::new("UPDATE message FORCE INDEX (PRIMARY) SET body = IF(kind < 500, '', LEFT(body, 8)) WHERE conv = ");
    text.bytes(id.as_bytes()).words(" AND seq BETWEEN ").number(from).words(" AND ").number(upto);
    text.words(" AND sender = ").number(user.0).words(" AND kind < 1000;");
    texts::push_drop(&mut text, Some(user), id, (from, upto));
    free_files(&mut text, Some(user), id, (from, upto));
    text.run(db).await.map(drop)
}
