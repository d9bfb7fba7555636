//! One thing after the other: messages, friends, lists.

use whimbrel_client::{
    Client, ConversationId, Error, GroupRequest, HistoryAt, Pictured, Relation, RelationState, RequestKind, Seq, UserId,
};

use super::search::search;
use super::{files, groups};
use crate::chat::app::{Effect, Happened, Notice, Person, RelationDeed};

/// Messages that are read when a conversation is opened, and each time that somebody scrolls back beyond them.
const LOADED: u64 = 500;
/// Relations that are looked through for friend requests, and how many one page has.
const RELATIONS_MAX: usize = 5000;
const PAGE: usize = 200;
/// Invitations that are listed.
const INVITATIONS_MAX: usize = 100;

/// Does one thing, and says how it went. Errors become notices: nothing here ends the program.
pub(in crate::chat) async fn perform(client: Client, effect: Effect) -> Option<Happened> {
    match attempt(&client, effect).await {
        Ok(happened) => happened,
        Err(error) => Some(Happened::Notice(Notice::Bad(sentence(&error)))),
    }
}

/// What went wrong, with the reason that is furthest down.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Api(refusal)) => refusal.message.clone(),
        Some(Error::MetadataStays) => {
            let what = "what the camera wrote into the picture, such as the place, cannot be taken out";
            format!("{what}; /send {} sends it with that", super::files::AS_IT_IS)
        }
        Some(Error::NotInGroup(_)) => "you are not in this group any more".to_owned(),
        _ => format!("{error:#}"),
    }
}

async fn attempt(client: &Client, effect: Effect) -> anyhow::Result<Option<Happened>> {
    let followed_up = |conversation, message_id| Some(Happened::FollowedUp { conversation, message_id });
    Ok(match effect {
        Effect::Quit => None,
        Effect::Send { conversation, ticket, what } => Some(match client.send(conversation, what).await {
            Ok(message_id) => Happened::Queued { conversation, ticket, message_id },
            Err(error) => Happened::NotQueued { conversation, ticket, why: sentence(&error.into()) },
        }),
        Effect::Edit(conversation, seq, what) => followed_up(conversation, client.edit(conversation, seq, what).await?),
        Effect::Recall(conversation, seq) => followed_up(conversation, client.recall(conversation, seq).await?),
        Effect::React { conversation, seq, emoji, removed } => {
            let id = match removed {
                false => client.react(conversation, seq, &emoji).await,
                true => client.unreact(conversation, seq, &emoji).await,
            };
            match id {
                Ok(id) => followed_up(conversation, id),
                Err(Error::NotSendable) => bad("a reaction is one emoji, or a few letters"),
                Err(error) => return Err(error.into()),
            }
        }
        Effect::Load(conversation) => Some(Happened::Messages(conversation, newest(client, conversation).await?)),
        Effect::Older(conversation, before) => {
            let older = client.history(conversation, HistoryAt::Before(before), LOADED as usize).await;
            Some(match older {
                Ok(history) => Happened::Older(conversation, before, history),
                Err(error) => Happened::NotOlder(conversation, sentence(&error.into())),
            })
        }
        Effect::Look(conversation, seq) => {
            let found = client.picture(conversation, Seq(seq.0.saturating_sub(1)), 1).await?;
            found.into_iter().find(|item| item.seq == seq).map(Happened::Looked)
        }
        Effect::MarkRead(conversation, upto) => {
            client.mark_read(conversation, upto).await?;
            None
        }
        Effect::Typing(conversation, typing) => {
            client.typing(conversation, typing).await?;
            None
        }
        Effect::RefreshConversations => Some(Happened::Conversations(client.conversations().await?)),
        Effect::RefreshRequests => Some(Happened::Requests(requests(client).await?)),
        Effect::RefreshInvitations => Some(Happened::Invitations(invitations(client).await?)),
        Effect::RefreshPrivacy => Some(Happened::Privacy(client.rest().privacy().await?)),
        Effect::Watch(users) => {
            client.watch_presence(&users).await?;
            None
        }
        Effect::Invisible(invisible) => {
            let told = client.set_invisible(invisible).await?;
            good(match told.invisible {
                true => "your friends see you offline; what you say and read still shows that you are here",
                false => "your friends see when you are here",
            })
        }
        Effect::Names(users) => Some(Happened::People(names(client, users).await)),
        Effect::Add { handle, greeting } => Some(Happened::Notice(add(client, &handle, &greeting).await?)),
        Effect::Relation(user, name, deed) => Some(Happened::Notice(relate(client, user, &name, deed).await?)),
        Effect::Pin(conversation, pin) => {
            client.pin(conversation, pin).await?;
            good(if pin { "pinned on top" } else { "not pinned any more" })
        }
        Effect::Quiet(conversation, quiet) => {
            client.mute(conversation, if quiet { u64::MAX } else { 0 }).await?;
            good(if quiet { "quiet: no alerts from here" } else { "alerts from here again" })
        }
        Effect::SendFile(..) | Effect::SaveFile(..) => {
            // Who waits for it is told of its end alone.
            let told = files::carry(client, effect, &|_| {}, files::Reins::loose()).await;
            Some(Happened::Notice(told))
        }
        Effect::Search(words) => Some(Happened::Sheet(search(client, &words).await?)),
        Effect::ShowFile(file) => Some(files::show(&file)),
        Effect::Files(_) => bad(files::NONE),
        effect => groups::attempt(client, effect).await?,
    })
}

