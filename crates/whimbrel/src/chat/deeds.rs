//! What the state asks for, done through the SDK; the results come back as more that happened.
//!
//! Two lanes, each one thing after the other: what the SDK does on this device (a text that was entered first is sent
//! first), and what is asked of the server by REST, which may take its time and holds up nothing of the first.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use whimbrel_client::{Client, ConversationId, Error, Relation, RelationState, Seq, StoredMessage, UserId};

use super::app::{Effect, Happened, Notice, RelationDeed};

/// Things to do that may wait in a lane before the keyboard has to.
const WAITING_MAX: usize = 256;
/// How long leaving waits for texts that are not in the outbox yet.
const LEAVING_MAX: Duration = Duration::from_secs(2);
/// Messages that are read from the store when a conversation is opened.
const LOADED: u64 = 500;
/// Relations that are looked through for friend requests, and how many one page has.
const RELATIONS_MAX: usize = 5000;
const PAGE: usize = 200;

/// Both lanes.
pub(super) struct Deeds {
    here: Lane,
    server: Lane,
}

struct Lane {
    client: Client,
    waiting: VecDeque<Effect>,
    doing: Option<Pin<Box<dyn Future<Output = Option<Happened>> + Send>>>,
}

impl Deeds {
    pub(super) fn new(client: &Client) -> Self {
        let lane = || Lane { client: client.clone(), waiting: VecDeque::new(), doing: None };
        Self { here: lane(), server: lane() }
    }

    /// Queues what is to be done.
    pub(super) fn push(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            match effect {
                Effect::Quit => {}
                Effect::RefreshRequests | Effect::Add { .. } | Effect::Relation(..) => self.server.push(effect),
                _ => self.here.push(effect),
            }
        }
    }

    /// Whether the person may ask for more.
    pub(super) fn has_room(&self) -> bool {
        self.here.waiting.len() < WAITING_MAX && self.server.waiting.len() < WAITING_MAX
    }

    /// Works until there is a result. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Happened {
        tokio::select! {
            happened = self.here.next() => happened,
            happened = self.server.next() => happened,
        }
    }

    /// Puts what was entered into the outbox, if that is possible soon.
    pub(super) async fn leave(&mut self) {
        self.here.waiting.retain(|effect| matches!(effect, Effect::Send { .. }));
        let sent = async {
            while self.here.doing.is_some() || !self.here.waiting.is_empty() {
                self.here.next().await;
            }
        };
        // What does not get there in time was shown as waiting.
        let _ = tokio::time::timeout(LEAVING_MAX, sent).await;
    }
}

impl Lane {
    /// What would only be done again, or is outdone by this, is not queued twice.
    fn push(&mut self, effect: Effect) {
        match &effect {
            Effect::MarkRead(conversation, _) => {
                self.waiting.retain(|waiting| !matches!(waiting, Effect::MarkRead(other, _) if other == conversation));
            }
            Effect::Load(_) | Effect::RefreshConversations | Effect::RefreshRequests
                if self.waiting.contains(&effect) =>
            {
                return;
            }
            _ => {}
        }
        self.waiting.push_back(effect);
    }

    async fn next(&mut self) -> Happened {
        loop {
            if let Some(doing) = &mut self.doing {
                let happened = doing.await;
                self.doing = None;
                if let Some(happened) = happened {
                    return happened;
                }
            }
            match self.waiting.pop_front() {
                Some(effect) => self.doing = Some(Box::pin(perform(self.client.clone(), effect))),
                None => std::future::pending().await,
            }
        }
    }
}

/// Does one thing, and says how it went. Errors become notices: nothing here ends the program.
async fn perform(client: Client, effect: Effect) -> Option<Happened> {
    match attempt(&client, effect).await {
        Ok(happened) => happened,
        Err(error) => Some(Happened::Notice(Notice::Bad(sentence(&error)))),
    }
}

/// What went wrong, with the reason that is furthest down.
fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Api(refusal)) => refusal.message.clone(),
        _ => format!("{error:#}"),
    }
}

async fn attempt(client: &Client, effect: Effect) -> anyhow::Result<Option<Happened>> {
    Ok(match effect {
        Effect::Quit => None,
        Effect::Send { conversation, ticket, text } => Some(match client.send_text(conversation, &text).await {
            Ok(message_id) => Happened::Queued { conversation, ticket, message_id },
            Err(error) => Happened::NotQueued { conversation, ticket, why: sentence(&error.into()) },
        }),
        Effect::Load(conversation) => Some(Happened::Messages(conversation, newest(client, conversation).await?)),
        Effect::MarkRead(conversation, upto) => {
            client.mark_read(conversation, upto).await?;
            None
        }
        Effect::RefreshConversations => Some(Happened::Conversations(client.conversations().await?)),
        Effect::RefreshRequests => Some(Happened::Requests(requests(client).await?)),
        Effect::Add { handle, greeting } => Some(Happened::Notice(add(client, &handle, &greeting).await?)),
        Effect::Relation(user, name, deed) => Some(Happened::Notice(relate(client, user, &name, deed).await?)),
    })
}

/// The end of the device's run.
async fn newest(client: &Client, conversation: ConversationId) -> anyhow::Result<Vec<StoredMessage>> {
    let rows = client.conversations().await?;
    let last =
        rows.iter().find(|row| row.id == conversation).and_then(|row| row.last.as_ref()).map_or(0, |last| last.seq.0);
    Ok(client.messages(conversation, Seq(last.saturating_sub(LOADED)), LOADED as usize).await?)
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
