//! What each reader of receipts gets. No I/O.

use hashbrown::HashMap;
use smallvec::SmallVec;
use whimbrel_core::{ConversationId, CursorMoved, Cursors, Receipt, SessionId, UserId, limits};
use whimbrel_rpc::{PushBody, To};

use super::readers;
use crate::outgoing::{Outgoing, Waiter};
use crate::reach::Whereabouts;

/// Who gets a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reader {
    /// This session, which is there.
    Session(Waiter),
    /// Whatever sessions this user has, but not this one: nobody knows where they are.
    User(UserId, Option<SessionId>),
}

#[derive(Default)]
struct Sheet {
    receipts: Vec<Receipt>,
    advanced: Vec<(ConversationId, Cursors)>,
}

/// What each reader gets.
pub(super) struct Sheets<'a> {
    whereabouts: &'a Whereabouts,
    sheets: HashMap<Reader, Sheet>,
}

impl<'a> Sheets<'a> {
    pub(super) fn new(whereabouts: &'a Whereabouts) -> Self {
        Self { whereabouts, sheets: HashMap::new() }
    }

    /// Everything of cursors that are durable now: their owners are answered, and everybody else is told. In `again`,
    /// for connectors that others could not reach, nobody is answered.
    pub(super) fn durable(moved: Vec<CursorMoved>, whereabouts: &'a Whereabouts, again: bool) -> Self {
        let mut sheets = Self::new(whereabouts);
        for CursorMoved { conversation, user, cursors, audience } in moved {
            if !again {
                sheets.advanced(user, None, conversation, cursors);
            }
            // The owner's only session knows already.
            let alone = matches!(whereabouts, Whereabouts::Known(routes) if routes.of(user).len() <= 1);
            for member in readers(user, audience).filter(|member| *member != user || !alone) {
                sheets.receipt(member, Receipt { conversation, user, cursors }, None);
            }
        }
        sheets
    }

    /// A receipt for a user's sessions, but for one that knows.
    pub(super) fn receipt(&mut self, user: UserId, receipt: Receipt, but: Option<SessionId>) {
        self.each(user, but, |sheet| sheet.receipts.push(receipt));
    }

    /// A user's cursors are durable: for the session that asked, or for all of theirs.
    pub(super) fn advanced(
        &mut self,
        user: UserId,
        to: Option<Waiter>,
        conversation: ConversationId,
        cursors: Cursors,
    ) {
        match to {
            Some(to) => self.sheets.entry(Reader::Session(to)).or_default().advanced.push((conversation, cursors)),
            None => self.each(user, None, |sheet| sheet.advanced.push((conversation, cursors))),
        }
    }

    fn each(&mut self, user: UserId, but: Option<SessionId>, write: impl Fn(&mut Sheet)) {
        match self.whereabouts {
            Whereabouts::Known(routes) => {
                for route in routes.of(user).iter().filter(|route| Some(route.session) != but) {
                    write(self.sheets.entry(Reader::Session(route.into())).or_default());
                }
            }
            Whereabouts::Anywhere(_) => write(self.sheets.entry(Reader::User(user, but)).or_default()),
        }
    }

    pub(super) fn outgoing(self) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for (reader, sheet) in self.sheets {
            for receipts in sheet.receipts.chunks(limits::CURSORS_MAX) {
                send(reader, PushBody::Receipts(receipts.to_vec()), self.whereabouts, &mut outgoing);
            }
            for advanced in sheet.advanced.chunks(limits::CURSORS_MAX) {
                send(reader, PushBody::Advanced(advanced.to_vec()), self.whereabouts, &mut outgoing);
            }
        }
        outgoing
    }
}

fn send(reader: Reader, body: PushBody, whereabouts: &Whereabouts, outgoing: &mut Outgoing) {
    match (reader, whereabouts) {
        (Reader::Session(session), _) => outgoing.answer(session, body, true),
        (Reader::User(user, but), Whereabouts::Anywhere(connectors)) => {
            let to = To::Users { users: SmallVec::from_iter([user]), except: but.into_iter().collect() };
            outgoing.each(connectors, &to, &body);
        }
        (Reader::User(..), Whereabouts::Known(_)) => {}
    }
}
