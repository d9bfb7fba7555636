//! Placing in groups, and what is done to earlier messages. Ann owns the group, Bob is an admin, Eve a member.

use whimbrel_core::{Audience, ConversationId, MessageKind, Refusal, Role, Seq, Standing, UserId};
use whimbrel_store::Entry;

use super::now_ms;
use super::tests::{House, house, refused, seqs};
use crate::testing::{ANN, BOB, EVE, about, delivered, draft, of_kind, said};

fn group() -> (House, ConversationId) {
    let (house, group) = (house(), ConversationId::generate());
    house.shelf.found(group, &[(ANN, Role::Owner), (BOB, Role::Admin), (EVE, Role::Member)]);
    (house, group)
}

fn one(group: ConversationId, sender: UserId, text: &str) -> Vec<Entry> {
    vec![said(group, sender, &[draft(text)])]
}

fn member(muted_until: u64) -> Standing {
    Standing { role: Role::Member, muted_until, sees_from: Seq(1) }
}

/// Rows of a group count on, say nothing of whose they are (each member's row does), and go to the roster of their place.
#[tokio::test]
async fn members_speak_and_strangers_do_not() {
    let (mut house, group) = group();
    let entries = [one(group, ANN, "a"), one(group, EVE, "b"), one(group, UserId(99), "c")].concat();
    let placed = house.place(entries).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![2, 3], vec![Refusal::NotMember]));
    let audiences: Vec<Audience> = placed.batches[0].rows.iter().map(|row| row.audience).collect();
    assert_eq!(audiences, [Audience::Group { revision: Seq(1), size: 3 }; 2]);
    let state = house.shelf.state.lock();
    let rows: Vec<_> = state.rows.values().skip(1).map(|row| (row.n, row.own, row.in_group)).collect();
    assert_eq!(rows, [(1, 0, true), (2, 0, true)]);
}

/// The archiver remembers the time before the removal; the removal is a row, so that it collides.
#[tokio::test]
async fn who_was_removed_is_refused_by_an_archiver_that_has_not_heard_of_it() {
    let (mut house, group) = group();
    house.place(one(group, EVE, "a")).await;
    house.shelf.change_group(group, |group| assert!(group.members.remove(&EVE).is_some()));
    let placed = house.place([one(group, EVE, "b"), one(group, BOB, "c")].concat()).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![4], vec![Refusal::NotMember]));
    assert_eq!(house.shelf.bodies(group), ["{}", "a", "{}", "c"]);
}

/// A refusal places nothing that could collide: none is made from what is remembered.
#[tokio::test]
async fn a_remembered_mute_refuses_nobody() {
    let (mut house, group) = group();
    house.shelf.change_group(group, |group| assert!(group.members.insert(EVE, member(u64::MAX)).is_some()));
    assert_eq!(refused(&house.place(one(group, EVE, "a")).await), [Refusal::Muted]);
    house.shelf.change_group(group, |group| assert!(group.members.insert(EVE, member(0)).is_some()));
    assert_eq!(seqs(&house.place(one(group, EVE, "b")).await), [4]);
}

/// Time passes without a row: no collision says so, and none is needed.
#[tokio::test]
async fn a_mute_runs_out_by_itself() {
    let (mut house, group) = group();
    house.shelf.change_group(group, |group| group.rules.muted_until = u64::MAX);
    let all = [one(group, EVE, "a"), one(group, BOB, "b")].concat();
    let placed = house.place(all).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![3], vec![Refusal::Muted]), "admins speak");
    let until = now_ms() + 40;
    house.shelf.change_group(group, |group| group.rules.muted_until = until);
    assert_eq!(refused(&house.place(one(group, EVE, "c")).await), [Refusal::Muted]);
    while now_ms() < until {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(seqs(&house.place(one(group, EVE, "d")).await), [5]);
}

