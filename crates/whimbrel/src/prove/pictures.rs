//! What a person sees in the end: what a device that was there live makes of a conversation equals what a device makes of
//! it that got everything at once, with its edits, reactions, streams, and what was taken back.
//!
//! Compared over what both may have: in a group from when the user came the last time.

use std::collections::BTreeSet;
use std::sync::Arc;

use whimbrel_client::{Client, ConversationId, MESSAGES_MAX, Pictured, Seq, UserId};

use super::clients::Handle;
use super::groups::Group;
use super::groups::chronicle::Stay;
use super::settle::{Conversations, Pair};
use super::verdict::{Faults, Kind, Reference, Timeline};

/// Differences that are named for each device and conversation.
const NAMED: usize = 3;

/// Compares every live device's pictures with those of its user's fresh device. Gives how many messages were compared.
pub(super) async fn compare(
    live: &[Arc<Handle>],
    fresh: &[Arc<Handle>],
    all: Conversations<'_>,
    reference: &Reference,
    faults: &mut Faults,
) -> usize {
    let mut compared = 0;
    for handle in fresh {
        let user = handle.book().user;
        let Some(client) = handle.client() else { continue };
        let devices: Vec<_> = live.iter().filter(|handle| handle.book().user == user).cloned().collect();
        let pairs = all.pairs.iter().filter(|pair| pair.users.contains(&user));
        let groups = all.groups.iter().filter_map(|group| in_group(group, user, reference));
        for (conversation, after, excused) in pairs.map(of_pair).chain(groups) {
            let seen = match seen(&client, conversation, after).await {
                Ok(seen) => seen,
                Err(error) => {
                    faults.add(Kind::Wrong, format!("a fresh device of user {user} has no picture: {error}"));
                    continue;
                }
            };
            for device in &devices {
                compared += seen.len();
                let who = format!("device {} of user {user} in {conversation}", device.book().index);
                let Some(client) = device.client() else { continue };
                match self::seen(&client, conversation, after).await {
                    Ok(own) => judge(&who, &own, &seen, &excused, faults),
                    Err(error) => faults.add(Kind::Wrong, format!("{who} has no picture: {error}")),
                }
            }
        }
    }
    compared
}

type Where = (ConversationId, Seq, BTreeSet<Seq>);

fn of_pair(pair: &Pair) -> Where {
    (pair.conversation, Seq::ZERO, BTreeSet::new())
}

/// From which row on, and without which messages.
fn in_group(group: &Group, user: UserId, reference: &Reference) -> Option<Where> {
    let conversation = group.conversation;
    let stay = reference.chronicles.get(&conversation)?.last_stay(user)?;
    let after = if group.history { Seq::ZERO } else { Seq(stay.since.0 - 1) };
    Some((conversation, after, excused(reference.timelines.get(&conversation)?, stay)))
}

/// Messages of which a user's devices may see different things: those that only one who was there before can open, and
/// those that were taken back after the user had gone. Of the latter the server has nothing left for a fresh device, and
/// nobody tells one that has them.
fn excused(timeline: &Timeline, stay: Stay) -> BTreeSet<Seq> {
    let older = timeline.rows().filter(|row| row.kind.is_submittable() && row.key_version < stay.key_from);
    let older = older.map(|row| row.target.unwrap_or(row.seq));
    let later = timeline.rows().filter(|row| stay.until != Seq::ZERO && row.seq > stay.until);
    older.chain(later.filter(|row| row.kind.takes_back()).filter_map(|row| row.target)).collect()
}

/// All that a person sees after a place.
async fn seen(
    client: &Client,
    conversation: ConversationId,
    after: Seq,
) -> Result<Vec<Pictured>, whimbrel_client::Error> {
    let (mut all, mut after) = (Vec::new(), after);
    loop {
        let page = client.picture(conversation, after, MESSAGES_MAX).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.seq;
        all.extend(page);
    }
}

/// Names what is not the same.
fn judge(who: &str, live: &[Pictured], fresh: &[Pictured], excused: &BTreeSet<Seq>, faults: &mut Faults) {
    let wanted = |items: &[Pictured]| -> Vec<Pictured> {
        items.iter().filter(|item| !excused.contains(&item.seq)).cloned().collect()
    };
    let (live, fresh) = (wanted(live), wanted(fresh));
    let mut wrong = Vec::new();
    let (mut left, mut right) = (live.iter().peekable(), fresh.iter().peekable());
    while let Some(next) = [left.peek(), right.peek()].into_iter().flatten().map(|item| item.seq).min() {
        let (own, should) = (left.next_if(|item| item.seq == next), right.next_if(|item| item.seq == next));
        match (own, should) {
            (Some(own), Some(should)) if own == should => {}
            (Some(own), Some(should)) => wrong.push(format!("{next} is {} and should be {}", told(own), told(should))),
            (Some(_), None) => wrong.push(format!("{next} is seen, and not on a fresh device")),
            _ => wrong.push(format!("{next} is not seen, but on a fresh device")),
        }
    }
    if wrong.len() > NAMED {
        let more = wrong.len() - NAMED;
        wrong.truncate(NAMED);
        wrong.push(format!("and {more} more"));
    }
    wrong.into_iter().for_each(|what| faults.add(Kind::Wrong, format!("the picture of {who}: {what}")));
}

