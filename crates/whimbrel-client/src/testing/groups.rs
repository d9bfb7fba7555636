//! Groups and settings, as far as the SDK's tests need them: everybody may do everything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use whimbrel_core::{ConversationId, Cursors, MessageKind, Role, Seq, Span, UserId};
use whimbrel_wire::seal::ConversationKey;

use super::http::{Answer, text};
use super::state::{Timeline, private_of};
use super::{State, system_row};
use crate::relation::RelationKey;

pub(super) struct FakeGroup {
    name: String,
    owner: UserId,
    revision: Seq,
    pub(super) keys: Vec<RelationKey>,
    members: Vec<FakeMember>,
}

struct FakeMember {
    user: UserId,
    role: Role,
    /// The versions of the key that they get, of each of their times.
    keys: Vec<(u32, u32)>,
}

#[derive(Default, Clone)]
pub(super) struct FakeSetting {
    pinned_at: u64,
    muted_until: u64,
    archived: bool,
    draft: (u32, String),
    cleared: Seq,
    hidden: Seq,
    changed_at: u64,
}

impl State {
    pub(super) fn create_group(&mut self, name: &str, owner: UserId, members: &[UserId]) -> ConversationId {
        let id = ConversationId::generate();
        let mut timeline = Timeline::of(Vec::new());
        timeline.is_group = true;
        self.conversations.insert(id, timeline);
        let group = FakeGroup { name: name.into(), owner, revision: Seq::ZERO, keys: Vec::new(), members: Vec::new() };
        self.groups.insert(id, group);
        self.add_group_key(id);
        let all: Vec<UserId> = std::iter::once(owner).chain(members.iter().copied()).collect();
        self.let_in(id, &all);
        self.group_row(id, owner, "created", &all);
        id
    }

    pub(super) fn join_group(&mut self, id: ConversationId, user: UserId, by: UserId) {
        self.let_in(id, &[user]);
        self.group_row(id, by, "joined", &[user]);
    }

    pub(super) fn leave_group(&mut self, id: ConversationId, user: UserId, by: UserId) {
        let Some(timeline) = self.conversations.get_mut(&id) else { return };
        let until = timeline.head().next();
        if let Some(span) = timeline.spans.get_mut(&user) {
            span.until = until;
        }
        if let Some(group) = self.groups.get_mut(&id) {
            let newest = group.keys.len() as u32;
            let member = group.members.iter_mut().find(|member| member.user == user);
            if let Some((_, last)) = member.and_then(|member| member.keys.last_mut()) {
                *last = newest;
            }
        }
        self.add_group_key(id);
        self.group_row(id, by, if user == by { "left" } else { "removed" }, &[user]);
    }

    fn let_in(&mut self, id: ConversationId, users: &[UserId]) {
        let (Some(timeline), Some(group)) = (self.conversations.get_mut(&id), self.groups.get_mut(&id)) else { return };
        let since = timeline.head().next();
        for user in users {
            timeline.members.retain(|member| member != user);
            timeline.members.push(*user);
            if let Some(over) = timeline.spans.insert(*user, Span { since, until: Seq::ZERO }) {
                timeline.earlier.entry(*user).or_default().push(over);
            }
            let before = Seq(since.0 - 1);
            timeline.cursors.insert(*user, Cursors { delivered: before, read: before });
            let before = group.members.iter().position(|member| member.user == *user);
            let mut keys = before.map_or_else(Vec::new, |at| group.members.swap_remove(at).keys);
            keys.push((group.keys.len() as u32, u32::MAX));
            let role = if *user == group.owner { Role::Owner } else { Role::Member };
            group.members.push(FakeMember { user: *user, role, keys });
        }
    }

    fn add_group_key(&mut self, id: ConversationId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let version = group.keys.len() as u32 + 1;
        group.keys.push(RelationKey { version, key: ConversationKey::from_bytes(rand::random()) });
    }