/// Who is muted takes their own back and nothing else; what was dissolved is over for all.
#[tokio::test]
async fn who_is_muted_may_still_take_their_own_back() {
    let (mut house, group) = group();
    house.place([one(group, EVE, "a"), one(group, ANN, "b")].concat()).await;
    house.shelf.change_group(group, |group| assert!(group.members.insert(EVE, member(u64::MAX)).is_some()));
    let drafts =
        [about(MessageKind::RECALL, 2, ""), about(MessageKind::RECALL, 3, ""), about(MessageKind::REACTION, 3, "x")];
    let placed = house.place(vec![said(group, EVE, &drafts)]).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![5], vec![Refusal::Muted; 2]));
    house.shelf.change_group(group, |group| group.rules.dissolved = true);
    assert_eq!(refused(&house.place(one(group, ANN, "c")).await), [Refusal::ReadOnly]);
}

/// A thousand who speak at once in one group cost one question, and none when they speak again.
#[tokio::test]
async fn the_standings_of_a_thousand_senders_are_read_at_once_and_remembered() {
    let (mut house, group) = (house(), ConversationId::generate());
    let crowd: Vec<(UserId, Role)> = (1..=1000).map(|user| (UserId(user), Role::Member)).collect();
    house.shelf.found(group, &crowd);
    let entries = || crowd.iter().flat_map(|(user, _)| one(group, *user, "a")).collect::<Vec<_>>();
    assert_eq!(seqs(&house.place(entries()).await).len(), 1000);
    let reads = |house: &House| {
        let state = house.shelf.state.lock();
        (state.head_reads, state.standing_reads, state.target_reads, state.commits)
    };
    assert_eq!(reads(&house), (1, 1, 0, 1));
    assert_eq!(seqs(&house.place(entries()).await).len(), 1000);
    assert_eq!(reads(&house), (1, 1, 0, 2), "nothing is read again");
    house.shelf.change_group(group, |_| ());
    assert_eq!(seqs(&house.place(entries()).await).len(), 1000);
    assert_eq!(reads(&house), (2, 2, 0, 4), "a change is a row: both are read again");
}

#[tokio::test]
async fn only_owner_and_admins_call_everybody_and_in_direct_conversations_nobody() {
    let (mut house, group) = group();
    let chat = house.chat;
    let call = |conversation, sender| said(conversation, sender, &[of_kind(MessageKind::CALL, "all")]);
    let placed = house.place(vec![call(group, ANN), call(group, BOB), call(group, EVE), call(chat, ANN)]).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![2, 3], vec![Refusal::NotAllowed; 2]));
}

/// Own messages within the time; others' at any time, by owner and admins.
#[tokio::test]
async fn messages_are_taken_back_by_their_authors_in_time_and_by_admins_at_any() {
    let (mut house, group) = group();
    house.placer.recall_within = 1000;
    house
        .place([one(group, EVE, "a"), one(group, EVE, "b"), one(group, EVE, "c"), one(group, BOB, "d")].concat())
        .await;
    let recall = |seq| vec![about(MessageKind::RECALL, seq, "")];
    assert_eq!(seqs(&house.place(vec![said(group, EVE, &recall(2))]).await), [6]);
    house.shelf.state.lock().rows.values_mut().for_each(|row| row.message.at = 1);
    let late = [recall(3), recall(5)].concat();
    assert_eq!(refused(&house.place(vec![said(group, EVE, &late)]).await), [Refusal::TooLate, Refusal::NotYours]);
    assert_eq!(refused(&house.place(vec![said(group, BOB, &recall(5))]).await), [Refusal::TooLate], "their own");
    assert_eq!(seqs(&house.place(vec![said(group, BOB, &recall(3))]).await), [7]);
    assert_eq!(house.shelf.bodies(group)[1..5], ["", "", "c", "d"]);
}

/// Between two people nobody is an admin.
#[tokio::test]
async fn in_direct_conversations_nobody_takes_back_what_the_other_said() {
    let mut house = house();
    let chat = house.chat;
    house.place(one(chat, BOB, "a")).await;
    let recall = [about(MessageKind::RECALL, 1, "")];
    assert_eq!(refused(&house.place(vec![said(chat, ANN, &recall)]).await), [Refusal::NotYours]);
    assert_eq!(seqs(&house.place(vec![said(chat, BOB, &recall)]).await), [2]);
}

