//! The connector's lease, and what follows when it did not stand: sessions are asserted, and poked.
//!
//! Routes may be too many, never silently too few. So whenever UserStatus may have lost what was registered (another
//! incarnation), or messages may have passed this connector by (another term, or it was out of reach), every session is registered
//! again, and then synced by a poke. A session whose attach was not registered is too. A *life* is the time between two
//! such events: a number that is raised at each.
//!
//! What keeps anybody from being missed, and which race it closes:
//! * Nobody is accepted before the first renewal was answered: no route is written for a connector that locating leaves
//!   out. If UserStatus was away then, all are asserted once it is back.
//! * First the renewal's answer, then the life is raised, then the snapshot of those who are in. Whoever registered in
//!   the incarnation that is gone was asked for before that answer; so it is in the snapshot, or not in yet.
//! * Whoever is not in yet: an attach notes the life before it is asked, marks the session as in when it is answered,
//!   and looks at the life after that. Another life by then: the session is asserted by itself, whatever the answer says.
//!   Marking before looking, raising before the snapshot: one of the two sees the other.
//! * First the assertion's answer, then the poke: what the sync does not bring is committed after it, and finds the route.
//! * First the assertion's answer, then a look at who has ended meanwhile: their goodbye may have overtaken the
//!   assertion, so it is said again. No ghost stays.
//! * An assertion that failed, or that another life overtook, is begun again at the next renewal; nobody leaves the list
//!   but by an assertion that was taken, or by ending.
//! * The term is compared with that on which this connector acted last, and not with that of the last answer: an answer
//!   that is lost on its way hides nothing.
//! * Nothing is known of UserStatus and the connector was out of reach: those who are in are poked now, since what passed
//!   them by did so already, and again after the assertion. A renewal is never given up halfway: that it was out of
//!   reach is told once.
//!
//! Lists hold ids, not sessions: who has ended is skipped, and keeps nothing. Renewing waits for neither assertions nor
//! pokes. With no session there is nothing to do.

use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use whimbrel_core::limits::ASSERT_MAX;
use whimbrel_core::{Incarnation, SessionId};
use whimbrel_rpc::Standing;

use crate::hub::Hub;
use crate::{Gate, pokes};

#[derive(Default)]
pub(crate) struct Lease {
    state: Mutex<State>,
    /// The first renewal was answered.
    pub(crate) answered: CancellationToken,
    /// Everybody has left: the lease is to end.
    pub(crate) leaving: CancellationToken,
    /// It has ended.
    pub(crate) left: CancellationToken,
}

#[derive(Default)]
struct State {
    life: u64,
    /// The one in which everybody is registered, but for those who are named below.
    incarnation: Option<Incarnation>,
    /// The lease on which this connector has acted.
    term: Option<u64>,
    /// All who are in have to be asserted.
    everybody: bool,
    /// Messages may have passed by, and nobody was poked for that yet.
    passed_by: bool,
    /// These have to be asserted. Who was let in during an assertion that failed may be here twice, nobody more often.
    owed: Vec<SessionId>,
    /// An assertion is under way: there is one at a time.
    asserting: bool,
}

/// What follows from a renewal.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Next {
    assert: bool,
    poke: bool,
}

/// What an assertion is about.
struct Pass {
    life: u64,
    sessions: Vec<SessionId>,
    /// If it fails they are poked all the same.
    passed_by: bool,
}

impl Lease {
    /// The current life.
    pub(crate) fn life(&self) -> u64 {
        self.state.lock().life
    }

    /// These sessions are in, and marked so; their attach was asked in the life `asked_in`. With each, whether
    /// UserStatus took it.
    pub(crate) fn let_in(&self, asked_in: u64, sessions: &[(SessionId, bool)]) {
        let mut state = self.state.lock();
        let another = state.life != asked_in;
        let owed = sessions.iter().filter(|(_, registered)| another || !registered);
        state.owed.extend(owed.map(|(session, _)| *session));
    }