    /// The row of the group, and those of the private conversations of whom it concerns.
    pub(super) fn group_row(&mut self, id: ConversationId, by: UserId, what: &str, users: &[UserId]) {
        let numbers: Vec<u64> = users.iter().map(|user| user.0).collect();
        let body = json!({ "what": what, "by": by.0, "users": numbers });
        let row = self.place(id, by, None, system_row(MessageKind::GROUP, body.to_string()));
        if let Some(group) = self.groups.get_mut(&id) {
            group.revision = row.seq;
        }
        self.deliver(&row);
        for user in users {
            let row = system_row(MessageKind::MEMBERSHIP, json!({ "group": id.to_string() }).to_string());
            let message = self.place(private_of(*user), *user, None, row);
            self.deliver(&message);
        }
    }
}

fn parse(id: &str) -> Result<ConversationId, (u16, &'static str)> {
    id.parse().map_err(|_| (404, "not_found"))
}

fn users(body: &Value) -> Vec<UserId> {
    let one = body["user"].as_u64().into_iter();
    let many = body["users"].as_array().into_iter().chain(body["members"].as_array()).flatten();
    one.chain(many.filter_map(Value::as_u64)).map(UserId).collect()
}

fn after<T: std::str::FromStr>(query: &str) -> Option<T> {
    query.split('&').find_map(|part| part.strip_prefix("after=")?.parse().ok())
}

fn limit(query: &str) -> usize {
    query.split('&').find_map(|part| part.strip_prefix("limit=")?.parse().ok()).unwrap_or(100)
}

pub(super) fn route(state: &mut State, caller: UserId, request: (&str, &[&str], &str), body: &Value) -> Answer {
    match request {
        ("POST", ["groups"], _) => {
            let id = state.create_group(text(body, "name"), caller, &users(body));
            group(state, id)
        }
        ("GET", ["groups", id], _) => {
            state.counts.groups += 1;
            membership(state, parse(id)?, caller)
        }
        ("GET", ["groups", id, "keys"], query) => {
            keys(state, parse(id)?, caller, after(query).unwrap_or(0), limit(query))
        }
        ("PATCH", ["groups", id], _) => {
            let id = parse(id)?;
            let known = state.groups.get_mut(&id).ok_or((404, "no_such_group"))?;
            text(body, "name").clone_into(&mut known.name);
            state.group_row(id, caller, "settings", &[]);
            group(state, id)
        }
        ("POST", ["groups", id, action], _) => act(state, parse(id)?, caller, action, body),
        ("GET", ["conversations", id, "messages"], query) => super::history::messages(state, parse(id)?, caller, query),
        ("GET", ["conversations", id, "follow_ups"], query) => {
            super::history::follow_ups(state, parse(id)?, caller, query)
        }
        ("GET", ["conversations", "settings"], query) => settings(state, caller, after(query), limit(query)),
        ("PUT", ["conversations", id, "settings"], _) => change_setting(state, caller, parse(id)?, body),
        _ => Err((404, "not_found")),
    }
}

fn act(state: &mut State, id: ConversationId, caller: UserId, action: &str, body: &Value) -> Answer {
    match action {
        "join" => state.join_group(id, caller, caller),
        "leave" => state.leave_group(id, caller, caller),
        "invite" => users(body).into_iter().for_each(|user| state.join_group(id, user, caller)),
        "remove" => users(body).into_iter().for_each(|user| state.leave_group(id, user, caller)),
        _ => return Err((404, "not_found")),
    }
    group(state, id)
}

fn group(state: &State, id: ConversationId) -> Answer {
    let (known, timeline) = (state.groups.get(&id), state.conversations.get(&id));
    let (known, timeline) = known.zip(timeline).ok_or((404, "no_such_group"))?;
    Ok(json!({
        "id": id.to_string(), "handle": null, "name": known.name, "avatar": "", "announcement": "",
        "owner": known.owner.0, "join": "invitation", "listed": false, "history_for_all": false, "member_limit": 100,
        "size": known.members.iter().filter(|member| timeline.has_now(member.user)).count(), "muted_until": 0,
        "revision": known.revision.0, "key_version": known.keys.len(), "created_at": 1, "dissolved_at": null,
    }))
}

