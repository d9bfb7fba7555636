//! What rows do besides standing in their places: countable ones of groups raise their sender's own count, follow-ups
//! are noted by their targets, those with content apart, files by the messages that came with them, and what is taken back
//! loses its body and its file.
//!
//! Statements of the placing transaction, behind its inserts, each for all rows of the batch. Places come before member
//! rows, in changes of groups too: whoever waits for a place holds no member row that somebody else needs for it.
//!
//! Absences: a batch without such rows has no such statement.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{ConversationId, FileId, Seq, UserId};

use super::error::number;
use super::text::Text;
use crate::timeline::NewRow;

/// In the order of the derived table, which is that of the key.
const RAISE_OWN: &str = "UPDATE (";
const RAISE_OWN_BY: &str = ") v STRAIGHT_JOIN member m ON m.user=v.u AND m.conv=v.c SET m.own_total=m.own_total+v.k;";

/// Each is one more than the last one says (or than there are, where that does not say), and than those of this batch before
/// it.
const ADD: &str = "INSERT INTO follow_up (conv,target,seq,nth) SELECT v.c,v.t,v.s,v.i+\
     COALESCE(NULLIF((SELECT f.nth FROM follow_up f FORCE INDEX (PRIMARY) WHERE f.conv=v.c AND f.target=v.t \
     ORDER BY f.seq DESC LIMIT 1),0),(SELECT COUNT(*) FROM follow_up g WHERE g.conv=v.c AND g.target=v.t)) FROM (";
/// Behind the columns of the first row, and of the others.
const NAMES: [[&str; 4]; 2] = [[" AS c,", " AS t,", " AS s,", " AS i"], [",", ",", ",", ""]];
const MARK: &str = "INSERT INTO mark (conv,target,seq) VALUES ";
const MARK_AGAIN: &str = " ON DUPLICATE KEY UPDATE seq=VALUES(seq);";
/// What stands there is the same: it outlived its message.
const ADD_AGAIN: &str = ") v ON DUPLICATE KEY UPDATE seq=VALUES(seq);";

/// What people say; nothing that the server placed.
const TAKE_BACK: &str = "UPDATE message FORCE INDEX (PRIMARY) SET body='' WHERE kind BETWEEN 1 AND 499 AND (";
/// A follow-up keeps the seq of its target.
const CUT: &str = "UPDATE follow_up f STRAIGHT_JOIN message m ON m.conv=f.conv AND m.seq=f.seq \
     SET m.body=LEFT(m.body,8) WHERE (";

/// Whole files of the sender's: locked, then noted. `v`: file, sender, place. One that is not there (any more) is noted as
/// NULL, which the column does not take ([`is_missing_file`]): so the lock decides, whatever was read before.
const FILES: &str = "UPDATE (";
const FILES_NEEDED: &str = ") v STRAIGHT_JOIN file f ON f.id=v.f AND f.owner=v.u AND f.state=2 SET f.idle_since=NULL;";
const FILES_BY: &str = "INSERT INTO file_use (file,conv,seq) SELECT f.id,v.c,v.s FROM (";
const FILES_NOTED: &str = ") v LEFT JOIN file f ON f.id=v.f AND f.owner=v.u AND f.state=2 WHERE 1=1 \
     ON DUPLICATE KEY UPDATE seq=VALUES(seq);";
/// `ER_BAD_NULL_ERROR`.
const NULL_REFUSED: u16 = 1048;
/// Idle from now on.
const FREED: &str = "UPDATE file_use u STRAIGHT_JOIN file f ON f.id=u.file SET f.idle_since=";
/// Except those that came with other messages too.
pub(super) const STILL_USED: &str = "UPDATE file_use u STRAIGHT_JOIN file_use o ON o.file=u.file STRAIGHT_JOIN file f ON f.id=u.file \
     SET f.idle_since=NULL WHERE ";
const UNUSED: &str = "DELETE FROM file_use WHERE (";

/// Rows, or targets, of one statement: each is a range of its own for the server, whose room to find ranges in is bounded.
const STATEMENT: usize = 512;

type Place = (ConversationId, Seq);

/// What the rows of one batch do.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// How many countable rows of groups whose are, in the order of the member rows.
    own: BTreeMap<(UserId, ConversationId), u64>,
    /// Follow-ups with content: target, follow-up.
    added: Vec<(Place, Seq)>,
    /// The other follow-ups, the same way.
    marks: Vec<(Place, Seq)>,
    taken: BTreeSet<Place>,
    /// When, milliseconds since 1970.
    taken_at: u64,
    /// In the order of the files' rows: file, sender, message.
    files: BTreeMap<(FileId, Place), UserId>,
}

