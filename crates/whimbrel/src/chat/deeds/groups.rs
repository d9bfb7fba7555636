//! What is asked of the server about groups.

use anyhow::Context;
use whimbrel_client::{
    Client, ConversationId, Group, GroupAction, GroupSettings, NewGroup, Profile, RequestKind, Role, Seq, UserId,
};

use crate::chat::app::{Effect, Happened, Notice, Person, Sheet};
use crate::chat::command::InGroup;
use crate::chat::now_ms;

/// Members, requests and readers on one sheet; beyond that it says how many more there are.
const LISTED: usize = 200;
const MINUTE_MS: u64 = 60_000;

/// What somebody is called: the display name, or the handle.
pub(super) fn person(profile: Profile) -> Person {
    let Profile { id, handle, display_name, .. } = profile;
    let name = if display_name.is_empty() { handle.clone() } else { display_name };
    Person { id, name, handle }
}

/// `Bob (@bob)`, or `bob`.
fn called(profile: Profile) -> String {
    let Person { name, handle, .. } = person(profile);
    if name == handle { handle } else { format!("{name} (@{handle})") }
}

pub(super) async fn attempt(client: &Client, effect: Effect) -> anyhow::Result<Option<Happened>> {
    Ok(match effect {
        Effect::Members(group) => {
            let page = client.rest().group_members(group, None, LISTED).await;
            // Who is in it no more is told nothing, and needs no telling.
            page.ok().map(|page| Happened::People(page.items.into_iter().map(|member| person(member.user)).collect()))
        }
        Effect::NewGroup { name, handles } => Some(create(client, name, &handles).await?),
        Effect::Join(what) => Some(join(client, &what).await?),
        Effect::Invitation { group, name, accept: true } => {
            client.act_in_group(group, &GroupAction::Join { message: String::new() }).await?;
            Some(Happened::Opens(group, Notice::Good(format!("you are in {name} now"))))
        }
        Effect::Invitation { group, name, accept: false } => {
            client.act_in_group(group, &GroupAction::Decline).await?;
            Some(Happened::Notice(Notice::Good(format!("declined {name}"))))
        }
        Effect::Readers(group, seq) => Some(Happened::Sheet(readers(client, group, seq).await?)),
        Effect::InGroup(group, act) => Some(in_group(client, group, act).await?),
        _ => None,
    })
}

async fn user(client: &Client, handle: &str) -> anyhow::Result<Profile> {
    client.rest().find_user(handle).await?.with_context(|| format!("nobody here is called {handle}"))
}

async fn users(client: &Client, handles: &[String]) -> anyhow::Result<Vec<UserId>> {
    let mut users = Vec::with_capacity(handles.len());
    for handle in handles {
        users.push(user(client, handle).await?.id);
    }
    Ok(users)
}

async fn create(client: &Client, name: String, handles: &[String]) -> anyhow::Result<Happened> {
    let members = users(client, handles).await?;
    let asked = members.len();
    let Group { id, name, size, .. } = client.create_group(&NewGroup::named(name, members)).await?;
    let invited = (asked + 1).saturating_sub(size as usize);
    let rest = if invited > 0 { format!("; {invited} asked in") } else { String::new() };
    Ok(Happened::Opens(id, Notice::Good(format!("{name} is made, with {size} in it{rest}"))))
}

/// By the name of an invitation, the handle of a group, or its id.
async fn join(client: &Client, what: &str) -> anyhow::Result<Happened> {
    let rest = client.rest();
    let asked = rest.my_group_requests(None, LISTED).await?.items;
    let invited = asked.iter().find(|request| {
        request.kind == RequestKind::Invited && request.group_name.to_lowercase() == what.to_lowercase()
    });
    let group = match (invited, what.parse::<ConversationId>()) {
        (Some(request), _) => request.group,
        (None, Ok(id)) => id,
        (None, Err(_)) => {
            let found = rest.find_group(&what.to_lowercase()).await?;
            found.with_context(|| format!("no group here has the handle {what}, and none of that name invites you"))?.id
        }
    };
    let joined = client.act_in_group(group, &GroupAction::Join { message: String::new() }).await?;
    let info = rest.group(group).await?;
    Ok(match info.is_member() {
        true => Happened::Opens(group, Notice::Good(format!("you are in {} now", joined.name))),
        false => Happened::Notice(Notice::Good(format!("asked to be let into {}", joined.name))),
    })
}