fn membership(state: &State, id: ConversationId, user: UserId) -> Answer {
    let group = group(state, id)?;
    let known = state.groups.get(&id).and_then(|known| known.members.iter().find(|member| member.user == user));
    let span = state.conversations.get(&id).and_then(|timeline| timeline.spans.get(&user));
    Ok(json!({
        "group": group,
        "role": known.map(|member| member.role.name()),
        "muted_until": 0,
        "until": span.map_or(0, |span| span.until.0),
    }))
}

fn keys(state: &State, id: ConversationId, user: UserId, after: u32, limit: usize) -> Answer {
    let known = state.groups.get(&id).ok_or((404, "no_such_group"))?;
    let member = known.members.iter().find(|member| member.user == user).ok_or((403, "forbidden"))?;
    let is_theirs = |version| member.keys.iter().any(|(from, to)| (*from..=*to).contains(&version));
    let given = known.keys.iter().filter(|key| is_theirs(key.version) && key.version > after);
    let page: Vec<_> = given.take(limit).collect();
    let next = page.last().filter(|_| page.len() == limit).map(|key| key.version);
    let keys = page.iter().map(|key| json!({ "version": key.version, "key": STANDARD.encode(key.key.expose()) }));
    Ok(json!({ "keys": keys.collect::<Vec<_>>(), "next": next }))
}

fn setting(id: ConversationId, known: &FakeSetting) -> Value {
    json!({
        "conversation_id": id.to_string(), "pinned_at": known.pinned_at, "muted_until": known.muted_until,
        "archived": known.archived, "draft_key_version": known.draft.0, "draft": known.draft.1,
        "cleared": known.cleared.0, "hidden": known.hidden.0, "changed_at": known.changed_at,
    })
}

fn settings(state: &State, caller: UserId, after: Option<ConversationId>, limit: usize) -> Answer {
    let mine = state.settings.iter().filter(|((user, id), _)| *user == caller && after.is_none_or(|after| *id > after));
    let page: Vec<Value> = mine.take(limit).map(|((_, id), known)| setting(*id, known)).collect();
    let next = page.last().filter(|_| page.len() == limit).map(|last| last["conversation_id"].clone());
    Ok(json!({ "settings": page, "next": next }))
}

fn change_setting(state: &mut State, caller: UserId, id: ConversationId, body: &Value) -> Answer {
    let timeline = state.conversations.get_mut(&id).ok_or((404, "no_such_conversation"))?;
    let mut known = state.settings.get(&(caller, id)).cloned().unwrap_or_default();
    known.changed_at = 1_700_000_000_000 + timeline.head().0;
    if let Some(pinned) = body["pinned"].as_bool() {
        known.pinned_at = if pinned { known.changed_at } else { 0 };
    }
    known.muted_until = body["muted_until"].as_u64().unwrap_or(known.muted_until);
    known.archived = body["archived"].as_bool().unwrap_or(known.archived);
    if let Some(draft) = body.get("draft") {
        known.draft = (draft["key_version"].as_u64().unwrap_or(0) as u32, text(draft, "body").to_owned());
    }
    let deletes = body["delete"].as_bool() == Some(true);
    if deletes || body["clear"].as_bool() == Some(true) {
        known.cleared = timeline.head();
        timeline.cleared.insert(caller, known.cleared);
        timeline.cursors.insert(caller, Cursors { delivered: known.cleared, read: known.cleared });
    }
    if deletes {
        known.hidden = timeline.head();
    }
    let answer = setting(id, &known);
    state.settings.insert((caller, id), known);
    let row = system_row(MessageKind::SETTING, json!({ "conversation": id.to_string() }).to_string());
    let message = state.place(private_of(caller), caller, None, row);
    state.deliver(&message);
    Ok(answer)
}