impl Effects {
    pub(super) fn of(rows: &[NewRow]) -> Self {
        let mut effects = Self::default();
        for NewRow { message, in_group, .. } in rows {
            if *in_group && message.kind.is_countable() {
                *effects.own.entry((message.sender, message.conversation)).or_default() += 1;
            }
            if let Some(file) = message.kind.file(&message.body) {
                effects.files.insert((file, (message.conversation, message.seq)), message.sender);
            }
            let Some(target) = message.kind.target(&message.body) else { continue };
            if message.kind.adds_content() {
                effects.added.push(((message.conversation, target), message.seq));
                continue;
            }
            effects.marks.push(((message.conversation, target), message.seq));
            if message.kind.takes_back() {
                effects.taken.insert((message.conversation, target));
                effects.taken_at = effects.taken_at.max(message.at);
            }
        }
        effects
    }

    /// The statements, each with its semicolon; empty where nothing is to be done.
    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        let own: Vec<_> = self.own.iter().collect();
        for part in own.chunks(STATEMENT) {
            text.words(RAISE_OWN);
            text.each(part.iter().enumerate(), "", " UNION ALL ", |text, (index, ((user, conversation), count))| {
                let names = if index == 0 { [" AS u,", " AS c,", " AS k"] } else { [",", ",", ""] };
                text.words("SELECT ").number(user.0).words(names[0]).bytes(conversation.as_bytes()).words(names[1]);
                text.number(**count).words(names[2]);
            });
            text.words(RAISE_OWN_BY);
        }
        // Smaller ones are written before larger ones count on them.
        for part in self.added.chunks(STATEMENT) {
            let mut counts = BTreeMap::<Place, u64>::new();
            text.words(ADD).each(
                part.iter().enumerate(),
                "SELECT ",
                " UNION ALL SELECT ",
                |text, (index, (at, seq))| {
                    let (nth, names) = (counts.entry(*at).or_default(), NAMES[usize::from(index > 0)]);
                    *nth += 1;
                    text.bytes(at.0.as_bytes()).words(names[0]).number(at.1.0).words(names[1]);
                    text.number(seq.0).words(names[2]).number(*nth).words(names[3]);
                },
            );
            text.words(ADD_AGAIN);
        }
        for part in self.marks.chunks(STATEMENT) {
            text.words(MARK).each(part, "(", ",(", |text, ((conversation, target), seq)| {
                text.bytes(conversation.as_bytes()).words(",").number(target.0).words(",").number(seq.0).words(")");
            });
            text.words(MARK_AGAIN);
        }
        self.push_files(&mut text);
        let taken: Vec<_> = self.taken.iter().collect();
        for part in taken.chunks(STATEMENT) {
            for (statement, columns) in [(TAKE_BACK, ["(conv=", " AND seq="]), (CUT, ["(f.conv=", " AND f.target="])] {
                text.words(statement);
                push_places(&mut text, part, columns);
                text.words(");");
            }
            text.words(FREED).number(self.taken_at).words(" WHERE (");
            push_places(&mut text, part, ["(u.conv=", " AND u.seq="]);
            text.words(");").words(STILL_USED).words("(");
            push_places(&mut text, part, ["(u.conv=", " AND u.seq="]);
            text.words(") AND NOT (");
            push_places(&mut text, part, ["(o.conv=", " AND o.seq="]);
            text.words(");").words(UNUSED);
            push_places(&mut text, part, ["(conv=", " AND seq="]);
            text.words(");");
        }
        text
    }

    /// Files are needed by the messages that came with them.
    fn push_files(&self, text: &mut Text) {
        let files: Vec<_> = self.files.iter().collect();
        for part in files.chunks(STATEMENT) {
            for [begin, end] in [[FILES, FILES_NEEDED], [FILES_BY, FILES_NOTED]] {
                text.words(begin);
                text.each(part.iter().enumerate(), "", " UNION ALL ", |text, (index, ((file, (conv, seq)), user))| {
                    let names = if index == 0 { [" AS f,", " AS u,", " AS c,", " AS s"] } else { [",", ",", ",", ""] };
                    text.words("SELECT ").bytes(file.as_bytes()).words(names[0]).number(user.0).words(names[1]);
                    text.bytes(conv.as_bytes()).words(names[2]).number(seq.0).words(names[3]);
                });
                text.words(end);
            }
        }
    }
}

/// One of these places, by the columns of conversation and seq.
fn push_places(text: &mut Text, places: &[&Place], [conv, seq]: [&'static str; 2]) {
    text.each(places, "", " OR ", |text, (conversation, place)| {
        text.words(conv).bytes(conversation.as_bytes()).words(seq).number(place.0).words(")");
    });
}

/// Whether a packet of effects failed because a message comes with a file that is not there: no other table has a column of
/// this name.
pub(super) fn is_missing_file(error: &sqlx::Error) -> bool {
    number(error) == Some(NULL_REFUSED)
        && error.as_database_error().is_some_and(|said| said.message().contains("'file'"))
}