async fn in_group(client: &Client, group: ConversationId, act: InGroup) -> anyhow::Result<Happened> {
    let (action, done) = match act {
        InGroup::Members => return Ok(Happened::Sheet(members(client, group).await?)),
        InGroup::Requests => return Ok(Happened::Sheet(requests(client, group).await?)),
        InGroup::Rename(name) => {
            client
                .rest()
                .settle_group(group, &GroupSettings { name: Some(name.clone()), ..Default::default() })
                .await?;
            return Ok(Happened::Notice(Notice::Good(format!("it is called {name} now"))));
        }
        InGroup::Invite(handles) => {
            let users = users(client, &handles).await?;
            (GroupAction::Invite(users), format!("asked {} in", handles.join(", ")))
        }
        InGroup::Leave => (GroupAction::Leave, "you have left".to_owned()),
        InGroup::Dissolve => (GroupAction::Dissolve, "the group is dissolved".to_owned()),
        InGroup::Remove(handle) => {
            (GroupAction::Remove(user(client, &handle).await?.id), format!("{handle} is in it no more"))
        }
        InGroup::Approve(handle) => {
            let (user, handle) = waiting(client, group, handle).await?;
            (GroupAction::Approve(user), format!("said yes to {handle}"))
        }
        InGroup::Reject(handle) => {
            let (user, handle) = waiting(client, group, handle).await?;
            (GroupAction::Reject(user), format!("said no to {handle}"))
        }
        InGroup::Mute(handle, minutes) => {
            let until = if minutes == 0 { 0 } else { now_ms().saturating_add(minutes.saturating_mul(MINUTE_MS)) };
            let done = match minutes {
                0 => format!("{handle} may speak again"),
                _ => format!("{handle} is silent for {minutes} min"),
            };
            (GroupAction::Mute(user(client, &handle).await?.id, until), done)
        }
        InGroup::Role(handle, Role::Owner) => {
            (GroupAction::Transfer(user(client, &handle).await?.id), format!("it is {handle}'s now"))
        }
        InGroup::Role(handle, role) => {
            let user = user(client, &handle).await?.id;
            (GroupAction::SetRole(user, role), format!("{handle} is {} now", role.name()))
        }
    };
    client.act_in_group(group, &action).await?;
    Ok(Happened::Notice(Notice::Good(done)))
}

/// Who is meant of those who wait for an answer.
async fn waiting(client: &Client, group: ConversationId, handle: Option<String>) -> anyhow::Result<(UserId, String)> {
    if let Some(handle) = handle {
        return Ok((user(client, &handle).await?.id, handle));
    }
    let mut waiting = client.rest().group_requests(group, None, LISTED).await?.items;
    waiting.retain(|request| request.kind != RequestKind::Invited);
    match waiting.len() {
        0 => anyhow::bail!("nobody waits for an answer"),
        1 => Ok(waiting.pop().map(|request| (request.user.id, request.user.handle)).context("nobody waits")?),
        count => anyhow::bail!("{count} wait for an answer; whom? /requests lists them"),
    }
}

async fn members(client: &Client, group: ConversationId) -> anyhow::Result<Sheet> {
    let page = client.rest().group_members(group, None, LISTED).await?;
    let (more, now) = (page.next.is_some(), now_ms());
    let mut lines: Vec<_> = page
        .items
        .into_iter()
        .map(|member| {
            let role = if member.role == Role::Member { String::new() } else { format!(" · {}", member.role.name()) };
            let muted = if member.muted_until > now { " · muted" } else { "" };
            format!("{}{role}{muted}", called(member.user))
        })
        .collect();
    if more {
        lines.push("… and more".to_owned());
    }
    let size = client.group(group).map_or(lines.len(), |info| info.group.size as usize);
    Ok(Sheet { title: format!("{size} {}", if size == 1 { "member" } else { "members" }), lines, ..Sheet::default() })
}

async fn requests(client: &Client, group: ConversationId) -> anyhow::Result<Sheet> {
    let page = client.rest().group_requests(group, None, LISTED).await?;
    let line = |request: whimbrel_client::GroupRequest| {
        let what = match request.kind {
            RequestKind::Asked => "wants in",
            RequestKind::Invited => "is asked in, and has not answered",
            RequestKind::Proposed => "was proposed by a member",
        };
        let message = if request.message.is_empty() { String::new() } else { format!(": “{}”", request.message) };
        format!("{} {what}{message}", called(request.user))
    };
    let mut lines: Vec<_> = page.items.into_iter().map(line).collect();
    if lines.is_empty() {
        lines.push("Nobody.".to_owned());
    } else {
        lines.extend([String::new(), "/approve HANDLE or /reject HANDLE answers.".to_owned()]);
    }
    Ok(Sheet { title: "Who wants in".to_owned(), lines, ..Sheet::default() })
}

async fn readers(client: &Client, group: ConversationId, seq: Seq) -> anyhow::Result<Sheet> {
    let by = client.read_by(group, seq, None, LISTED).await?;
    let (read, rest): (Vec<_>, Vec<_>) = by.readers.into_iter().partition(|reader| reader.read >= seq);
    let (has, waits): (Vec<_>, Vec<_>) = rest.into_iter().partition(|reader| reader.delivered >= seq);
    let mut lines = Vec::new();
    for (people, what) in [(read, "✓✓ read"), (has, "✓✓"), (waits, "✓")] {
        lines.extend(people.into_iter().map(|reader| format!("{what:<8} {}", called(reader.user))));
    }
    if by.next.is_some() {
        lines.push("… and more".to_owned());
    }
    Ok(Sheet { title: format!("read by {} of {}", by.read, by.of), lines, ..Sheet::default() })
}
