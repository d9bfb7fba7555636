//! Whatever is said and asked: what is found is what a naive reading finds.

use std::collections::BTreeSet;

use whimbrel_core::{ConversationId, Message, MessageKind, Seq};

use super::{all, commit, page, query};
use crate::conformance::Stores;
use crate::conformance::people::{Dice, Lane, people};
use crate::search::SearchQuery;
use crate::search::texts::bodies;
use crate::search::words::SCOPE_MAX;

const WORDS: [&str; 12] =
    ["owl", "Owls", "today", "今天", "今天天气", "好", "ok", "a", "100%", "🎉", "long-word_with.signs", "hello"];

/// Words of every kind, said in several conversations by everybody; whatever is asked, in pages of whatever size, is what
/// reading everything finds, the newest first, each once.
pub async fn pages_together_are_what_a_naive_reading_finds(stores: &Stores) {
    naive(stores, 11, 10_000, |dice| dice.roll(2) * 5).await;
}

/// The same, with pauses from none to years, clocks that are years apart, and much in little time.
pub async fn pages_are_the_same_however_far_apart_messages_are(stores: &Stores) {
    const PAUSES: [u64; 12] = [0, 0, 0, 0, 1, 1000, 524_288, 1_048_575, 1_048_576, 16_777_216, 268_435_456, 1 << 35];
    naive(stores, 23, 1_790_000_000_000, |dice| PAUSES[dice.roll(12) as usize]).await;
}

/// Says, edits and takes back, with these pauses, beginning at this time, and asks for it.
async fn naive(stores: &Stores, seed: u64, begin: u64, pause: impl Fn(&mut Dice) -> u64) {
    let users = people(&*stores.directory, "user", 4).await;
    let mut lanes = Vec::new();
    for other in &users[1..] {
        lanes.push(Lane::new(&*stores.timeline, &*stores.directory, users[0], *other).await);
    }
    let words = |dice: &mut Dice| {
        let words: Vec<_> = (0..1 + dice.roll(4)).map(|_| WORDS[dice.roll(12) as usize]).collect();
        words.join(if dice.roll(2) == 0 { " " } else { "" })
    };
    let mut dice = Dice::new(seed);
    let mut said: Vec<(Message, String)> = Vec::new();
    // Each conversation by a clock of its own.
    let mut clocks = [begin, begin, begin.saturating_sub(pause(&mut dice))];
    for batch in 0..40 {
        let is_burst = batch % 13 == 7;
        let mut rows = Vec::new();
        for _ in 0..if is_burst { 300 } else { 1 + dice.roll(8) } {
            let (lane, side) = (dice.roll(3) as usize, dice.roll(2) as usize);
            clocks[lane] += if is_burst { 0 } else { pause(&mut dice) };
            let (mut row, text) = (lanes[lane].row(side), words(&mut dice));
            row.message.kind = if dice.roll(4) == 0 { MessageKind::CALL } else { MessageKind::TEXT };
            (row.message.key_version, row.message.body) = (0, bodies::text(&text).into());
            row.message.at = clocks[lane];
            said.push((row.message.clone(), text));
            rows.push(row);
        }
        commit(stores, rows).await;
        // Something is said in other words now, and something not at all.
        let (target, takes_back) = (dice.roll(said.len() as u64) as usize, dice.roll(3) == 0);
        let lane = (0..3).find(|lane| lanes[*lane].conversation == said[target].0.conversation).expect("one of them");
        let text = if takes_back || said[target].1.is_empty() { String::new() } else { words(&mut dice) };
        let mut row = lanes[lane].follow_up(0);
        row.message.kind = if text.is_empty() { MessageKind::RECALL } else { MessageKind::EDIT };
        let plain = if text.is_empty() { Vec::new() } else { bodies::text(&text) };
        let body = [&said[target].0.seq.0.to_be_bytes()[..], &plain].concat();
        (row.message.key_version, row.message.body, row.message.at) = (0, body.into(), clocks[lane]);
        commit(stores, vec![row]).await;
        said[target].1 = text;
    }
    for round in 0..150 {
        let typed: Vec<_> = (0..1 + dice.roll(2)).map(|_| WORDS[dice.roll(12) as usize]).collect();
        let mut query = query(&typed.join(" "));
        query.conversation = (dice.roll(3) == 0).then(|| lanes[dice.roll(3) as usize].conversation);
        query.sender = (dice.roll(3) == 0).then(|| users[dice.roll(4) as usize]);
        query.kinds = if dice.roll(4) == 0 { vec![MessageKind::CALL, MessageKind::IMAGE] } else { Vec::new() };
        if dice.roll(3) == 0 {
            let mut at = || said[dice.roll(said.len() as u64) as usize].0.at + dice.roll(3) - 1;
            (query.since, query.until) = (at(), at());
        }
        let reader = users[dice.roll(4) as usize];
        let is_theirs =
            |conversation| lanes.iter().any(|lane| lane.conversation == conversation && lane.users.contains(&reader));
        let limit = 1 + dice.roll(20) as usize;
        if query.conversation.is_some_and(|conversation| !is_theirs(conversation)) {
            assert_eq!(stores.search.search(reader, &query, None, limit).await.expect("answers"), None);
            continue;
        }
        let expected: BTreeSet<(ConversationId, Seq)> = (said.iter())
            .filter(|(message, text)| {
                is_theirs(message.conversation)
                    && !text.is_empty()
                    && query.conversation.is_none_or(|only| only == message.conversation)
                    && query.is_about(message.sender, message.kind, message.at)
                    && query.terms.iter().all(|term| text.to_lowercase().contains(term))
            })
            .map(|(message, _)| (message.conversation, message.seq))
            .collect();
        let hits = all(stores, reader, &query, limit).await;
        assert!(hits.windows(2).all(|pair| pair[0].at >= pair[1].at), "{round}: the newest first");
        assert!(hits.iter().all(|hit| !hit.snippet.highlights.is_empty()));
        let found: BTreeSet<_> = hits.iter().map(|hit| (hit.conversation, hit.seq)).collect();
        assert_eq!(found.len(), hits.len(), "{round}: each once");
        assert_eq!(found, expected, "{round}: {query:?} for {reader}");
    }
}

