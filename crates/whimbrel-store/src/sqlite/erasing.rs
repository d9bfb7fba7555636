//! Emptying what one user said: a step is one job of the writer.

use std::ops::RangeInclusive;

use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::value::{all, first_row, run, seq, small, sql};
use super::{filing, head, history, place, texts};
use crate::StoreError;
use crate::directory::words;
use crate::keeping::{Erased, THROUGH, now_ms};

/// What is left of a follow-up names its target.
const EMPTY: &str = "UPDATE message SET body = CASE WHEN kind < 500 THEN x'' ELSE substr(body, 1, 8) END \
     WHERE conv = ?1 AND seq BETWEEN ?2 AND ?3 AND sender = ?4 AND kind < 1000";

const WITH_FILES: &str = "SELECT u.seq FROM file_use u CROSS JOIN message m ON m.conv = u.conv AND m.seq = u.seq \
     WHERE u.conv = ?1 AND u.seq BETWEEN ?2 AND ?3 AND m.sender = ?4";

/// A place in one of the user's conversations.
type Place = (ConversationId, Seq);

/// Up to the first conversation in which something is found: this is emptied, and its row placed with the last of it.
pub(super) fn step(db: &Connection, user: UserId, look: usize) -> Result<Erased, StoreError> {
    let note = "SELECT conv, seq, said FROM erasure WHERE user = ?1";
    let note = first_row(db, note, [sql(user.0)], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, seq(row, 1)?, small::<u8>(row, 2)? != 0))
    })?;
    let Some((conv, at, said)) = note else { return Ok(Erased::default()) };
    let after = <[u8; 16]>::try_from(&conv[..]).ok().map(|id| (ConversationId::from_bytes(id), at));
    let begun = after.filter(|_| said);
    let (mut ranges, next) = history::ranges(db, user, after, look.max(1))?;
    if let Some((id, at)) = begun.filter(|(id, _)| ranges.first().is_none_or(|(first, _)| first != id)) {
        // What was left of it is gone by itself, and its row is still owed.
        ranges.insert(0, (id, at.0 + 1..=at.0));
    }
    for (id, range) in ranges {
        let found = empty(db, user, id, &range)?;
        if !found && begun.is_none_or(|(begun, _)| begun != id) {
            continue;
        }
        let head = head::head(db, id)?.ok_or_else(|| StoreError::Corrupt(format!("conversation {id} is missing")))?;
        if next.is_some_and(|(next, _)| next == id) && *range.end() < head.seq.0 {
            note_place(db, user, (id, Seq(*range.end())), true)?;
            return Ok(Erased { rows: Vec::new(), more: true });
        }
        let row = place::system_row(db, id, user, MessageKind::ERASED, words::about(user), now_ms())?;
        note_place(db, user, (id, THROUGH), false)?;
        return Ok(Erased { rows: vec![row], more: true });
    }
    match next {
        Some(next) => note_place(db, user, next, false)?,
        None => drop(run(db, "DELETE FROM erasure WHERE user = ?1", [sql(user.0)])?),
    }
    Ok(Erased { rows: Vec::new(), more: next.is_some() })
}

fn note_place(db: &Connection, user: UserId, (id, at): Place, said: bool) -> rusqlite::Result<()> {
    let note = "UPDATE erasure SET conv = ?2, seq = ?3, said = ?4 WHERE user = ?1";
    run(db, note, params![sql(user.0), &id.as_bytes()[..], sql(at.0), said]).map(drop)
}

/// Empties what the user said there. Whether they said anything.
fn empty(db: &Connection, user: UserId, id: ConversationId, range: &RangeInclusive<u64>) -> rusqlite::Result<bool> {
    texts::drop_said_by(db, user, id, range)?;
    let said = params![id.as_bytes(), sql(*range.start()), sql(*range.end()), sql(user.0)];
    let found = run(db, EMPTY, said)?;
    for place in all(db, WITH_FILES, said, |row| seq(row, 0))? {
        filing::unused(db, id, place, now_ms())?;
    }
    Ok(found > 0)
}
