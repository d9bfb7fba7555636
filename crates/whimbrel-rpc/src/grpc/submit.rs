//! Requests on their way to the transfers of their conversations.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::debug;

use super::connect::Connects;
use super::figures;
use super::fleet::{Fleet, Line as _, Member};
use super::line::ConnectLine;
use super::rendezvous::{Key, choose};
use crate::{Request, RequestBody};

/// How often requests are given to another transfer before they are treated as if there were none.
const TRIES: usize = 4;
/// Between looks at syncs that wait.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The streams that take something new.
pub(super) fn open(members: &[Member<ConnectLine>]) -> Vec<&Member<ConnectLine>> {
    members.iter().filter(|member| !member.line.is_leaving()).collect()
}

/// Gives requests to the transfers of their conversations. `until`: when the first of them began to wait.
pub(super) fn submit(fleet: &Fleet<Connects>, requests: Vec<Request>, until: Option<Instant>) {
    let mut left = requests;
    for _ in 0..TRIES {
        let members = fleet.members();
        let open = open(&members);
        if open.is_empty() {
            break;
        }
        for (member, part) in open.iter().zip(parts(&mut left, &open)) {
            if part.is_empty() {
                continue;
            }
            match member.line.submit(part) {
                Ok(full) if full.is_empty() => {}
                Ok(full) => {
                    figures::full("requests");
                    untaken(fleet, full, until, "full");
                }
                // It has ended, and is no member any more.
                Err(again) => left.extend(again),
            }
        }
        if left.is_empty() {
            return;
        }
    }
    untaken(fleet, left, until, "no_transfer");
}

/// The requests, by transfer. Leaves the list empty, to be filled with what comes back.
fn parts(left: &mut Vec<Request>, open: &[&Member<ConnectLine>]) -> Vec<Vec<Request>> {
    let requests = std::mem::take(left);
    if open.len() == 1 {
        return vec![requests];
    }
    let mut parts: Vec<Vec<Request>> = open.iter().map(|_| Vec::new()).collect();
    let place = |key: Key| choose(key, open.iter().map(|member| member.id)).unwrap_or_default();
    for Request { from, body } in requests {
        match body {
            RequestBody::Advance(cursors) => {
                let mut by_place: Vec<Vec<_>> = open.iter().map(|_| Vec::new()).collect();
                for entry in cursors {
                    by_place[place(entry.0.into())].push(entry);
                }
                for (part, cursors) in parts.iter_mut().zip(by_place) {
                    if !cursors.is_empty() {
                        part.push(Request { from, body: RequestBody::Advance(cursors) });
                    }
                }
            }
            RequestBody::Send { conversation, .. } | RequestBody::Signal { conversation, .. } => {
                parts[place(conversation.into())].push(Request { from, body })
            }
            RequestBody::Sync(_) => parts[place(from.user.into())].push(Request { from, body }),
        }
    }
    parts
}

/// No transfer took these: Sends are answered "retry", Syncs wait, and cursors are the client's to repeat.
fn untaken(fleet: &Fleet<Connects>, requests: Vec<Request>, until: Option<Instant>, why: &'static str) {
    let connects = &fleet.dial;
    for request in requests {
        let session = request.from.session;
        match &request.body {
            RequestBody::Send { .. } => connects.own.retry(&request, why),
            RequestBody::Advance(_) | RequestBody::Signal { .. } => {}
            RequestBody::Sync(_) => {
                let last = until.unwrap_or_else(|| Instant::now() + fleet.limits.sync_wait);
                // Whoever looks at those that wait need not be told of what it put back.
                if !connects.waiting.add(request, last, fleet.limits.syncs_waiting, until.is_none()) {
                    figures::full("syncs_waiting");
                    connects.own.close(session);
                }
            }
        }
    }
}

/// Gives the syncs that wait to transfers as soon as there are any, and ends the sessions of those that waited too long.
pub(super) async fn tend(fleet: Arc<Fleet<Connects>>) {
    let mut members = fleet.watch();
    let waiting = &fleet.dial.waiting;
    loop {
        tokio::select! {
            () = fleet.stop.cancelled() => return,
            _ = members.changed() => {}
            () = waiting.more.notified() => {}
            () = sleep(LOOK_AGAIN), if !waiting.is_empty() => {}
        }
        let expired = waiting.expired(Instant::now());
        if !expired.is_empty() {
            debug!(sessions = expired.len(), "no transfer took these sessions' syncs in time; they are closed");
        }
        for session in expired {
            fleet.dial.own.close(session);
        }
        if fleet.reachable() > 0 {
            for (request, until) in waiting.take() {
                submit(&fleet, vec![request], Some(until));
            }
        }
    }
}
