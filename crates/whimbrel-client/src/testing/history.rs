//! Pages of history, as the server gives them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use whimbrel_core::{ConversationId, Message, Seq, UserId};

use super::http::Answer;
use super::state::State;

fn number(query: &str, name: &str) -> Option<u64> {
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Those that follow each other from the first on; a page does not reach over what its reader did not see.
fn run<'a>(page: impl Iterator<Item = &'a Message>) -> Vec<&'a Message> {
    let mut run: Vec<&Message> = Vec::new();
    for message in page {
        if run.last().is_some_and(|last| last.seq.0.abs_diff(message.seq.0) != 1) {
            break;
        }
        run.push(message);
    }
    run
}

fn words(state: &State, message: &Message) -> Value {
    // An answer that was under way when the message was taken back.
    let is_stale = state.stale_history && message.body.is_empty();
    let body = if is_stale { STANDARD.encode("stale") } else { STANDARD.encode(&message.body) };
    json!({
        "seq": message.seq.0, "sender": message.sender.0, "device_id": message.device.to_string(),
        "message_id": message.message_id.to_string(), "kind": message.kind.0, "key_version": message.key_version,
        "at": message.at, "body": body,
    })
}

pub(super) fn messages(state: &mut State, id: ConversationId, user: UserId, query: &str) -> Answer {
    state.counts.pages += 1;
    let seen = state.seen(id, user).ok_or((404, "no_such_conversation"))?;
    let (first, last) = (seen.first().map_or(1, |first| first.seq.0), seen.last().map_or(0, |last| last.seq.0));
    let limit = number(query, "limit").unwrap_or(100) as usize;
    let before = number(query, "before").unwrap_or(u64::MAX);
    let page: Vec<&Message> = if let Some(after) = number(query, "after") {
        run(seen.iter().filter(|message| message.seq.0 > after).take(limit))
    } else if let Some(at) = number(query, "at") {
        run(seen.iter().filter(|message| message.at >= at).take(limit))
    } else {
        let mut below = run(seen.iter().rev().filter(|message| message.seq.0 < before).take(limit));
        below.reverse();
        below
    };
    let older = page.first().map(|oldest| oldest.seq.0).filter(|oldest| *oldest > first);
    let newer = page.last().map(|newest| newest.seq.0).filter(|newest| *newest < last);
    let messages: Vec<Value> = page.iter().map(|message| words(state, message)).collect();
    Ok(json!({"messages": messages, "first": first, "last": last, "older": older, "newer": newer}))
}

/// Two at a time, so that there are pages.
pub(super) fn follow_ups(state: &State, id: ConversationId, user: UserId, query: &str) -> Answer {
    let seen = state.seen(id, user).ok_or((404, "no_such_conversation"))?;
    let range = number(query, "from").unwrap_or(0)..=number(query, "upto").unwrap_or(0);
    let about = |message: &Message| Some((message.kind.target(&message.body)?, message.seq));
    let mut found: Vec<_> = seen.iter().filter_map(|message| Some((about(message)?, message))).collect();
    found.retain(|((target, _), _)| range.contains(&target.0));
    found.sort_by_key(|(key, _)| *key);
    let after = query.split('&').find_map(|part| part.strip_prefix("after=")?.split_once('.'));
    let after = after.and_then(|(target, seq)| Some((Seq(target.parse().ok()?), Seq(seq.parse().ok()?))));
    found.retain(|(key, _)| after.is_none_or(|after| *key > after));
    let next = found.get(1).filter(|_| found.len() > 2).map(|((target, seq), _)| format!("{target}.{seq}"));
    let messages: Vec<Value> = found.iter().take(2).map(|(_, message)| words(state, message)).collect();
    Ok(json!({"messages": messages, "next": next}))
}
