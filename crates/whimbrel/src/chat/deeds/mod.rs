//! What the state asks for, done through the SDK; the results come back as more that happened.
//!
//! Files move beside each other. Of the rest there are two lanes, each one thing after the other: what the SDK does on this device (a text that was entered first is sent
//! first), and what is asked of the server by REST, which may take its time and holds up nothing of the first.

mod files;
mod groups;
mod perform;
mod search;

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use whimbrel_client::Client;

use super::app::{Effect, Happened};
pub(super) use perform::perform;

/// Things to do that may wait in a lane before the keyboard has to.
const WAITING_MAX: usize = 256;
/// How long leaving waits for texts that are not in the outbox yet.
const LEAVING_MAX: Duration = Duration::from_secs(2);

/// Both lanes.
pub(super) struct Deeds {
    here: Lane,
    server: Lane,
    files: files::Moving,
}

struct Lane {
    client: Client,
    waiting: VecDeque<Effect>,
    doing: Option<Pin<Box<dyn Future<Output = Option<Happened>> + Send>>>,
}

impl Deeds {
    pub(super) fn new(client: &Client) -> Self {
        let lane = || Lane { client: client.clone(), waiting: VecDeque::new(), doing: None };
        Self { here: lane(), server: lane(), files: files::Moving::new(client) }
    }

    /// Queues what is to be done.
    pub(super) fn push(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            match effect {
                Effect::Quit => {}
                Effect::Files(act) => self.files.act(act),
                effect if effect.moves_a_file() => self.files.push(effect),
                effect if effect.asks_rest() => self.server.push(effect),
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
            happened = self.files.next() => happened,
        }
    }

    /// Puts what was entered into the outbox, if that is possible soon.
    pub(super) async fn leave(&mut self) {
        self.here.waiting.retain(Effect::says);
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
            Effect::Watch(_) => self.waiting.retain(|waiting| !matches!(waiting, Effect::Watch(_))),
            Effect::Typing(..) => self.waiting.retain(|waiting| !matches!(waiting, Effect::Typing(..))),
            Effect::Load(_)
            | Effect::Look(..)
            | Effect::RefreshConversations
            | Effect::RefreshRequests
            | Effect::RefreshInvitations
            | Effect::RefreshPrivacy
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