/// What may differ of a message, in a few words.
fn told(item: &Pictured) -> String {
    let words: String = item.content.line().chars().take(40).collect();
    let reactions: Vec<_> = item.reactions.iter().map(|reacted| (&reacted.emoji, &reacted.users)).collect();
    let Pictured { edits, grows, gone, .. } = item;
    format!("({words:?}, {} edits, {reactions:?}, grows: {grows}, gone: {gone:?})", edits.len())
}

#[cfg(test)]
mod tests {
    use whimbrel_client::{Content, DeviceId, Gone, MessageId, MessageKind, Reacted};

    use super::super::ledger::{Said, Seen};
    use super::*;

    fn item(seq: u64) -> Pictured {
        Pictured {
            conversation: ConversationId::from_bytes([1; 16]),
            seq: Seq(seq),
            sender: UserId(1),
            device: DeviceId::from_bytes([2; 16]),
            message_id: MessageId::from_bytes([3; 16]),
            kind: MessageKind::TEXT,
            at: 0,
            content: Content::Text("a".to_owned()),
            quote: None,
            mentions: Vec::new(),
            origin: None,
            edits: Vec::new(),
            reactions: Vec::new(),
            grows: false,
            gone: None,
        }
    }

    fn faults(live: &[Pictured], excused: &[u64]) -> Vec<String> {
        let (fresh, mut faults) = ([item(1), item(2), item(3)], Faults::default());
        judge("somebody", live, &fresh, &excused.iter().map(|seq| Seq(*seq)).collect(), &mut faults);
        faults.all().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_picture_is_the_same_and_whatever_differs_is_named() {
        assert!(faults(&[item(1), item(2), item(3)], &[]).is_empty());
        let reacted = vec![Reacted { emoji: "👍".to_owned(), users: vec![UserId(4)] }];
        let gone = Some(Gone { by: Some(UserId(1)), at: 5, vanished: false });
        for wrong in [
            Pictured { content: Content::Text("b".to_owned()), ..item(2) },
            Pictured { reactions: reacted, ..item(2) },
            Pictured { grows: true, ..item(2) },
            Pictured { gone, content: Content::Gone, ..item(2) },
        ] {
            let found = faults(&[item(1), wrong.clone(), item(3)], &[]);
            assert!(found.len() == 1 && found[0].contains("2 is"), "{found:?}");
            assert!(
                faults(&[item(1), wrong, item(3)], &[2]).is_empty(),
                "only those who were there before can open it"
            );
        }
        assert!(faults(&[item(1), item(3)], &[])[0].contains("2 is not seen"));
        assert!(faults(&[item(1), item(2), item(3), item(4)], &[])[0].contains("4 is seen"));
    }

    /// 2 is sealed with the first key, 4 is an edit of 3 sealed so; 5 takes 1 back before the user goes with 6, and 7
    /// takes 3 back afterwards.
    #[test]
    fn what_a_newcomer_cannot_open_and_what_was_taken_back_after_one_went_is_excused() {
        let row = |seq: u64, kind, key_version, target: Option<u64>| Seen {
            seq: Seq(seq),
            message_id: MessageId::generate(),
            sender: UserId(1),
            device: DeviceId::from_bytes([2; 16]),
            kind,
            key_version,
            target: target.map(Seq),
            at: 0,
            said: Said::Nothing,
        };
        let timeline = Timeline::new(&[
            row(1, MessageKind::TEXT, 2, None),
            row(2, MessageKind::TEXT, 1, None),
            row(3, MessageKind::TEXT, 2, None),
            row(4, MessageKind::EDIT, 1, Some(3)),
            row(5, MessageKind::RECALL, 2, Some(1)),
            row(6, MessageKind::GROUP, 0, None),
            row(7, MessageKind::RECALL, 2, Some(3)),
        ]);
        let of = |key_from, until| {
            let stay = Stay { since: Seq(1), until: Seq(until), times: (0, 0), key_from };
            excused(&timeline, stay).into_iter().map(|seq| seq.0).collect::<Vec<_>>()
        };
        assert_eq!((of(1, 0), of(2, 0), of(1, 6), of(1, 4)), (vec![], vec![2, 3], vec![3], vec![1, 3]));
    }

    #[test]
    fn many_differences_are_counted() {
        let wrong: Vec<_> = (10..20).map(item).collect();
        let found = faults(&wrong, &[]);
        assert_eq!((found.len(), found[NAMED].contains("and 10 more")), (NAMED + 1, true));
    }
}
