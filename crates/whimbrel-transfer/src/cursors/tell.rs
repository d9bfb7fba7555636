//! Telling of cursors: receipts to the audience, "durable" to their owners. One locate and one push for what gathered
//! while the last ones were under way.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use whimbrel_core::{Audience, ConversationId, CursorMoved, Cursors, Receipt, SessionId, UserId, limits};
use whimbrel_rpc::PushBody;
use whimbrel_store::Route;

use super::CursorDesk;
use super::gather::{Fresh, Whose};
use crate::reach::{Outgoing, Routes};

/// What each session gets.
#[derive(Default)]
struct Sheets(HashMap<Route, Sheet>);

#[derive(Default)]
struct Sheet {
    receipts: Vec<Receipt>,
    advanced: Vec<(ConversationId, Cursors)>,
}

impl Sheets {
    fn receipt(&mut self, routes: &[Route], receipt: Receipt, but: Option<SessionId>) {
        for route in routes.iter().filter(|route| Some(route.session) != but) {
            self.0.entry(*route).or_default().receipts.push(receipt);
        }
    }

    fn outgoing(self) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for (route, sheet) in self.0 {
            for receipts in sheet.receipts.chunks(limits::CURSORS_MAX) {
                outgoing.one(route, PushBody::Receipts(receipts.to_vec()));
            }
            for advanced in sheet.advanced.chunks(limits::CURSORS_MAX) {
                outgoing.one(route, PushBody::Advanced(advanced.to_vec()));
            }
        }
        outgoing
    }
}

impl CursorDesk {
    /// Tells the audience, and the user's other sessions.
    pub(super) fn tell_receipt(
        self: &Arc<Self>,
        whose: Whose,
        by: Option<SessionId>,
        cursors: Cursors,
        audience: Audience,
    ) {
        let mut gathered = self.gathered.lock();
        match gathered.receipts.entry(whose) {
            MapEntry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.cursors = known.cursors.max(cursors);
                known.by = known.by.filter(|known| Some(*known) == by);
            }
            MapEntry::Vacant(entry) => drop(entry.insert(Fresh { cursors, audience, by })),
        }
        self.tell(&mut gathered.telling);
    }

    /// Tells a session that what it asks for is durable already.
    pub(super) fn tell_advanced(
        self: &Arc<Self>,
        user: UserId,
        to: Option<SessionId>,
        conversation: ConversationId,
        cursors: Cursors,
    ) {
        let mut gathered = self.gathered.lock();
        if gathered.advanced.len() < self.config.cursors_max {
            gathered.advanced.insert(((user, conversation), to), cursors);
            self.tell(&mut gathered.telling);
        }
    }

    fn tell(self: &Arc<Self>, telling: &mut bool) {
        if !std::mem::replace(telling, true) {
            let desk = self.clone();
            self.tasks.spawn(async move { desk.tell_gathered().await });
        }
    }

    async fn tell_gathered(self: Arc<Self>) {
        loop {
            let (receipts, advanced) = {
                let mut gathered = self.gathered.lock();
                gathered.telling = !(gathered.receipts.is_empty() && gathered.advanced.is_empty());
                (std::mem::take(&mut gathered.receipts), std::mem::take(&mut gathered.advanced))
            };
            if receipts.is_empty() && advanced.is_empty() {
                return;
            }
            let audiences = receipts.values().flat_map(|fresh| fresh.audience.users());
            let users = audiences.chain(advanced.keys().map(|((user, _), _)| *user)).collect();
            let Some(routes) = self.reach.locate(users).await else { continue };
            let mut sheets = Sheets::default();
            for ((user, conversation), Fresh { cursors, audience, by }) in receipts {
                for member in audience.users() {
                    sheets.receipt(routes.of(member), Receipt { conversation, user, cursors }, by);
                }
            }
            for (((user, conversation), to), cursors) in advanced {
                for route in routes.of(user).iter().filter(|route| to.is_none_or(|to| to == route.session)) {
                    sheets.0.entry(*route).or_default().advanced.push((conversation, cursors));
                }
            }
            self.reach.push(sheets.outgoing(), &routes).await;
        }
    }

    /// Tells what was committed: all sessions of the owner that it is durable; the others that it is so.
    pub(super) async fn push_durable(&self, moved: Vec<CursorMoved>) {
        let users = moved.iter().flat_map(|moved| moved.audience.users().chain([moved.user])).collect();
        let Some(routes) = self.reach.locate(users).await else { return };
        let outgoing = durable(moved, &routes);
        self.reach.push(outgoing, &routes).await;
    }
}

fn durable(moved: Vec<CursorMoved>, routes: &Routes) -> Outgoing {
    let mut sheets = Sheets::default();
    for CursorMoved { conversation, user, cursors, audience } in moved {
        let own = routes.of(user);
        for route in own {
            sheets.0.entry(*route).or_default().advanced.push((conversation, cursors));
        }
        let receipt = Receipt { conversation, user, cursors };
        for member in audience.users().filter(|member| *member != user || own.len() > 1) {
            sheets.receipt(routes.of(member), receipt, None);
        }
    }
    sheets.outgoing()
}
