//! Who is in groups, as this transfer remembers it; and what is done about a connector that does not.
//!
//! Rows that change a group change what is remembered before anybody is told of them ([`Rosters::placed`]); what is
//! missing or too old is read, once for everything that needs it. A roster is exact for each row up to its revision, so
//! whoever was removed gets what was placed before that and nothing after it, whatever is told when.
//!
//! - A small group's audience is resolved here and goes the way of direct messages.
//! - A large one's is not: each connector resolves it with its own roster. One that has none says so, and gets the same
//!   again with the roster; not more than [`ROSTER_MEMBERS_UNDER_WAY`] at a time, so that a connector which has just
//!   begun, and lacks them all, can take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hashbrown::HashMap;
use metrics::counter;
use smallvec::SmallVec;
use tokio::sync::Semaphore;
use tracing::{info, warn};
use whimbrel_core::limits::{ROSTER_MEMBERS_UNDER_WAY, ROSTER_PUSHED_MAX};
use whimbrel_core::{ConnectorId, ConversationId, PlacedRow, Roster, Seq};
use whimbrel_rpc::{PushItem, To, ToGroup};
use whimbrel_store::{Groups, Timeline};

use crate::Config;
use crate::reach::{Reach, Unrostered};

/// Rosters by group.
pub(crate) type Known = HashMap<ConversationId, Arc<Roster>>;
/// Groups, and the revision that is needed of each.
pub(crate) type Wanted = HashMap<ConversationId, Seq>;

/// Between tries to read rosters.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Users named in one push.
const USERS_AT_ONCE: usize = 1000;

pub(crate) struct Rosters {
    config: Arc<Config>,
    groups: Arc<dyn Groups>,
    timeline: Arc<dyn Timeline>,
    shelf: whimbrel_rpc::Rosters,
    /// [`Timeline::connections`] before the first of what is remembered was read.
    connections: AtomicU64,
    under_way: Semaphore,
}

impl Rosters {
    pub(crate) fn new(config: Arc<Config>, groups: Arc<dyn Groups>, timeline: Arc<dyn Timeline>) -> Self {
        let shelf = whimbrel_rpc::Rosters::new(config.roster_members_cached);
        let connections = AtomicU64::new(timeline.connections());
        let under_way = Semaphore::new(ROSTER_MEMBERS_UNDER_WAY as usize);
        Self { config, groups, timeline, shelf, connections, under_way }
    }

    /// Rows that were placed: rosters become what they are with them.
    pub(crate) fn placed<'a>(&self, rows: impl Iterator<Item = &'a PlacedRow>) {
        for row in rows {
            if let Some(change) = &row.change {
                self.shelf.apply(row.message.conversation, change);
            }
        }
    }

    /// The rosters of these groups, what is not remembered by one call. Tries for a while when the database does not
    /// answer; those that are still missing then are left out.
    pub(crate) async fn of(&self, wanted: Wanted) -> Known {
        let mut known = Known::new();
        if wanted.is_empty() {
            return known;
        }
        self.notice_another_life();
        let until = Instant::now() + self.config.roster_timeout;
        let mut missing: Vec<(ConversationId, Seq)> = wanted.into_iter().collect();
        missing.retain(|(group, revision)| match self.shelf.get(*group, *revision) {
            Some(roster) => known.insert(*group, roster).is_some(),
            None => true,
        });
        while !missing.is_empty() {
            if let Err(why) = self.read(&mut missing, &mut known).await {
                warn!(error = why, groups = missing.len(), "rosters cannot be read");
            }
            if missing.is_empty() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        known
    }

    /// One that is remembered, or read now; once, whatever comes of it.
    pub(crate) async fn one(&self, group: ConversationId, revision: Seq) -> Option<Arc<Roster>> {
        self.notice_another_life();
        if let Some(roster) = self.shelf.get(group, revision) {
            return Some(roster);
        }
        let mut known = Known::new();
        self.read(&mut vec![(group, revision)], &mut known).await.ok()?;
        known.remove(&group)
    }

    async fn read(&self, missing: &mut Vec<(ConversationId, Seq)>, known: &mut Known) -> Result<(), String> {
        counter!("whimbrel_transfer_rosters_read_total").increment(missing.len() as u64);
        let ids: Vec<ConversationId> = missing.iter().map(|(group, _)| *group).collect();
        let read = self.groups.rosters(&ids).await.map_err(|error| error.to_string())?;
        let mut read = read.into_iter();
        missing.retain(|(group, revision)| {
            let roster = read.next().flatten().map(|roster| self.shelf.put(*group, Arc::new(roster)));
            match roster.filter(|roster| roster.revision >= *revision) {
                Some(roster) => known.insert(*group, roster).is_some(),
                None => true,
            }
        });
        if missing.is_empty() { Ok(()) } else { Err("a group is older than a row of it".into()) }
    }

    /// Forgets what is remembered if the database was reached anew: it may have gone back.
    fn notice_another_life(&self) {
        let connections = self.timeline.connections();
        if self.connections.swap(connections, Ordering::AcqRel) != connections {
            info!("the database was reached anew: remembered rosters are forgotten");
            self.shelf.clear();
        }
    }

    /// Brings again, with rosters, what connectors had none for. Gives those that may not have taken it.
    pub(crate) async fn bring(&self, reach: &Reach, unrostered: Vec<Unrostered>) -> Vec<ConnectorId> {
        if unrostered.is_empty() {
            return Vec::new();
        }
        counter!("whimbrel_transfer_rosters_lacking_total").increment(unrostered.len() as u64);
        let mut wanted = Wanted::new();
        for to in unrostered.iter().flat_map(|lacking| &lacking.items).filter_map(group_of) {
            let revision = wanted.entry(to.group).or_default();
            *revision = to.revision.max(*revision);
        }
        let known = self.of(wanted).await;
        let again = unrostered.into_iter().map(|lacking| self.bring_one(reach, lacking, &known));
        join_all(again).await.into_iter().flatten().collect()
    }

    async fn bring_one(&self, reach: &Reach, lacking: Unrostered, known: &Known) -> Option<ConnectorId> {
        let Unrostered { connector, items } = lacking;
        let Some((items, weight)) = with_rosters(items, known) else { return Some(connector) };
        let _room = self.under_way.acquire_many(weight.min(ROSTER_MEMBERS_UNDER_WAY)).await;
        (!reach.push_to(connector, items).await).then_some(connector)
    }
}

