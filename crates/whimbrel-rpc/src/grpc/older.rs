//! Neighbours that speak one number less: what is said to them in words that they know.
//!
//! Protocol 1 knows no groups, no signals, no presence and no refusal beyond [`Refusal::Unplaceable`]. To such a connector a group's
//! rows go by user, groups are left out of a sync's answer (its clients have them once they are on a connector that
//! knows them), and signals are left out; such a transfer is told nothing of groups, and
//! not asked for presence. So processes of a cluster can be
//! renewed in any order; groups work where all who are asked know them, and are best created once everything is renewed.

use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;
use whimbrel_core::{ConversationId, ConversationKind, Outcome, Refusal, Roster};

use crate::convert::pb;
use crate::convert::pb::telling::What;
use crate::{PushBody, PushItem, Request, RequestBody, To};

/// Who speaks less than this knows no groups.
const GROUPS: u32 = 2;
/// Users named in one push.
const USERS_AT_ONCE: usize = 1000;

/// Whether somebody who speaks this has to be spoken to in older words.
pub(super) const fn is_older(protocol: u32) -> bool {
    protocol < GROUPS
}

/// What a client asked for that an older transfer would not know.
pub(super) fn knows(request: &Request) -> bool {
    !matches!(request.body, RequestBody::Signal { .. })
}

/// Pushes for an older connector, and the groups that it cannot be told of without a roster.
pub(super) fn pushes(items: Vec<PushItem>) -> (Vec<PushItem>, Vec<ConversationId>) {
    let (mut known, mut unrostered) = (Vec::with_capacity(items.len()), Vec::new());
    // A roster comes with the first push that needs it.
    let mut rosters: HashMap<ConversationId, Arc<Roster>> = HashMap::new();
    for PushItem { to, mut body } in items {
        match &mut body {
            PushBody::Signal(_) => continue,
            PushBody::Answers { answers, .. } => {
                answers.iter_mut().for_each(|(_, outcome)| *outcome = outcome_known(*outcome));
            }
            PushBody::Synced(answer) => answer.views.retain(|view| view.kind != ConversationKind::Group),
            _ => {}
        }
        let To::Group(group) = to else {
            known.push(PushItem { to, body });
            continue;
        };
        if let Some(roster) = group.roster {
            rosters.insert(group.group, roster);
        }
        let Some(roster) = rosters.get(&group.group).filter(|roster| roster.revision >= group.revision) else {
            unrostered.push(group.group);
            continue;
        };
        let users: Vec<_> = roster.audience(group.seq).collect();
        known.extend(users.chunks(USERS_AT_ONCE).map(|users| PushItem {
            to: To::Users { users: SmallVec::from_slice(users), except: group.except.clone() },
            body: body.clone(),
        }));
    }
    unrostered.dedup();
    (known, unrostered)
}

fn outcome_known(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Refused(why) => Outcome::Refused(refusal_known(why)),
        known => known,
    }
}

/// All that came later say that this message will not be placed, and so does this.
fn refusal_known(why: Refusal) -> Refusal {
    if why.number() > Refusal::Unplaceable.number() { Refusal::BadKind } else { why }
}

/// News for an older transfer.
pub(super) fn news(what: &mut What) {
    let What::Placed(placed) = what else {
        if let What::Advanced(advanced) = what {
            advanced.moved.retain(|moved| !is_of_group(&moved.audience));
        }
        return;
    };
    for batch in &mut placed.batches {
        batch.rows.retain(|row| !is_of_group(&row.audience));
        for outcome in batch.outcomes.iter_mut().filter_map(|draft| draft.outcome.as_mut()) {
            if let Some(pb::outcome::What::Refused(number)) = &mut outcome.what
                && let Some(why) = Refusal::from_number(*number)
            {
                *number = refusal_known(why).number();
            }
        }
    }
}

fn is_of_group(audience: &Option<pb::Audience>) -> bool {
    audience.as_ref().is_some_and(|audience| audience.group.is_some())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use whimbrel_core::{Delivery, DeviceId, MessageId, Seq, SessionId, Signal, Span, UserId};

    use super::*;
    use crate::ToGroup;

    const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

    fn group(roster: Option<Roster>) -> PushItem {
        let to = ToGroup {
            group: CHAT,
            seq: Seq(5),
            revision: Seq(4),
            except: SmallVec::from_iter([SessionId::from_bytes([1; 16])]),
            change: None,
            roster: roster.map(Arc::new),
        };
        let body = PushBody::Deliver(Arc::new(Delivery { conversation: CHAT, messages: Vec::new() }));
        PushItem { to: To::Group(Box::new(to)), body }
    }

    #[test]
    fn an_older_connector_gets_a_groups_rows_by_user_once_somebody_says_who_they_are() {
        let (known, unrostered) = pushes(vec![group(None)]);
        assert!(known.is_empty() && unrostered == [CHAT]);
        let span = |since, until| Span { since: Seq(since), until: Seq(until) };
        let members =
            vec![(UserId(1), span(1, 0)), (UserId(2), span(1, 4)), (UserId(3), span(4, 0)), (UserId(4), span(6, 0))];
        let (known, unrostered) = pushes(vec![group(Some(Roster::new(Seq(6), members))), group(None)]);
        assert_eq!((known.len(), unrostered.len()), (2, 0), "what came with the first is there for the second");
        let To::Users { users, except } = &known[0].to else { panic!("{known:?}") };
        assert_eq!((&users[..], except.len()), (&[UserId(1), UserId(3)][..], 1));
    }

    #[test]
    fn an_older_connector_gets_no_signals_and_no_words_that_it_does_not_know() {
        let session = SessionId::from_bytes([1; 16]);
        let device = DeviceId::from_bytes([2; 16]);
        let signal = Signal { conversation: CHAT, user: UserId(1), device, body: Bytes::new() };
        let outcomes = [Refusal::Muted, Refusal::Blocked].map(|why| (MessageId::generate(), Outcome::Refused(why)));
        let answers = PushBody::Answers { conversation: CHAT, answers: outcomes.to_vec() };
        let items = [PushBody::Signal(Arc::new(signal)), answers, PushBody::Poke];
        let (known, _) = pushes(items.into_iter().map(|body| PushItem { to: session.into(), body }).collect());
        assert_eq!(known.len(), 2);
        let PushBody::Answers { answers, .. } = &known[0].body else { panic!("{known:?}") };
        let told: Vec<Outcome> = answers.iter().map(|(_, outcome)| *outcome).collect();
        assert_eq!(told, [Outcome::Refused(Refusal::BadKind), Outcome::Refused(Refusal::Blocked)]);
    }
}
