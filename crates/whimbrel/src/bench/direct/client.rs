//! One client: a session, what it sends, what it receives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use whimbrel_core::{ConversationId, Cursors, Known, Seq, SyncQuestion, UserId, limits};
use whimbrel_wire::convert::{self, WireId};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use super::super::body;
use super::super::session::Session;
use super::receiving::Receiving;
use super::sending::Sending;
use super::shared::{Level, Shared};

/// A hole that is not filled by what comes is asked for after this.
const HOLE_PATIENCE: Duration = Duration::from_secs(1);

/// What a client is made of, once its conversation is known.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) level: Arc<Level>,
    pub(super) wake: Arc<Notify>,
    pub(super) conversation: ConversationId,
    /// The other's user and its number in this run.
    pub(super) peer: (UserId, u64),
    pub(super) sending: Option<Sending>,
    pub(super) receiving: Receiving,
}

/// A client at work.
pub(super) struct Client {
    session: Session,
    talk: Talk,
}

/// All of a client but its connection.
pub(super) struct Talk {
    shared: Arc<Shared>,
    level: Arc<Level>,
    wake: Arc<Notify>,
    conversation: ConversationId,
    peer: (UserId, u64),
    pub(super) sending: Option<Sending>,
    pub(super) receiving: Receiving,
    /// The other's messages came since the last Advance.
    advance_due: bool,
    /// The last Advance, and how far it was answered.
    said: Seq,
    advanced: Seq,
    /// How far the other is, as far as was heard.
    pub(super) peer_cursors: Cursors,
    sync_due: bool,
    sync_open: bool,
    hole_since: Option<Instant>,
    one_way: Vec<u64>,
    answered: Vec<u64>,
}

impl Client {
    pub(super) fn new(session: Session, parts: Parts) -> Self {
        let Parts { shared, level, wake, conversation, peer, sending, receiving } = parts;
        let talk = Talk {
            shared,
            level,
            wake,
            conversation,
            peer,
            sending,
            receiving,
            advance_due: false,
            said: Seq::ZERO,
            advanced: Seq::ZERO,
            peer_cursors: Cursors::default(),
            sync_due: false,
            sync_open: false,
            hole_since: None,
            one_way: Vec::new(),
            answered: Vec::new(),
        };
        Self { session, talk }
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// When the session ends before that.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Talk> {
        let mut ticks = interval(self.session.idle_every().min(HOLE_PATIENCE));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wake = self.talk.wake.clone();
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        loop {
            self.put();
            self.session.flush().await?;
            let retry = self.talk.retry_in();
            tokio::select! {
                biased;
                frames = self.session.frames() => {
                    self.session.hear(frames?, |payload| self.talk.take(payload))?;
                    self.talk.publish();
                }
                () = wake.notified() => {}
                () = tokio::time::sleep(retry.unwrap_or_default()), if retry.is_some() => {}
                _ = ticks.tick() => {
                    self.session.put_idle();
                    self.talk.look_for_hole();
                    self.talk.publish();
                }
                () = &mut stopped => break,
            }
        }
        self.session.leave().await;
        Ok(self.talk)
    }

    /// Puts whatever is due and fits into the window.
    fn put(&mut self) {
        let talk = &mut self.talk;
        if talk.sync_due && !talk.sync_open && self.session.has_room() {
            self.session.put_sync(talk.sync());
        }
        if self.session.has_room()
            && let Some(sending) = &mut talk.sending
            && let Some(drafts) = sending.batch(talk.shared.clock.now_us())
        {
            let drafts = drafts.into_iter().map(Into::into).collect();
            let send = proto::Send { conversation_id: talk.conversation.wire(), drafts };
            self.session.put(&ClientPayload::Send(send));
        }
        if talk.advance_due && self.session.has_room() {
            self.session.put(&ClientPayload::Advance(talk.advance()));
        }
        self.session.put_urgent_ack();
    }
}

impl Talk {
    /// Asks for what follows the run.
    fn sync(&mut self) -> SyncQuestion {
        self.sync_due = false;
        self.sync_open = true;
        let known = Known { conversation: self.conversation, cursor: self.receiving.cursor(), message_id: None };
        SyncQuestion {
            id: 1,
            after: None,
            until: None,
            known: vec![known],
            only_known: true,
            max_messages: limits::SYNC_MESSAGES_MAX,
        }
    }

    /// Stored and read, in one: the chat is on the screen.
    fn advance(&mut self) -> proto::Advance {
        self.advance_due = false;
        self.said = self.receiving.cursor();
        let cursors = Cursors { delivered: self.said, read: self.said };
        proto::Advance { cursors: vec![(self.conversation, cursors).into()] }
    }

