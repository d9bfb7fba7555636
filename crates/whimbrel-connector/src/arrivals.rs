//! Asking a transfer to attach sessions: what gathered while calls were under way goes in one.
//!
//! A few calls are under way at a time, so that one that is slow does not hold up every login; no timer, and no task
//! while nobody logs in. However many clients come at once, the transfer is asked for at most [`CALLS`] times [`BATCH`]
//! of them at a time. Those who wait are bounded by the connections at a time: an entry keeps its connection's slot.
//!
//! Whoever has ended before it was asked for is not asked for at all. Whoever ends after that is detached once the
//! answer is here: by its own task, or by this one if that is gone.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use whimbrel_rpc::{Attach, AttachRefused};

use crate::Gate;
use crate::hub::Handle;

/// Calls under way at a time.
pub(crate) const CALLS: usize = 4;
/// Sessions in one call.
pub(crate) const BATCH: usize = 256;

/// What becomes of an attach. An error: nothing, if the session had ended; otherwise nobody knows.
pub(crate) type Answer = oneshot::Receiver<Result<(), AttachRefused>>;

/// Sessions that are to be attached.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    arrivals: Vec<Arrival>,
    calls: usize,
}

struct Arrival {
    attach: Attach,
    asker: Asker,
}

struct Asker {
    handle: Arc<Handle>,
    tell: oneshot::Sender<Result<(), AttachRefused>>,
}

/// Asks the transfer to make the session reachable; the session is in the hub already, also by its user.
pub(crate) fn ask(gate: &Arc<Gate>, attach: Attach, handle: Arc<Handle>) -> Answer {
    let (tell, answer) = oneshot::channel();
    let mut waiting = gate.arrivals.0.lock();
    waiting.arrivals.push(Arrival { attach, asker: Asker { handle, tell } });
    if waiting.calls < CALLS {
        waiting.calls += 1;
        tokio::spawn(call_while_any_wait(gate.clone()));
    }
    answer
}

async fn call_while_any_wait(gate: Arc<Gate>) {
    while let Some(arrivals) = gate.arrivals.next() {
        let (attaches, askers) = arrivals.into_iter().map(|arrival| (arrival.attach, arrival.asker)).unzip();
        call(&gate, attaches, askers).await;
    }
}

impl Arrivals {
    /// The next batch, those who came first; with `None` the call is over.
    fn next(&self) -> Option<Vec<Arrival>> {
        let mut waiting = self.0.lock();
        waiting.arrivals.retain(|arrival| !arrival.asker.handle.mailbox.is_shut());
        if waiting.arrivals.is_empty() {
            waiting.calls -= 1;
            waiting.arrivals = Vec::new();
            return None;
        }
        let later = match waiting.arrivals.len() {
            len if len > BATCH => waiting.arrivals.split_off(BATCH),
            _ => Vec::new(),
        };
        Some(std::mem::replace(&mut waiting.arrivals, later))
    }
}

async fn call(gate: &Gate, attaches: Vec<Attach>, askers: Vec<Asker>) {
    let lease = &gate.house.lease;
    // Before the call: what is registered in it may belong to a life that ends before the answer is here.
    let asked_in = lease.life();
    let answers = gate.transfer.attach(attaches).await;
    let mut in_now = Vec::new();
    for (asker, answer) in askers.iter().zip(&answers) {
        if let Ok(attached) = answer {
            asker.handle.mailbox.admit();
            in_now.push((asker.handle.id, attached.registered));
        }
    }
    // After they were marked as admitted: either the snapshot of an assertion has them, or its life is seen here.
    lease.let_in(asked_in, &in_now);
    for (asker, answer) in askers.into_iter().zip(answers) {
        if let Err(Ok(())) = asker.tell.send(answer.map(drop)) {
            gate.departures.add(asker.handle.who(), asker.handle.clone());
        }
    }
}