fn good(text: &str) -> Option<Happened> {
    Some(Happened::Notice(Notice::Good(text.to_owned())))
}

fn bad(text: &str) -> Option<Happened> {
    Some(Happened::Notice(Notice::Bad(text.to_owned())))
}

/// The end of the device's run, as it is now.
async fn newest(client: &Client, conversation: ConversationId) -> anyhow::Result<Vec<Pictured>> {
    let rows = client.conversations().await?;
    let last =
        rows.iter().find(|row| row.id == conversation).and_then(|row| row.last.as_ref()).map_or(0, |last| last.seq.0);
    Ok(client.picture(conversation, Seq(last.saturating_sub(LOADED)), LOADED as usize).await?)
}

async fn invitations(client: &Client) -> anyhow::Result<Vec<GroupRequest>> {
    let mut found = client.rest().my_group_requests(None, INVITATIONS_MAX).await?.items;
    found.retain(|request| request.kind == RequestKind::Invited);
    Ok(found)
}

/// What people are called. Those whom the server does not tell of now are left out.
pub(super) async fn names(client: &Client, users: Vec<UserId>) -> Vec<Person> {
    let mut people = Vec::new();
    for user in users {
        if let Ok(profile) = client.rest().user(user).await {
            people.push(groups::person(profile));
        }
    }
    people
}

async fn requests(client: &Client) -> anyhow::Result<Vec<Relation>> {
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..RELATIONS_MAX / PAGE {
        let page = client.rest().relations(after, PAGE).await?;
        after = page.last().map(|relation| relation.peer.id);
        let full = page.len() == PAGE;
        found.extend(page.into_iter().filter(|r| r.state == RelationState::RequestReceived && !r.blocked));
        if !full {
            break;
        }
    }
    Ok(found)
}

async fn add(client: &Client, handle: &str, greeting: &str) -> anyhow::Result<Notice> {
    let rest = client.rest();
    let Some(profile) = rest.find_user(handle).await? else {
        return Ok(Notice::Bad(format!("nobody here is called {handle}")));
    };
    let relation = rest.request_friend(profile.id, greeting).await?;
    Ok(Notice::Good(match relation.state {
        RelationState::Friends => format!("you and {handle} are friends now"),
        _ => format!("asked {handle}"),
    }))
}

async fn relate(client: &Client, user: UserId, name: &str, deed: RelationDeed) -> anyhow::Result<Notice> {
    let rest = client.rest();
    let text = match deed {
        RelationDeed::Accept => {
            rest.accept(user).await?;
            format!("you and {name} are friends now")
        }
        RelationDeed::Decline => {
            rest.decline(user).await?;
            format!("declined {name}")
        }
        RelationDeed::Block => {
            rest.block(user).await?;
            format!("nothing gets through from {name} any more")
        }
        RelationDeed::Unblock => {
            rest.unblock(user).await?;
            format!("{name} is no longer blocked")
        }
        RelationDeed::Remove => {
            rest.remove_friend(user).await?;
            format!("you and {name} are friends no more")
        }
    };
    Ok(Notice::Good(text))
}
