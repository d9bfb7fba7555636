//! How many bytes something takes at most as a part of a message: quick sums, checked against the encoding by a test.
//!
//! They decide where a batch is cut and when a queue is full, before anything is encoded.

use whimbrel_core::{Draft, Message, PlacedRow, Roster, RosterChange};

use crate::{Attach, PlacedBatch, PushBody, PushItem, Request, RequestBody, To, ToGroup};

/// Most bytes of an id, with what leads it.
const ID: usize = 22;
/// Most bytes of an entry of any list besides messages and drafts.
pub(crate) const ENTRY: usize = 128;
/// Most bytes of a message or draft besides its body.
const MESSAGE: usize = 144;
/// Most bytes of a user in a list of users.
pub(crate) const USER: usize = 10;
/// Most bytes of one member in a roster: who, since, until.
const SPAN: usize = 30;
/// Most bytes of what is around the lists.
const AROUND: usize = 160;

fn draft(draft: &Draft) -> usize {
    draft.body.len() + MESSAGE
}

/// A message of a timeline.
pub(crate) fn message(message: &Message) -> usize {
    message.body.len() + MESSAGE
}

/// What a client asked.
pub(crate) fn request(request: &Request) -> usize {
    AROUND
        + match &request.body {
            RequestBody::Send { drafts, .. } => drafts.iter().map(draft).sum(),
            RequestBody::Advance(of) => of.len() * ENTRY,
            RequestBody::Sync(question) => question.known.len() * ENTRY,
            RequestBody::Signal { body, .. } => body.len(),
        }
}

/// A session that wants to be reachable.
pub(crate) fn attach(attach: &Attach) -> usize {
    AROUND + attach.platform.len()
}

fn change(change: &RosterChange) -> usize {
    ENTRY + (change.joined.len() + change.left.len()) * USER
}

fn roster(roster: &Roster) -> usize {
    ENTRY + roster.spans().len() * SPAN
}

fn group(to: &ToGroup) -> usize {
    let lists = to.change.as_deref().map_or(0, change) + to.roster.as_deref().map_or(0, roster);
    ENTRY + to.except.len() * ID + lists
}

/// A push.
pub(crate) fn push(item: &PushItem) -> usize {
    let to = match &item.to {
        To::Sessions(sessions) => sessions.len() * ID,
        To::Users { users, except } => (users.len() + except.len()) * ID,
        To::Device(..) => 2 * ID,
        To::Group(to) => group(to),
    };
    let body = match &item.body {
        PushBody::Answers { answers, .. } => answers.len() * ENTRY,
        PushBody::Deliver(delivery) => delivery.messages.iter().map(message).sum(),
        PushBody::Signal(signal) => ENTRY + signal.body.len(),
        PushBody::Receipts(receipts) => receipts.len() * ENTRY,
        PushBody::Advanced(of) => of.len() * ENTRY,
        PushBody::Synced(answer) => {
            let views = answer.views.iter();
            views.map(|view| 2 * ENTRY + view.messages.iter().map(message).sum::<usize>()).sum()
        }
        PushBody::Poke | PushBody::Close { .. } => 0,
    };
    AROUND + to + body
}

/// A row that was placed.
pub(crate) fn row(row: &PlacedRow) -> usize {
    message(&row.message) + AROUND + row.change.as_deref().map_or(0, change)
}

/// What a record led to.
pub(crate) fn placed(batch: &PlacedBatch) -> usize {
    AROUND + batch.outcomes.len() * ENTRY + batch.rows.iter().map(row).sum::<usize>()
}