fn group_of(item: &PushItem) -> Option<&ToGroup> {
    if let To::Group(to) = &item.to { Some(to) } else { None }
}

/// The same with what is needed to resolve it, and what that weighs: a group's roster with the first of its items, or
/// users instead, where it is too long to be sent. `None`: a roster is missing.
fn with_rosters(items: Vec<PushItem>, known: &Known) -> Option<(Vec<PushItem>, u32)> {
    let (mut full, mut weight): (Vec<PushItem>, u64) = (Vec::with_capacity(items.len()), 0);
    let mut given: SmallVec<[ConversationId; 4]> = SmallVec::new();
    for PushItem { to, body } in items {
        let To::Group(mut to) = to else {
            full.push(PushItem { to, body });
            continue;
        };
        let roster = known.get(&to.group)?;
        if roster.weight() > ROSTER_PUSHED_MAX {
            let users: Vec<_> = roster.audience(to.seq).collect();
            full.extend(users.chunks(USERS_AT_ONCE).map(|users| PushItem {
                to: To::Users { users: SmallVec::from_slice(users), except: to.except.clone() },
                body: body.clone(),
            }));
            continue;
        }
        if !given.contains(&to.group) {
            given.push(to.group);
            weight += roster.weight();
            to.roster = Some(roster.clone());
        }
        full.push(PushItem { to: To::Group(to), body });
    }
    Some((full, u32::try_from(weight).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{Span, UserId};
    use whimbrel_rpc::PushBody;

    use super::*;

    const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

    fn item(seq: u64) -> PushItem {
        let except = SmallVec::new();
        let to = ToGroup { group: CHAT, seq: Seq(seq), revision: Seq(1), except, change: None, roster: None };
        PushItem { to: To::Group(Box::new(to)), body: PushBody::Poke }
    }

    fn known(members: u64) -> Known {
        let span = Span { since: Seq(1), until: Seq::ZERO };
        let roster = Roster::new(Seq(1), (1..=members).map(|user| (UserId(user), span)).collect());
        Known::from_iter([(CHAT, Arc::new(roster))])
    }

    #[test]
    fn a_roster_goes_with_the_first_and_one_that_is_too_long_goes_as_users() {
        let (items, weight) = with_rosters(vec![item(2), item(3)], &known(5)).expect("known");
        let rosters: Vec<bool> = items.iter().filter_map(group_of).map(|to| to.roster.is_some()).collect();
        assert_eq!((rosters, weight), (vec![true, false], 6));
        let many = ROSTER_PUSHED_MAX + 1;
        let (items, weight) = with_rosters(vec![item(2)], &known(many)).expect("known");
        let users: usize =
            items.iter().map(|item| if let To::Users { users, .. } = &item.to { users.len() } else { 0 }).sum();
        assert_eq!((users as u64, weight), (many, 0));
        assert!(with_rosters(vec![item(2)], &Known::new()).is_none());
    }
}