/// In one batch and across: what was taken back is not edited, reacted to, or taken back again.
#[tokio::test]
async fn nothing_is_done_to_what_was_taken_back() {
    for together in [true, false] {
        let (mut house, group) = group();
        house.place(one(group, EVE, "a")).await;
        let mut entries = vec![
            said(group, EVE, &[about(MessageKind::EDIT, 2, "b"), about(MessageKind::RECALL, 2, "")]),
            said(group, EVE, &[about(MessageKind::EDIT, 2, "c"), about(MessageKind::RECALL, 2, "")]),
            said(group, BOB, &[about(MessageKind::REACTION, 2, "x")]),
        ];
        let mut refusals = Vec::new();
        if !together {
            let later = entries.split_off(1);
            assert_eq!(seqs(&house.place(std::mem::replace(&mut entries, later)).await), [3, 4]);
        }
        refusals.extend(refused(&house.place(entries).await));
        assert_eq!(refusals, [Refusal::Recalled; 3], "together: {together}");
        assert_eq!(house.shelf.state.lock().rows.len(), 4);
    }
}

/// A rival archiver took it back; the one that does not know of it collides and looks again.
#[tokio::test]
async fn an_edit_loses_against_a_recall_that_another_archiver_placed() {
    let (mut house, group) = group();
    house.place(one(group, EVE, "a")).await;
    let recall = [delivered(vec![said(group, EVE, &[about(MessageKind::RECALL, 2, "")])])];
    house.rival().place(&recall).await.expect("answers");
    let placed = house.place(vec![said(group, EVE, &[about(MessageKind::EDIT, 2, "b")])]).await;
    assert_eq!(refused(&placed), [Refusal::Recalled]);
}

/// The edit was placed and its answer lost; the message is gone meanwhile. "It will not be placed" would be a lie.
#[tokio::test]
async fn a_retry_of_an_edit_is_answered_with_its_seq_after_the_recall() {
    let (mut house, group) = group();
    house.place(one(group, EVE, "a")).await;
    let edit = [about(MessageKind::EDIT, 2, "b")];
    house.place(vec![said(group, EVE, &edit)]).await;
    house.place(vec![said(group, EVE, &[about(MessageKind::RECALL, 2, "")])]).await;
    assert_eq!(seqs(&house.place(vec![said(group, EVE, &edit)]).await), [3]);
}

/// Who may do what to which kind.
#[tokio::test]
async fn follow_ups_fit_their_targets_or_are_refused() {
    let (mut house, group) = group();
    let kinds = [MessageKind::TEXT, MessageKind::STREAM, MessageKind::FLEETING, MessageKind::MERGED];
    house.place(vec![said(group, EVE, &kinds.map(|kind| of_kind(kind, "a")))]).await;
    let [text, stream, fleeting, merged] = [2, 3, 4, 5];
    house.place(vec![said(group, BOB, &[about(MessageKind::REACTION, text, "x")])]).await;
    let reaction = 6;
    use MessageKind as K;
    use Refusal::{NoTarget, NotYours};
    let cases = [
        (EVE, K::EDIT, text, None),
        (BOB, K::EDIT, text, Some(NotYours)),
        (EVE, K::EDIT, stream, Some(NoTarget)),
        (EVE, K::EDIT, fleeting, Some(NoTarget)),
        (EVE, K::EDIT, merged, Some(NoTarget)),
        (EVE, K::APPEND, stream, None),
        (EVE, K::FINISH, stream, None),
        (EVE, K::APPEND, text, Some(NoTarget)),
        (BOB, K::APPEND, stream, Some(NotYours)),
        (BOB, K::VANISH, text, Some(NoTarget)),
        (BOB, K::REACTION, merged, None),
        (BOB, K::REACTION, reaction, Some(NoTarget)),
        (BOB, K::REACTION, 1, Some(NoTarget)),
        (BOB, K::REACTION, 77, Some(NoTarget)),
        (BOB, K::VANISH, fleeting, None),
        (BOB, K::REACTION, fleeting, Some(Refusal::Recalled)),
    ];
    for (sender, kind, seq, why) in cases {
        let placed = house.place(vec![said(group, sender, &[about(kind, seq, "y")])]).await;
        assert_eq!(refused(&placed), why.into_iter().collect::<Vec<_>>(), "{sender} {kind:?} {seq}");
    }
}