    fn renewed(&self, answer: whimbrel_rpc::Lease) -> Next {
        let mut state = self.state.lock();
        let another = answer.incarnation.is_some() && answer.incarnation != state.incarnation;
        let is_away = answer.incarnation.is_none();
        let lapsed = !is_away && state.term != Some(answer.term);
        if another {
            state.incarnation = answer.incarnation;
        }
        if lapsed {
            state.term = Some(answer.term);
        }
        if another || lapsed || !answer.kept {
            state.life += 1;
            state.everybody = true;
            state.passed_by |= lapsed || !answer.kept;
        }
        let poke = is_away && mem::take(&mut state.passed_by);
        let assert = !is_away && !state.asserting && (state.everybody || !state.owed.is_empty());
        state.asserting |= assert;
        Next { assert, poke }
    }

    fn begin(&self, hub: &Hub) -> Pass {
        let (life, everybody, owed, passed_by) = {
            let mut state = self.state.lock();
            let (everybody, owed) = (mem::take(&mut state.everybody), mem::take(&mut state.owed));
            (state.life, everybody, owed, mem::take(&mut state.passed_by))
        };
        // The snapshot after the life was raised and read; who is owed is in it.
        Pass { life, sessions: if everybody { hub.admitted() } else { owed }, passed_by }
    }

    /// The pass ended; true: another one is to follow at once.
    fn finish(&self, pass: &Pass, failed: &[SessionId], overtaken: bool) -> bool {
        let mut state = self.state.lock();
        state.passed_by |= pass.passed_by && overtaken;
        state.owed.extend_from_slice(failed);
        state.asserting = state.everybody && failed.is_empty();
        state.asserting
    }
}

/// Renews until everybody has left, and ends the lease then.
pub(crate) async fn run(gate: Arc<Gate>) {
    let house = &gate.house;
    let lease = &house.lease;
    let mut ticks = interval(house.config.lease_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = lease.leaving.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let answer = gate.transfer.renew(house.id).await;
        let next = lease.renewed(answer);
        if next.assert {
            tokio::spawn(assert(gate.clone()));
        }
        if next.poke {
            pokes::poke(house, house.hub.admitted());
        }
        lease.answered.cancel();
    }
    gate.transfer.leave(house.id).await;
    lease.left.cancel();
}

/// Asserts all that is owed, as long as it is taken.
async fn assert(gate: Arc<Gate>) {
    let (lease, hub) = (&gate.house.lease, &gate.house.hub);
    loop {
        let pass = lease.begin(hub);
        let mut left = pass.sessions.as_slice();
        let mut failed = false;
        while !left.is_empty() && !failed && lease.life() == pass.life && !lease.leaving.is_cancelled() {
            let (batch, rest) = left.split_at(left.len().min(ASSERT_MAX));
            failed = !assert_batch(&gate, batch).await;
            left = if failed { left } else { rest };
        }
        // If another life overtook it, those who are left are among everybody.
        if failed && pass.passed_by {
            pokes::poke(&gate.house, left.to_vec());
        }
        let overtaken = !failed && !left.is_empty();
        if !lease.finish(&pass, if failed { left } else { &[] }, overtaken) {
            return;
        }
    }
}

/// False: UserStatus did not take them.
async fn assert_batch(gate: &Gate, batch: &[SessionId]) -> bool {
    let hub = &gate.house.hub;
    let standing: Vec<Standing> = batch.iter().filter_map(|id| hub.get(id)?.standing()).collect();
    if standing.is_empty() {
        return true;
    }
    let taken = gate.transfer.assert(gate.house.id, standing.clone()).await;
    // Also of an assertion that failed: it may have been taken in part.
    let (here, gone): (Vec<_>, Vec<_>) =
        standing.into_iter().map(|standing| standing.session).partition(|who| hub.get(&who.session).is_some());
    gone.into_iter().for_each(|who| gate.departures.again(who));
    if taken {
        pokes::poke(&gate.house, here.into_iter().map(|who| who.session).collect());
    }
    taken
}
