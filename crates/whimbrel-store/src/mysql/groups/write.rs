//! Writes what a change leads to, and tells whom it concerns. What begins and ends with the group's row is written when
//! that has its place ([`Turn`]).

use std::collections::HashSet;

use sqlx::query;
use whimbrel_core::limits::GROUP_ANSWERERS_TOLD;
use whimbrel_core::{ConversationId, ConversationKind, GroupStanding, MessageKind, UserId};

use super::super::directory::many::{repeat, rows};
use super::super::directory::tell::Letter;
use super::super::directory::work::{Stop, Work};
use super::super::directory::{keys, users};
use super::super::text::Text;
use super::super::value::user;
use super::find;
use super::load;
use super::turn::Turn;
use super::value::request_kind;
use crate::Keyring;
use crate::groups::rules::{Effect, Joiner, Request};
use crate::groups::{Group, RequestKind, words};

/// Writes it all. `by`: who acts, nobody (0) for the operator. `before`: the group as it was, nothing of a new one.
pub(super) async fn effect(
    work: &mut Work,
    keyring: &Keyring,
    effect: Effect,
    (by, now): (UserId, u64),
    before: Option<&Group>,
) -> Result<Group, Stop> {
    let group = effect.group;
    let id = group.id;
    settle(work, &group, before.is_none()).await?;
    find::update(work, before, &group).await?;
    if effect.new_key {
        keys::add(work, keyring, id, group.key_version).await?;
    }
    for (user, role) in &effect.roles {
        let set = "UPDATE group_member SET role = ? WHERE conv = ? AND user = ?";
        query(set).bind(*role as u8).bind(&id.as_bytes()[..]).bind(user.0).execute(work.db()).await?;
    }
    if let Some((user, until)) = effect.muted {
        let mute = "UPDATE group_member SET muted_until = ? WHERE conv = ? AND user = ?";
        query(mute).bind(until).bind(&id.as_bytes()[..]).bind(user.0).execute(work.db()).await?;
    }
    let mut concerns = effect.concerns;
    if effect.ends_requests {
        concerns.extend(end_requests(work, id).await?);
    } else {
        answer(work, id, &effect.answered).await?;
    }
    ask(work, id, &effect.asked, now).await?;
    if effect.tells_answerers {
        concerns.extend(load::answerers(work, id, GROUP_ANSWERERS_TOLD).await?);
    }
    if let Some(told) = effect.told {
        let (sender, kind) = (by, MessageKind::GROUP);
        work.letters.push(Letter { conversation: id, sender, kind, body: told.body(by), now });
        work.turns.insert(id, turn(&group, &effect.joined, effect.left, now));
    }
    tell(work, id, concerns, now).await?;
    Ok(group)
}

fn turn(group: &Group, joined: &[Joiner], left: Vec<UserId>, now: u64) -> Turn {
    let Group { revision, size, muted_until, history_for_all, key_version, dissolved_at, .. } = *group;
    Turn {
        before: revision,
        after: GroupStanding { revision, size, muted_until, dissolved: dissolved_at.is_some() },
        joined: joined.iter().map(|joiner| (joiner.user, joiner.role)).collect(),
        returning: joined.iter().filter(|joiner| joiner.returns).map(|joiner| joiner.user).collect(),
        left,
        history_for_all,
        key_from: if history_for_all { 1 } else { key_version },
        key_to: key_version.saturating_sub(1),
        now,
    }
}

/// A new group's conversation.
pub(super) async fn conversation(work: &mut Work, id: ConversationId, now: u64) -> Result<(), Stop> {
    let insert = "INSERT INTO conversation (id, kind, first, created_at) VALUES (?, ?, 0, ?)";
    let insert = query(insert).bind(&id.as_bytes()[..]).bind(ConversationKind::Group as u8).bind(now);
    insert.execute(work.db()).await?;
    Ok(())
}