/// A stream ends with its finish: by one batch and across, and for an archiver that has not heard of it. What was placed
/// before keeps its answer.
#[tokio::test]
async fn nothing_is_added_to_a_stream_that_is_finished() {
    use MessageKind as K;
    for together in [true, false] {
        let (mut house, group) = group();
        house.place(vec![said(group, EVE, &[of_kind(K::STREAM, "a")])]).await;
        let first = about(K::APPEND, 2, "b");
        let entries = vec![
            said(group, EVE, &[first.clone(), about(K::FINISH, 2, "abc")]),
            said(group, EVE, &[about(K::APPEND, 2, "d"), about(K::FINISH, 2, "abcd"), first]),
            said(group, BOB, &[about(K::APPEND, 2, "e"), about(K::REACTION, 2, "+")]),
        ];
        let (mut places, mut refusals) = (Vec::new(), Vec::new());
        let batches = if together { vec![entries] } else { entries.into_iter().map(|entry| vec![entry]).collect() };
        for batch in batches {
            let placed = house.place(batch).await;
            places.extend(seqs(&placed));
            refusals.extend(refused(&placed));
        }
        assert_eq!(refusals, [Refusal::Finished, Refusal::Finished, Refusal::NotYours], "together: {together}");
        places.sort_unstable();
        assert_eq!(places, [3, 3, 4, 5], "together: {together}");
    }
    let (mut house, group) = group();
    house.place(vec![said(group, EVE, &[of_kind(K::STREAM, "a"), about(K::APPEND, 2, "b")])]).await;
    let finish = [delivered(vec![said(group, EVE, &[about(K::FINISH, 2, "ab")])])];
    house.rival().place(&finish).await.expect("answers");
    let placed = house.place(vec![said(group, EVE, &[about(K::APPEND, 2, "c")])]).await;
    assert_eq!(refused(&placed), [Refusal::Finished]);
}

/// Neither its author nor anybody else adds to what was taken back.
#[tokio::test]
async fn nothing_is_added_to_a_stream_that_was_taken_back() {
    use MessageKind as K;
    let (mut house, group) = group();
    house.place(vec![said(group, EVE, &[of_kind(K::STREAM, "a"), about(K::APPEND, 2, "b")])]).await;
    house.place(vec![said(group, EVE, &[about(K::RECALL, 2, "")])]).await;
    for (sender, kind) in [(EVE, K::APPEND), (EVE, K::FINISH), (BOB, K::APPEND), (BOB, K::FINISH)] {
        let placed = house.place(vec![said(group, sender, &[about(kind, 2, "c")])]).await;
        assert_eq!(refused(&placed), [Refusal::Recalled], "{sender} {kind:?}");
    }
    assert_eq!(house.shelf.state.lock().rows.len(), 4);
}

/// Eve came with the third row and sees nothing that was said before it.
#[tokio::test]
async fn nothing_is_done_to_what_one_does_not_see() {
    let (mut house, group) = group();
    house.place([one(group, ANN, "before"), one(group, ANN, "after")].concat()).await;
    house.shelf.change_group(group, |group| {
        group.members.insert(EVE, Standing { sees_from: Seq(3), ..member(0) });
    });
    let react = |seq| vec![said(group, EVE, &[about(MessageKind::REACTION, seq, "+")])];
    assert_eq!(refused(&house.place(react(2)).await), [Refusal::NoTarget]);
    assert_eq!(seqs(&house.place(react(3)).await), [5]);
}
