//! The application's calls, and what is remembered to answer them.

use std::collections::VecDeque;

use hashbrown::HashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use whimbrel_core::{ConversationId, Message, MessageId, Seq};

use super::{Command, Driver, End, UploadChange};
use crate::content::{Content, Outgoing};
use crate::engine::{Engine, Sendable};
use crate::error::Error;
use crate::event::Outcome;

/// Calls that are taken before the next commit.
const COMMANDS_AT_ONCE: usize = 256;
/// Sends that wait for a key.
const PARKED_MAX: usize = 256;
/// Outcomes that are remembered for who asks late.
const REMEMBERED: usize = 4096;

/// Whether a send may wait for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Yes, and the key has to be asked for.
    Asking,
    /// Yes; it was asked for.
    Asked,
    /// It will not come.
    No,
}

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Who waits for what.
#[derive(Default)]
pub(super) struct Calls {
    /// All handles are gone; events may still be listened to.
    pub(super) deserted: bool,
    /// Drafts that are answered with their id once they are committed.
    drafted: Vec<(Reply<MessageId>, MessageId)>,
    read: Vec<Reply<()>>,
    waiting: HashMap<MessageId, Vec<Reply<Outcome>>>,
    asked: Vec<(ConversationId, MessageId, Reply<Outcome>)>,
    durable: Vec<(ConversationId, Seq, oneshot::Sender<()>)>,
    /// What is to be put before runs.
    pub(super) older: Vec<(ConversationId, Vec<Message>, Reply<()>)>,
    parked: Vec<(ConversationId, Outgoing, Reply<MessageId>)>,
    recent: HashMap<MessageId, Outcome>,
    recent_order: VecDeque<MessageId>,
}

impl Calls {
    /// A batch is committed: answers everybody whom it concerns.
    pub(super) fn committed(&mut self, outcomes: Vec<(MessageId, Outcome)>, engine: &Engine) {
        for (reply, id) in self.drafted.drain(..) {
            let _ = reply.send(Ok(id));
        }
        for reply in self.read.drain(..) {
            let _ = reply.send(Ok(()));
        }
        for (id, outcome) in outcomes {
            for reply in self.waiting.remove(&id).unwrap_or_default() {
                let _ = reply.send(Ok(outcome));
            }
            self.remember(id, outcome);
        }
        for (conversation, upto, reply) in std::mem::take(&mut self.durable) {
            if engine.is_read_durable(conversation, upto) {
                let _ = reply.send(());
            } else if !reply.is_closed() {
                self.durable.push((conversation, upto, reply));
            }
        }
    }

    fn remember(&mut self, id: MessageId, outcome: Outcome) {
        if self.recent_order.len() >= REMEMBERED
            && let Some(oldest) = self.recent_order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        self.recent_order.push_back(id);
        self.recent.insert(id, outcome);
    }
}

impl Driver {
    /// Takes a call; `None`: all handles are gone.
    pub(super) fn command(&mut self, command: Option<Command>) -> Result<(), End> {
        let now = Instant::now();
        match command {
            None if self.emitter.is_unheard() => return Err(End::Application),
            None => self.calls.deserted = true,
            Some(Command::Close) => return Err(End::Application),
            Some(Command::Send { conversation, outgoing, reply }) => {
                self.send(conversation, outgoing, reply, Wait::Asking)
            }
            Some(Command::Sent { conversation, message_id, reply }) => self.sent(conversation, message_id, reply),
            Some(Command::MarkRead { conversation, upto, reply }) => {
                if self.engine.mark_read(conversation, upto, now) {
                    self.calls.read.push(reply);
                } else {
                    let _ = reply.send(Err(Error::UnknownConversation(conversation)));
                }
            }
            Some(Command::Advanced { conversation, upto, reply }) => {
                self.calls.durable.push((conversation, upto, reply));
            }
            Some(Command::Typing { conversation, typing }) => self.engine.typing(conversation, typing, now),
            Some(Command::Signal { conversation, data, reply }) => {
                let fits = self.engine.signal(conversation, data);
                let _ = reply.send(if fits { Ok(()) } else { Err(Error::NotSendable) });
            }
            Some(Command::Watch { users, reply }) => {
                self.engine.watch(users);
                let _ = reply.send(());
            }
            Some(Command::Setting { setting, reply }) => {
                self.engine.learn_setting(setting, now);
                // With the commit, as what was read.
                self.calls.read.push(reply);
            }
            Some(Command::Older { conversation, messages, reply }) => {
                self.calls.older.push((conversation, messages, reply));
            }
            Some(Command::Upload { change, reply }) => {
                match change {
                    UploadChange::Begins(row) => self.engine.upload_begins(*row),
                    UploadChange::Ends(file) => self.engine.upload_ends(file),
                }
                // With the commit, as what was read.
                self.calls.read.push(reply);
            }
            Some(Command::OutboxLen { reply }) => {
                let _ = reply.send(self.engine.outbox().len());
            }
        }
        Ok(())
    }