    fn retry_in(&self) -> Option<Duration> {
        let until_us = self.sending.as_ref()?.waits_until_us()?;
        // The runtime's timers are exact to a millisecond: one more, or it would be too early.
        Some(Duration::from_micros(until_us.saturating_sub(self.shared.clock.now_us())) + Duration::from_millis(1))
    }

    fn take(&mut self, payload: ServerPayload) -> anyhow::Result<()> {
        match payload {
            ServerPayload::Deliver(deliver) => self.messages(&deliver.conversation_id, deliver.messages),
            ServerPayload::Answers(answers) => self.answers(answers)?,
            ServerPayload::Receipts(receipts) => self.receipts(receipts)?,
            ServerPayload::Advanced(advanced) => {
                for (conversation, cursors) in convert::advanced(advanced)? {
                    if conversation == self.conversation {
                        self.advanced = self.advanced.max(cursors.read);
                    }
                }
            }
            ServerPayload::Synced(synced) => self.synced(synced),
            ServerPayload::Poke(_) => self.sync_due = true,
            // The session keeps the others to itself.
            _ => {}
        }
        Ok(())
    }

    fn messages(&mut self, conversation: &[u8], messages: Vec<proto::Message>) {
        if conversation != self.conversation.as_bytes() {
            return;
        }
        let plan = self.shared.plan;
        let now = self.shared.clock.now_us();
        let mut fresh = 0;
        for message in messages {
            let seq = Seq(message.seq);
            if message.sender != self.peer.0.0 || message.kind >= 1000 {
                self.receiving.place(seq);
                continue;
            }
            let label = body::read(&message.body, plan.seed, plan.bytes);
            if self.receiving.message(seq, label, self.peer.1) {
                fresh += 1;
                self.one_way.extend(label.and_then(|label| self.measured(label.due_us, now)));
            }
        }
        if fresh > 0 {
            self.advance_due = true;
            self.shared.delivered.fetch_add(fresh, Ordering::Relaxed);
        }
    }

    fn answers(&mut self, answers: proto::Answers) -> anyhow::Result<()> {
        let (_, answers) = convert::answers(answers)?;
        let now = self.shared.clock.now_us();
        let mut sent = 0;
        for (message_id, outcome) in answers {
            let Some(sending) = &mut self.sending else { anyhow::bail!("An answer came where nothing was sent") };
            if let Some(done) = sending.answer(message_id, outcome, now)? {
                sent += 1;
                self.receiving.place(done.seq);
                self.answered.extend(self.measured(done.due_us, now));
            }
        }
        self.shared.sent.fetch_add(sent, Ordering::Relaxed);
        Ok(())
    }

    fn receipts(&mut self, receipts: proto::Receipts) -> anyhow::Result<()> {
        let mut count = 0;
        for receipt in convert::receipts(receipts)? {
            if receipt.conversation == self.conversation && receipt.user == self.peer.0 {
                self.peer_cursors = self.peer_cursors.max(receipt.cursors);
                count += 1;
            }
        }
        self.shared.receipts.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    fn synced(&mut self, synced: proto::Synced) {
        self.sync_open = false;
        for view in synced.views {
            if view.conversation_id == self.conversation.as_bytes()[..] {
                let cursors = Cursors { delivered: Seq(view.peer_delivered), read: Seq(view.peer_read) };
                self.peer_cursors = self.peer_cursors.max(cursors);
                self.sync_due |= !view.complete;
                self.messages(&view.conversation_id, view.messages);
            }
        }
    }

    /// The latency of a message, if it is one of those that are measured.
    fn measured(&self, due_us: u64, now_us: u64) -> Option<u64> {
        let plan = &self.shared.plan;
        (plan.from_us..plan.until_us).contains(&due_us).then(|| now_us.saturating_sub(due_us))
    }

    fn look_for_hole(&mut self) {
        if !self.receiving.has_hole() {
            self.hole_since = None;
        } else if self.hole_since.get_or_insert_with(Instant::now).elapsed() >= HOLE_PATIENCE {
            self.hole_since = None;
            self.sync_due = true;
        }
    }

    /// Tells how far this client is.
    fn publish(&mut self) {
        self.shared.record(&mut self.one_way, &mut self.answered);
        let now = self.shared.clock.now_us();
        let set = |level: &std::sync::atomic::AtomicU64, value| level.store(value, Ordering::Relaxed);
        set(&self.level.sent, self.sending.as_ref().map_or(0, |sending| sending.sent));
        set(&self.level.received, self.receiving.in_order());
        set(&self.level.read, self.said.0);
        set(&self.level.advanced, self.advanced.0);
        set(&self.level.peer_read, self.peer_cursors.read.0);
        let is_quiet = !self.advance_due && self.sending.as_ref().is_none_or(|sending| sending.is_quiet(now));
        self.level.quiet.store(is_quiet, Ordering::Relaxed);
    }
}
