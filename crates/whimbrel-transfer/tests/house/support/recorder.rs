//! A connector that writes down what each of its sessions is pushed.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_core::{ConversationId, Cursors, GoodbyeCode, Message, MessageId, Outcome, Receipt, SessionId, UserId};
use whimbrel_rpc::{Push, PushBody, PushItem, Taken, To};

use super::PATIENCE;

#[derive(Default)]
pub struct Recorder {
    sessions: Mutex<HashMap<SessionId, Got>>,
    news: Notify,
}

/// What one session was pushed, in order.
#[derive(Default)]
pub struct Got(pub Vec<PushBody>);

impl Got {
    /// The last answer for this draft.
    pub fn answer(&self, id: MessageId) -> Option<Outcome> {
        let answers = self.0.iter().rev().filter_map(|body| match body {
            PushBody::Answers { answers, .. } => answers.iter().rev().find(|(answered, _)| *answered == id),
            _ => None,
        });
        answers.map(|(_, outcome)| *outcome).next()
    }

    /// The messages of a conversation, as they came.
    pub fn messages(&self, conversation: ConversationId) -> Vec<Message> {
        let deliveries = self.0.iter().filter_map(|body| match body {
            PushBody::Deliver(delivery) if delivery.conversation == conversation => Some(&delivery.messages),
            _ => None,
        });
        deliveries.flatten().cloned().collect()
    }

    /// The places that it heard of, answers included, as they came.
    pub fn places(&self, conversation: ConversationId) -> Vec<u64> {
        let mut places = Vec::new();
        for body in &self.0 {
            match body {
                PushBody::Deliver(delivery) if delivery.conversation == conversation => {
                    places.extend(delivery.messages.iter().map(|message| message.seq.0));
                }
                PushBody::Answers { conversation: at, answers } if *at == conversation => {
                    places.extend(answers.iter().filter_map(|(_, outcome)| match outcome {
                        Outcome::Sent { seq, .. } => Some(seq.0),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
        places
    }

    pub fn receipts(&self, user: UserId) -> Vec<Receipt> {
        let receipts = self.0.iter().filter_map(|body| match body {
            PushBody::Receipts(receipts) => Some(receipts),
            _ => None,
        });
        receipts.flatten().filter(|receipt| receipt.user == user).copied().collect()
    }

    /// The cursors that it was told are durable.
    pub fn durable(&self, conversation: ConversationId) -> Vec<Cursors> {
        let advanced = self.0.iter().filter_map(|body| match body {
            PushBody::Advanced(advanced) => Some(advanced),
            _ => None,
        });
        advanced.flatten().filter(|(at, _)| *at == conversation).map(|(_, cursors)| *cursors).collect()
    }

    pub fn closed(&self) -> Option<GoodbyeCode> {
        self.0.iter().find_map(|body| if let PushBody::Close { code, .. } = body { Some(*code) } else { None })
    }
}

impl Recorder {
    /// The connector has this session from now on.
    pub fn open(&self, session: SessionId) {
        self.sessions.lock().entry(session).or_default();
    }

    /// It has it no more, and tells nobody.
    pub fn lose(&self, session: SessionId) {
        self.sessions.lock().remove(&session);
    }

    pub fn look<T>(&self, session: SessionId, look: impl FnOnce(&Got) -> T) -> T {
        look(self.sessions.lock().get(&session).expect("a session of this connector"))
    }

    /// Forgets what it took so far.
    pub fn clear(&self, session: SessionId) {
        self.sessions.lock().insert(session, Got::default());
    }

    /// Waits until what a session was pushed holds this.
    pub async fn wait<T>(&self, session: SessionId, mut look: impl FnMut(&Got) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(found) = self.look(session, &mut look) {
                    return found;
                }
                news.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("it was pushed only {:?}", self.look(session, |got| format!("{:?}", got.0))),
        }
    }
}

#[async_trait]
impl Push for Recorder {
    async fn push(&self, items: Vec<PushItem>) -> Taken {
        let mut taken = Taken::default();
        {
            let mut sessions = self.sessions.lock();
            for PushItem { to, body } in items {
                let To::Sessions(to) = to else { panic!("everybody is known here") };
                for session in to {
                    match sessions.get_mut(&session) {
                        Some(got) => got.0.push(body.clone()),
                        None => taken.unknown.push(session),
                    }
                }
            }
        }
        self.news.notify_waiters();
        taken
    }
}
