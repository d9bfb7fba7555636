//! One member: a session, what it sends if it does, and what it receives.

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
use super::super::direct::sending::Sending;
use super::super::direct::shared::{Level, Shared};
use super::super::session::Session;
use super::arrivals::Arrivals;
use super::run::Run;

/// A hole that is not filled by what comes is asked for after this.
const HOLE_PATIENCE: Duration = Duration::from_secs(1);
/// How often a member says how far it is, at most.
const ADVANCE_EVERY: Duration = Duration::from_secs(1);

/// What a member shares with others.
pub(super) struct Common {
    pub(super) shared: Arc<Shared>,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) level: Arc<Level>,
    pub(super) wake: Arc<Notify>,
    pub(super) conversation: ConversationId,
    /// The users who send, by their numbers.
    pub(super) senders: Arc<[UserId]>,
}

/// A member at work.
pub(super) struct Member {
    session: Session,
    talk: Talk,
}

/// All of a member but its connection.
pub(super) struct Talk {
    common: Common,
    pub(super) sending: Option<Sending>,
    pub(super) run: Run,
    /// Something came since it last said how far it is; and when that was.
    advance_due: bool,
    advanced_at: Instant,
    sync_due: bool,
    sync_open: bool,
    hole_since: Option<Instant>,
    one_way: Vec<u64>,
    answered: Vec<u64>,
    last: Vec<u64>,
}

impl Member {
    pub(super) fn new(session: Session, common: Common, sending: Option<Sending>, run: Run) -> Self {
        let talk = Talk {
            common,
            sending,
            run,
            advance_due: false,
            advanced_at: Instant::now(),
            sync_due: false,
            sync_open: false,
            hole_since: None,
            one_way: Vec::new(),
            answered: Vec::new(),
            last: Vec::new(),
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
        let wake = self.talk.common.wake.clone();
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
            && let Some(drafts) = sending.batch(talk.common.shared.clock.now_us())
        {
            let drafts = drafts.into_iter().map(Into::into).collect();
            let send = proto::Send { conversation_id: talk.common.conversation.wire(), drafts };
            self.session.put(&ClientPayload::Send(send));
        }
        if talk.advance_due && talk.advanced_at.elapsed() >= ADVANCE_EVERY && self.session.has_room() {
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
        let known = Known { conversation: self.common.conversation, cursor: self.run.cursor(), message_id: None };
        SyncQuestion {
            id: 1,
            after: None,
            until: None,
            known: vec![known],
            only_known: true,
            max_messages: limits::SYNC_MESSAGES_MAX,
        }
    }

    /// Stored and read, in one.
    fn advance(&mut self) -> proto::Advance {
        self.advance_due = false;
        self.advanced_at = Instant::now();
        let cursor = self.run.cursor();
        let cursors = Cursors { delivered: cursor, read: cursor };
        proto::Advance { cursors: vec![(self.common.conversation, cursors).into()] }
    }

    fn retry_in(&self) -> Option<Duration> {
        let until_us = self.sending.as_ref()?.waits_until_us()?;
        // The runtime's timers are exact to a millisecond: one more, or it would be too early.
        let left = until_us.saturating_sub(self.common.shared.clock.now_us());
        Some(Duration::from_micros(left) + Duration::from_millis(1))
    }

    fn take(&mut self, payload: ServerPayload) -> anyhow::Result<()> {
        match payload {
            ServerPayload::Deliver(deliver) => self.messages(&deliver.conversation_id, deliver.messages),
            ServerPayload::Answers(answers) => self.answers(answers)?,
            ServerPayload::Synced(synced) => self.synced(synced),
            ServerPayload::Poke(_) => self.sync_due = true,
            // The session keeps the others to itself; own receipts come back, and say nothing new.
            _ => {}
        }
        Ok(())
    }

    fn messages(&mut self, conversation: &[u8], messages: Vec<proto::Message>) {
        if conversation != self.common.conversation.as_bytes() {
            return;
        }
        let shared = &self.common.shared;
        let (plan, now) = (shared.plan, shared.clock.now_us());
        let measured =
            |due_us: u64| (plan.from_us..plan.until_us).contains(&due_us).then(|| now.saturating_sub(due_us));
        let mut fresh = 0;
        for message in messages {
            let (seq, user) = (Seq(message.seq), UserId(message.sender));
            let sender = self.common.senders.iter().position(|sender| *sender == user);
            let (Some(sender), 0..1000) = (sender, message.kind) else {
                self.run.place(seq);
                continue;
            };
            let label = body::read(&message.body, plan.seed, plan.bytes);
            if self.sending.as_ref().is_some_and(|sending| sending.is_of(sender as u64)) {
                // An own one, in the answer to a Sync.
                self.run.place(seq);
            } else if self.run.message(seq, label, sender)
                && let Some(label) = label
            {
                fresh += 1;
                let time = measured(label.due_us);
                self.one_way.extend(time);
                if self.common.arrivals.arrived(sender, label.number) {
                    self.last.extend(time);
                }
            }
        }
        if fresh > 0 {
            self.advance_due = true;
            shared.delivered.fetch_add(fresh, Ordering::Relaxed);
        }
    }

    fn answers(&mut self, answers: proto::Answers) -> anyhow::Result<()> {
        let (_, answers) = convert::answers(answers)?;
        let shared = &self.common.shared;
        let (plan, now) = (shared.plan, shared.clock.now_us());
        let mut sent = 0;
        for (message_id, outcome) in answers {
            let Some(sending) = &mut self.sending else { anyhow::bail!("An answer came where nothing was sent") };
            if let Some(done) = sending.answer(message_id, outcome, now)? {
                sent += 1;
                self.run.place(done.seq);
                if (plan.from_us..plan.until_us).contains(&done.due_us) {
                    self.answered.push(now.saturating_sub(done.due_us));
                }
            }
        }
        shared.sent.fetch_add(sent, Ordering::Relaxed);
        Ok(())
    }

    fn synced(&mut self, synced: proto::Synced) {
        self.sync_open = false;
        for view in synced.views {
            if view.conversation_id == self.common.conversation.as_bytes()[..] {
                self.sync_due |= !view.complete;
                self.messages(&view.conversation_id, view.messages);
            }
        }
    }

    fn look_for_hole(&mut self) {
        if !self.run.has_hole() {
            self.hole_since = None;
        } else if self.hole_since.get_or_insert_with(Instant::now).elapsed() >= HOLE_PATIENCE {
            self.hole_since = None;
            self.sync_due = true;
        }
    }

    /// Tells how far this member is.
    fn publish(&mut self) {
        let Common { shared, arrivals, level, .. } = &self.common;
        shared.record(&mut self.one_way, &mut self.answered);
        arrivals.record(&mut self.last);
        let now = shared.clock.now_us();
        level.sent.store(self.sending.as_ref().map_or(0, |sending| sending.sent), Ordering::Relaxed);
        level.received.store(self.run.received, Ordering::Relaxed);
        let is_quiet = self.sending.as_ref().is_none_or(|sending| sending.is_quiet(now));
        level.quiet.store(is_quiet, Ordering::Relaxed);
    }
}