/// What the group is called and how it works. Its revision and its size come with the row that tells of it.
async fn settle(work: &mut Work, group: &Group, is_new: bool) -> Result<(), Stop> {
    let insert = "INSERT INTO chat_group (handle, name, avatar, announcement, owner, join_mode, listed, history_for_all, \
         member_limit, muted_until, key_version, dissolved_at, keep_age, keep_messages, conv, created_at, size) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)";
    let update = "UPDATE chat_group SET handle = ?, name = ?, avatar = ?, announcement = ?, owner = ?, join_mode = ?, \
         listed = ?, history_for_all = ?, member_limit = ?, muted_until = ?, key_version = ?, dissolved_at = ?, keep_age = ?, \
         keep_messages = ? WHERE conv = ? AND created_at = ?";
    query(if is_new { insert } else { update })
        .bind(group.handle.as_deref())
        .bind(&group.name)
        .bind(&group.avatar)
        .bind(&group.announcement)
        .bind(group.owner.0)
        .bind(group.join as u8)
        .bind(group.listed)
        .bind(group.history_for_all)
        .bind(group.member_limit)
        .bind(group.muted_until)
        .bind(group.key_version)
        .bind(group.dissolved_at)
        .bind(group.keep.age_ms)
        .bind(group.keep.messages)
        .bind(&group.id.as_bytes()[..])
        .bind(group.created_at)
        .execute(work.db())
        .await?;
    Ok(())
}

/// All requests of the group are gone; who is told of it.
async fn end_requests(work: &mut Work, id: ConversationId) -> Result<Vec<UserId>, Stop> {
    let conv = &id.as_bytes()[..];
    let waiting = "SELECT user, kind, by_user FROM group_request WHERE conv = ? ORDER BY user";
    let rows = query(waiting).bind(conv).fetch_all(work.db()).await?;
    let told = rows.iter().map(|row| {
        // Of a proposal the one whom it names was never told.
        user(row, if request_kind(row, 1)? == RequestKind::Proposed { 2 } else { 0 })
    });
    let told = told.collect::<sqlx::Result<_>>()?;
    query("DELETE FROM group_request WHERE conv = ?").bind(conv).execute(work.db()).await?;
    Ok(told)
}

async fn answer(work: &mut Work, id: ConversationId, answered: &[UserId]) -> Result<(), Stop> {
    if answered.is_empty() {
        return Ok(());
    }
    let mut text = Text::new("DELETE FROM group_request WHERE conv=");
    text.bytes(id.as_bytes()).each(answered, " AND user IN (", ",", |text, user| {
        text.number(user.0);
    });
    text.words(")");
    text.run(work.db()).await?;
    Ok(())
}

async fn ask(work: &mut Work, id: ConversationId, asked: &[Request], now: u64) -> Result<(), Stop> {
    for chunk in rows(asked) {
        let text = repeat(
            "INSERT INTO group_request (conv, user, kind, by_user, message, at) VALUES ",
            "(?, ?, ?, ?, ?, ?)",
            ", ",
            chunk.len(),
            " ON DUPLICATE KEY UPDATE kind = VALUES(kind), by_user = VALUES(by_user), message = VALUES(message), \
             at = VALUES(at)",
        );
        let ask = chunk.iter().fold(query(text), |ask, Request { user, kind, by, message }| {
            let ask = ask.bind(&id.as_bytes()[..]).bind(user.0).bind(*kind as u8);
            ask.bind(by.0).bind(message.as_str()).bind(now)
        });
        ask.execute(work.db()).await?;
    }
    Ok(())
}

/// Each once, in their private conversations; who has no account any more is not told.
async fn tell(work: &mut Work, id: ConversationId, mut concerns: Vec<UserId>, now: u64) -> Result<(), Stop> {
    let mut seen = HashSet::new();
    concerns.retain(|user| *user != UserId(0) && seen.insert(*user));
    let private = users::private(work, &concerns).await?;
    for user in concerns {
        if let Some(private) = private.get(&user) {
            let (kind, body) = (MessageKind::MEMBERSHIP, words::membership(id));
            work.letters.push(Letter { conversation: *private, sender: user, kind, body, now });
        }
    }
    Ok(())
}
