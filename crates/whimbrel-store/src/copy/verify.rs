//! Whether the two hold the same: rows of each table, and where each conversation ends. That every row is the source's
//! follows from how it came there: compared, or inserted.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::source::{self, Source};
use super::table::TABLES;
use super::target::Target;
use super::{CopyError, OnProgress, Progress, Step};

/// Conversations that are compared at once.
const ENDS_MAX: usize = 512;

/// The ends of conversations, in both engines: one seek for each. Values: the id behind which they begin, and the limit.
pub(super) const ENDS: &str = "SELECT h.id, m.seq, m.n, m.own FROM \
     (SELECT c.id AS id, (SELECT l.seq FROM message l WHERE l.conv = c.id ORDER BY l.seq DESC LIMIT 1) AS seq \
      FROM conversation c WHERE c.id > ? ORDER BY c.id LIMIT ?) h \
     LEFT JOIN message m ON m.conv = h.id AND m.seq = h.seq ORDER BY h.id";

/// Where a conversation ends; zeros where it has no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) conversation: Vec<u8>,
    pub(super) seq: u64,
    pub(super) n: u64,
    pub(super) own: u64,
}

/// Compares; how many conversations there are.
pub(super) async fn run(
    source: &Arc<Mutex<Source>>,
    target: &mut Target,
    counts: &[u64],
    progress: OnProgress<'_>,
) -> Result<u64, CopyError> {
    for (table, count) in TABLES.iter().zip(counts) {
        let found = target.count(table).await?;
        if found != *count {
            return Err(unequal(&format!("{} has {found} rows there, and {count} in the source", table.name)));
        }
        progress(Progress { step: Step::Verifying, table: table.name, done: *count, total: *count });
    }
    ends(source, target).await
}

async fn ends(source: &Arc<Mutex<Source>>, target: &mut Target) -> Result<u64, CopyError> {
    let (mut after, mut compared) = (Vec::new(), 0);
    loop {
        let (from, behind) = (Arc::clone(source), after.clone());
        let ours = source::blocking(move || from.lock().ends(&behind, ENDS_MAX)).await?;
        let theirs = target.ends(&after, ENDS_MAX).await?;
        if let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
            let end = |end: &End| format!("seq {}, n {}, own {}", end.seq, end.n, end.own);
            let id = Uuid::from_slice(&ours.conversation).unwrap_or_default();
            return Err(unequal(&format!("conversation {id} ends with {} there, and {}", end(theirs), end(ours))));
        }
        if ours.len() != theirs.len() {
            return Err(unequal("conversations differ"));
        }
        compared += ours.len() as u64;
        match ours.last() {
            Some(last) if ours.len() == ENDS_MAX => after.clone_from(&last.conversation),
            _ => return Ok(compared),
        }
    }
}

fn unequal(what: &str) -> CopyError {
    CopyError::Unequal(format!(
        "the copy does not hold what the source holds: {what}; somebody else wrote into it: stop that, and copy into an \
         empty database"
    ))
}
