//! A connector that writes down what each of its sessions is pushed.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_core::limits;
use whimbrel_core::{ConversationId, Cursors, GoodbyeCode, Message, MessageId, Outcome, Receipt, SessionId, UserId};
use whimbrel_rpc::{Push, PushBody, PushItem, Rosters, SessionRef, Standing, Taken, To, ToGroup};

use super::PATIENCE;
use super::wrapped::{Gate, take};

pub struct Recorder {
    sessions: Mutex<HashMap<SessionId, Held>>,
    news: Notify,
    /// Closed: pushes wait before they are taken.
    gate: Gate,
    /// So many pushes are lost on the way; of so many only the acknowledgement is.
    pub losing: AtomicUsize,
    pub unacknowledged: AtomicUsize,
    rosters: Rosters,
    /// Pushes for groups: of which row, and whether the roster came with it.
    pub grouped: Mutex<Vec<(u64, bool)>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            news: Notify::default(),
            gate: Gate::default(),
            losing: AtomicUsize::default(),
            unacknowledged: AtomicUsize::default(),
            rosters: Rosters::new(limits::ROSTER_MEMBERS_CACHED),
            grouped: Mutex::default(),
        }
    }
}

/// A session of this connector, for as long as it was not closed.
struct Held {
    standing: Option<Standing>,
    got: Got,
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
    /// As a connector finds them.
    fn members(&self, to: &ToGroup) -> Option<To> {
        self.grouped.lock().push((to.seq.0, to.roster.is_some()));
        if let Some(roster) = &to.roster {
            self.rosters.put(to.group, roster.clone());
        }
        if let Some(change) = &to.change {
            self.rosters.apply(to.group, change);
        }
        let roster = self.rosters.get(to.group, to.revision)?;
        Some(To::Users { users: roster.audience(to.seq).collect(), except: to.except.clone() })
    }

    /// The connector has this session from now on.
    pub fn open(&self, session: SessionRef, since: u64) {
        let held = Held { standing: Some(Standing { session, since }), got: Got::default() };
        self.sessions.lock().entry(session.session).or_insert(held);
    }

    /// It has it no more, and tells nobody.
    pub fn lose(&self, session: SessionId) {
        self.sessions.lock().remove(&session);
    }

    /// The sessions that it has.
    pub fn standing(&self) -> Vec<Standing> {
        self.sessions.lock().values().filter_map(|held| held.standing).collect()
    }

    /// Tells every session to sync.
    pub fn poke(&self) {
        let mut sessions = self.sessions.lock();
        sessions.values_mut().filter(|held| held.standing.is_some()).for_each(|held| held.got.0.push(PushBody::Poke));
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn look<T>(&self, session: SessionId, look: impl FnOnce(&Got) -> T) -> T {
        look(&self.sessions.lock().get(&session).expect("a session of this connector").got)
    }

    /// Forgets what it took so far.
    pub fn clear(&self, session: SessionId) {
        self.sessions.lock().get_mut(&session).expect("a session of this connector").got.0.clear();
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

/// Those of the sessions that are meant; and who is not here.
fn meant(sessions: &HashMap<SessionId, Held>, to: To, unknown: &mut Vec<SessionId>) -> Vec<SessionId> {
    let here = |session: &SessionId| sessions.get(session).is_some_and(|held| held.standing.is_some());
    let all = || sessions.values().filter_map(|held| held.standing).map(|standing| standing.session);
    match to {
        To::Sessions(to) => {
            unknown.extend(to.iter().filter(|session| !here(session)));
            to.into_iter().filter(here).collect()
        }
        To::Users { users, except } => all()
            .filter(|held| users.contains(&held.user) && !except.contains(&held.session))
            .map(|held| held.session)
            .collect(),
        // Those are users by now.
        To::Group(_) => Vec::new(),
        To::Device(user, device) => {
            all().filter(|held| (held.user, held.device) == (user, device)).map(|held| held.session).collect()
        }
    }
}

#[async_trait]
impl Push for Recorder {
    async fn push(&self, items: Vec<PushItem>) -> Taken {
        self.gate.pass().await;
        if take(&self.losing) {
            return Taken { lost: true, ..Taken::default() };
        }
        let (mut unknown, mut unrostered) = (Vec::new(), Vec::new());
        {
            let mut sessions = self.sessions.lock();
            for PushItem { mut to, body } in items {
                if let To::Group(group) = to {
                    match self.members(&group) {
                        Some(users) => to = users,
                        None => {
                            unrostered.push(group.group);
                            continue;
                        }
                    }
                }
                for session in meant(&sessions, to, &mut unknown) {
                    let Some(held) = sessions.get_mut(&session) else { continue };
                    held.got.0.push(body.clone());
                    if matches!(body, PushBody::Close { .. }) {
                        held.standing = None;
                    }
                }
            }
        }
        self.news.notify_waiters();
        Taken { unknown, unrostered, lost: take(&self.unacknowledged) }
    }
}
