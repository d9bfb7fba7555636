//! The judgement of groups: each device shows exactly what its user may see, in order, nothing from before they came and
//! nothing from after they went; and what was done to members is there once.

use std::collections::{BTreeSet, HashMap};

use whimbrel_client::{ConversationId, MessageId, Seq, UserId};

use super::super::groups::Group;
use super::super::groups::chronicle::{Chronicle, Range};
use super::super::groups::stewards::Done;
use super::super::ledger::{Book, Said, Seen};
use super::{Faults, Kind, Notes, Reference, Timeline};

/// A device's views of all groups that its user was ever in, and of those that it should never have heard of.
pub(super) fn check_views(
    who: &str,
    book: &Book,
    is_fresh: bool,
    groups: &[Group],
    reference: &Reference,
    notes: &mut Notes,
    faults: &mut Faults,
) {
    for Group { conversation, history, .. } in groups {
        let view = book.seen.get(conversation).map_or(&[][..], Vec::as_slice);
        let (none, nobody) = (Timeline::default(), Chronicle::default());
        let timeline = reference.timelines.get(conversation).unwrap_or(&none);
        let chronicle = reference.chronicles.get(conversation).unwrap_or(&nobody);
        let ranges = chronicle.ranges(book.user, *history, timeline.head());
        let passed_over = check_view(who, *conversation, view, timeline, &ranges, faults);
        if !is_fresh {
            notes.passed_over += passed_over;
        }
        for row in view {
            let is_older = is_older(book, row, chronicle);
            match row.said {
                Said::Sealed if is_older => notes.sealed += usize::from(is_fresh),
                // Where REST is away a device shows at last what it cannot open yet; what it has in the end is looked at
                // with the pictures.
                Said::Sealed if !is_fresh => {}
                Said::Sealed | Said::Garbled => {
                    let Seen { seq, message_id, .. } = row;
                    let where_ = format!("in {conversation} at {seq}, message {message_id}, for {who}");
                    faults.add(Kind::Wrong, format!("not to be opened: {where_}"));
                }
                _ => {}
            }
        }
    }
}

/// One application's view of a group: rows of these ranges, each once, in order, the same as the reference, and all of
/// them; but of a range that is followed by another the end may be missing. Gives how many rows are missing so.
fn check_view(
    who: &str,
    conversation: ConversationId,
    view: &[Seen],
    reference: &Timeline,
    ranges: &[Range],
    faults: &mut Faults,
) -> usize {
    let mut places: HashMap<MessageId, Seq> = HashMap::new();
    let mut shown: BTreeSet<Seq> = BTreeSet::new();
    for Seen { seq, message_id, .. } in view {
        let where_ = format!("in {conversation} at {seq}, message {message_id}, for {who}");
        if let Some(before) = places.insert(*message_id, *seq) {
            faults.add(Kind::Doubled, format!("shown before at {before}: {where_}"));
        } else if shown.contains(seq) {
            faults.add(Kind::Reordered, format!("shown at a place that another had: {where_}"));
        } else if shown.last().is_some_and(|last| last > seq) {
            faults.add(Kind::Reordered, format!("shown after later ones: {where_}"));
        }
        shown.insert(*seq);
        if !ranges.iter().any(|range| range.holds(*seq)) {
            let when = match ranges.first() {
                Some(first) if *seq >= first.since => "had left",
                _ => "was not there yet",
            };
            faults.add(Kind::Wrong, format!("shown to somebody who {when}: {where_}"));
        }
        match reference.places.get(message_id) {
            None => faults.add(Kind::Lost, format!("shown, and gone for a fresh device: {where_}")),
            Some(place) if place != seq => {
                faults.add(Kind::Reordered, format!("a fresh device has it at {place}: {where_}"));
            }
            Some(_) => {}
        }
    }
    let mut passed_over = 0;
    for (index, range) in ranges.iter().enumerate() {
        let is_last = index + 1 == ranges.len();
        let end = shown.range(range.since..=range.until).next_back().copied().unwrap_or_default();
        for seq in (range.since.0..=range.until.0).map(Seq).filter(|seq| !shown.contains(seq)) {
            if !is_last && seq > end {
                passed_over += 1;
                continue;
            }
            let id = reference.at(seq).map_or("unknown".to_owned(), |seen| seen.message_id.to_string());
            faults.add(Kind::Lost, format!("never shown: in {conversation} at {seq}, message {id}, for {who}"));
        }
    }
    passed_over
}

/// Whether a row was sealed with a key from before this user came, which they never get.
fn is_older(book: &Book, row: &Seen, chronicle: &Chronicle) -> bool {
    let stays = chronicle.stays(book.user);
    let stay = stays.iter().rev().find(|stay| stay.since <= row.seq).or(stays.first());
    stay.is_some_and(|stay| row.key_version < stay.key_from)
}

/// What the stewards did to a group's members stands in its rows: all of it, each once, in order, and nothing else.
pub(in crate::prove) fn check_deeds(group: &Group, done: &Done, reference: &Reference, faults: &mut Faults) {
    let conversation = group.conversation;
    for failure in &done.failures {
        faults.add(Kind::Wrong, failure.clone());
    }
    let empty = Chronicle::default();
    let chronicle = reference.chronicles.get(&conversation).unwrap_or(&empty);
    // All that were added in the beginning came before the first deed.
    let beginning = group.members.saturating_sub(1);
    let rows = chronicle.changes.get(beginning..).unwrap_or_default();
    let words = |(came, user): &(bool, UserId)| format!("user {user} {}", if *came { "came" } else { "went" });
    let mut rows = rows.iter().peekable();
    for deed in &done.changes {
        match rows.next() {
            None => faults.add(Kind::Lost, format!("no row tells of it in {conversation}: {}", words(deed))),
            Some(row) if row != deed => {
                let what = format!("in {conversation} a row tells that {}, and next was: {}", words(row), words(deed));
                // The rest does not fit either.
                return faults.add(Kind::Wrong, what);
            }
            Some(row) => {
                while rows.next_if_eq(&row).is_some() {
                    faults.add(Kind::Doubled, format!("told twice in {conversation}: {}", words(row)));
                }
            }
        }
    }
    // The last deed may have been under way, and been given up, when its steward ended.
    if done.failures.is_empty() {
        for row in rows {
            faults.add(Kind::Wrong, format!("nobody did it, and a row tells of it in {conversation}: {}", words(row)));
        }
    }
}

#[cfg(test)]
mod tests;