/// Of who is in more conversations than an index is told of, the same; their messages are decades apart, and some were placed
/// by a clock that is years ahead.
pub async fn many_conversations_are_searched_as_few_are(stores: &Stores) {
    let users = people(&*stores.directory, "user", SCOPE_MAX + 6).await;
    let mut expected = Vec::new();
    let mut rows = Vec::new();
    for (nth, other) in users[1..].iter().enumerate() {
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], *other).await;
        let ahead = if nth % 10 == 3 { 4_000_000_000_000 } else { 1_750_000_000_000 };
        for at in [1_000_000, 1_700_000_000_000, ahead] {
            let mut row = lane.row(nth % 2);
            row.message.at = at + nth as u64 % 7 * 900_000;
            (row.message.key_version, row.message.body) = (0, bodies::text("an owl again").into());
            expected.push((row.message.at, lane.conversation, row.message.seq));
            rows.push(row);
        }
    }
    commit(stores, rows).await;
    expected.sort_unstable();
    let (first, until) = (1_700_000_900_000, 1_750_001_800_000);
    for (since, until) in [(0, u64::MAX), (first, u64::MAX), (0, until), (first, until), (until, until)] {
        let query = SearchQuery { since, until, ..query("owl") };
        let hits = all(stores, users[0], &query, 9).await;
        assert!(hits.windows(2).all(|pair| pair[0].at >= pair[1].at), "the newest first");
        let mut found: Vec<_> = hits.into_iter().map(|hit| (hit.at, hit.conversation, hit.seq)).collect();
        found.sort_unstable();
        let expected = expected.iter().filter(|(at, _, _)| (since..until).contains(at));
        assert_eq!(found, expected.copied().collect::<Vec<_>>(), "{since} to {until}");
    }
}

/// Others say a word thousands of times, later than anybody whom the reader knows: what the reader sees is on the first page
/// all the same, though they are in many conversations.
pub async fn what_others_say_is_not_in_the_way(stores: &Stores) {
    let users = people(&*stores.directory, "user", SCOPE_MAX + 8).await;
    let (mut rows, mut expected) = (Vec::new(), Vec::new());
    for other in &users[1..SCOPE_MAX + 6] {
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], *other).await;
        let mut row = lane.row(0);
        (row.message.key_version, row.message.body) = (0, bodies::text("an owl").into());
        expected.push(lane.conversation);
        rows.push(row);
    }
    commit(stores, rows).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[SCOPE_MAX + 6], users[SCOPE_MAX + 7]).await;
    for _ in 0..5 {
        let rows = (0..500).map(|_| {
            let mut row = lane.row(1);
            row.message.at += 1_000_000;
            (row.message.key_version, row.message.body) = (0, bodies::text("another owl").into());
            row
        });
        commit(stores, rows.collect()).await;
    }
    let found = page(stores, users[0], &query("owl")).await;
    let mut found: Vec<_> = found.hits.into_iter().map(|hit| hit.conversation).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
