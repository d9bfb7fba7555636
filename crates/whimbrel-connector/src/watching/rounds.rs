//! The rounds: what sessions wish is answered at once, and what changes is told every now and then.

use std::sync::Arc;

use hashbrown::HashMap;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use whimbrel_core::limits::{PRESENCE_BLIND_AFTER, PRESENCE_PAIRS_ASKED, PRESENCE_USERS_ASKED};
use whimbrel_core::{Presence, SessionId, UserId};
use whimbrel_rpc::{Stirred, Stirring};
use whimbrel_wire::Encoded;

use super::Wish;
use super::book::Book;
use crate::Gate;
use crate::mailbox::{Bounds, Kind, Put};
use crate::outbound::entries;

struct Rounds {
    gate: Arc<Gate>,
    book: Book,
    /// Up to when changes were looked through; 0: none were.
    since: u64,
    /// Rounds in a row in which nobody knew who is where.
    blind: u32,
}

/// Until nobody watches any more.
pub(super) async fn run(gate: Arc<Gate>) {
    let house = gate.house.clone();
    let every = house.config.presence_every;
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = Rounds { gate: gate.clone(), book: Book::new(gate.house.config.watches_max), since: 0, blind: 0 };
    while let Some(wishes) = gate.watching.take(rounds.book.is_empty()) {
        rounds.take(wishes).await;
        house.figures.watching.set(rounds.book.len() as f64);
        tokio::select! {
            () = gate.watching.more.notified() => {}
            _ = ticks.tick() => rounds.round().await,
            () = house.lease.leaving.cancelled() => break,
        }
    }
    house.figures.watching.set(0.0);
}

impl Rounds {
    /// What sessions wish. Where those are whom nobody watched before is asked first, so that the next round finds
    /// whatever changes while it is read what may be shown of them.
    async fn take(&mut self, wishes: HashMap<SessionId, Wish>) {
        if wishes.is_empty() {
            return;
        }
        let mut users = Vec::new();
        for (session, wish) in wishes {
            if self.gate.house.hub.get(&session).is_some() {
                let wanted = wish.users.clone();
                if self.book.watch(session, wish.user, wish.users) {
                    users.extend(wanted);
                } else {
                    self.tell_one(session, &wanted.into_iter().map(Presence::unknown).collect::<Vec<_>>());
                }
            }
        }
        for users in self.book.unplaced(users).chunks(PRESENCE_USERS_ASKED) {
            let stirring = Stirring { users: users.to_vec(), ..Stirring::default() };
            if let Some(Stirred { as_of, here: Some(here), .. }) = self.gate.transfer.stirred(stirring).await {
                self.book.placed(users, &here, as_of);
                if self.since == 0 {
                    self.since = as_of;
                }
            }
        }
        self.read().await;
        self.tell();
    }

    async fn round(&mut self) {
        self.look_after_sessions();
        let (mut as_of, mut is_blind, mut gone) = (u64::MAX, false, self.book.take_gone());
        for users in self.book.users().chunks(PRESENCE_USERS_ASKED) {
            let gone = gone.split_off(gone.len().saturating_sub(PRESENCE_USERS_ASKED));
            let stirring = Stirring { users: users.to_vec(), since: self.since, gone };
            let stirred = self.gate.transfer.stirred(stirring).await;
            let Stirred { as_of: at, here, changed } =
                stirred.unwrap_or(Stirred { as_of: self.since, here: None, changed: Some(Vec::new()) });
            is_blind |= here.is_none();
            match here {
                Some(here) => self.book.placed(users, &here, at),
                None if self.blind + 1 >= PRESENCE_BLIND_AFTER => self.book.lost_sight(users),
                None => {}
            }
            self.book.stirred(changed.as_deref());
            as_of = as_of.min(at);
        }
        self.blind = if is_blind { self.blind.saturating_add(1) } else { 0 };
        if as_of != u64::MAX {
            if self.since == 0 && as_of != 0 {
                // What was read before may have changed without anybody looking.
                self.book.stirred(None);
            }
            self.since = as_of;
        }
        self.read().await;
        self.tell();
    }

    /// Those who have ended watch nobody; those whose mailbox had no room are owed everything.
    fn look_after_sessions(&mut self) {
        for session in self.book.sessions() {
            match self.gate.house.hub.get(&session) {
                None => self.book.leave(session),
                Some(handle) if handle.mailbox.lost_presence() => self.book.lost(session),
                Some(_) => {}
            }
        }
    }

    /// Reads what may be shown of whom to whom, where that is not known. What cannot be read stays for the next round.
    async fn read(&mut self) {
        loop {
            let pairs = self.book.unread(PRESENCE_PAIRS_ASKED);
            if pairs.is_empty() {
                return;
            }
            let looks: Vec<(UserId, UserId)> = pairs.iter().map(|(_, pair)| *pair).collect();
            let Some(sights) = self.gate.transfer.sights(looks).await else { return };
            self.book.read(&pairs, sights);
        }
    }

    fn tell(&mut self) {
        for (session, presences) in self.book.news() {
            self.tell_one(session, &presences);
        }
    }

    fn tell_one(&self, session: SessionId, presences: &[Presence]) {
        let house = &self.gate.house;
        let Some(handle) = house.hub.get(&session) else { return };
        let bounds = Bounds { frames: house.config.mailbox_frames, bytes: house.config.mailbox_bytes };
        let frames: Vec<Encoded> = presences.chunks(entries(house.config.max_frame)).map(Encoded::presences).collect();
        house.figures.presences.increment(presences.len() as u64);
        if let Put::Taken { wake: true, .. } = handle.mailbox.put(Kind::Presence, &frames, bounds, house.clock.ms()) {
            handle.waker.wake();
        }
    }
}