    /// Takes the calls that wait, so that they share a commit and a write.
    pub(super) fn drain_commands(&mut self) -> Result<(), End> {
        for _ in 0..COMMANDS_AT_ONCE {
            match self.commands.try_recv() {
                Ok(command) => self.command(Some(command))?,
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) if self.calls.deserted => break,
                Err(mpsc::error::TryRecvError::Disconnected) => self.command(None)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, conversation: ConversationId, outgoing: Outgoing, reply: Reply<MessageId>, wait: Wait) {
        let file = match &outgoing.content {
            Content::Attachment(attachment) => Some(attachment.file),
            _ => None,
        };
        match self.engine.send(conversation, outgoing) {
            Ok(Sendable::Drafted(id)) => {
                if let Some(file) = file {
                    // In one commit with the draft: the message of a file leaves once.
                    self.engine.upload_ends(file);
                }
                self.calls.drafted.push((reply, id));
            }
            Ok(Sendable::Waits(outgoing)) if wait != Wait::No && self.calls.parked.len() < PARKED_MAX => {
                if wait == Wait::Asking {
                    self.engine.want_key(conversation);
                }
                self.calls.parked.push((conversation, *outgoing, reply));
            }
            Ok(Sendable::Waits(_)) => {
                let _ = reply.send(Err(Error::NoKey(conversation)));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// A key may have come: tries again what waits for one, and gives up what waits in vain.
    pub(super) fn unpark(&mut self) {
        // What was asked for when it was parked is still on its way, and not asked for again: that would never end.
        let wait = if self.engine.may_learn_key() { Wait::Asked } else { Wait::No };
        for (conversation, outgoing, reply) in std::mem::take(&mut self.calls.parked) {
            if reply.is_closed() {
                continue;
            }
            self.send(conversation, outgoing, reply, wait);
        }
    }

    fn sent(&mut self, conversation: ConversationId, id: MessageId, reply: Reply<Outcome>) {
        if let Some(outcome) = self.calls.recent.get(&id) {
            let _ = reply.send(Ok(*outcome));
        } else if self.engine.outbox().contains(conversation, id) {
            let waiting = self.calls.waiting.entry(id).or_default();
            waiting.retain(|reply| !reply.is_closed());
            waiting.push(reply);
        } else {
            self.calls.asked.push((conversation, id, reply));
        }
    }

    /// Answers who asked about what only the store knows.
    pub(super) async fn look_up(&mut self) {
        for (conversation, id, reply) in std::mem::take(&mut self.calls.asked) {
            // It may have been answered by the batch that was just committed.
            let answer = match self.calls.recent.get(&id) {
                Some(outcome) => Ok(*outcome),
                None => match self.store.find_message(conversation, id).await {
                    Ok(Some(message)) => Ok(Outcome::Sent { seq: message.seq, at: message.at }),
                    Ok(None) => Err(Error::UnknownMessage),
                    Err(error) => Err(error.into()),
                },
            };
            let _ = reply.send(answer);
        }
    }
}
