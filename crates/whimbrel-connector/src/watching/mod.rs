//! Who of this connector's sessions watches whom, and what they are told of it.
//!
//! | room | does |
//! |---|---|
//! | here | takes what sessions wish; the task is there while anybody watches |
//! | `rounds` | asks a transfer every [`Config::presence_every`](crate::Config::presence_every), and tells what has changed |
//! | `book` | who watches whom, what is known, what each was told; no I/O |
//!
//! Invariants
//! - Nothing is kept for a session that does not watch, and no task runs while none does. One wish waits for each
//!   session: the newest.
//! - One question is under way at a time, and one tells of all who came and went meanwhile: who flaps costs no more than
//!   who does not.
//! - What a session is shown was allowed when it was read last; whatever changes that is found by the next round.
//! - A mailbox that had no room for it makes it due again: the next round tells how it is then, not how it was.

mod book;
mod rounds;

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_core::{SessionId, UserId};
use whimbrel_rpc::SessionRef;

use crate::Gate;

/// What sessions wish.
#[derive(Default)]
pub(crate) struct Watching {
    wishes: Mutex<Wishes>,
    more: Notify,
}

#[derive(Default)]
struct Wishes {
    waiting: HashMap<SessionId, Wish>,
    /// The task is there.
    going: bool,
}

/// Whom a session wants to watch from now on; nobody: no more.
struct Wish {
    user: UserId,
    users: Vec<UserId>,
}

/// Takes what a session wishes; its answer goes into its mailbox.
pub(crate) fn wish(gate: &Arc<Gate>, who: SessionRef, users: Vec<UserId>) {
    let mut wishes = gate.watching.wishes.lock();
    if users.is_empty() && !wishes.going {
        return;
    }
    wishes.waiting.insert(who.session, Wish { user: who.user, users });
    if std::mem::replace(&mut wishes.going, true) {
        gate.watching.more.notify_one();
    } else {
        tokio::spawn(rounds::run(gate.clone()));
    }
}

impl Watching {
    /// What has gathered. `None`: nothing, and the task, which has nothing else to do, is over with this call.
    fn take(&self, is_idle: bool) -> Option<HashMap<SessionId, Wish>> {
        let mut wishes = self.wishes.lock();
        if wishes.waiting.is_empty() && is_idle {
            *wishes = Wishes::default();
            return None;
        }
        Some(std::mem::take(&mut wishes.waiting))
    }
}
