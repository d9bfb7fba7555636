//! The people of a run, their devices at work, and the orders to all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use whimbrel_client::{ConversationId, Rest, Seq, UserId};
use whimbrel_core::limits::WATCHED_MAX;

use super::Doors;
use super::accounts::{Account, Accounts};
use super::clients::{Actor, Handle, Order, Role, World, now_ms};
use super::dice::Dice;
use super::ghosts::Calm;
use super::groups::chronicle::Chronicle;
use super::groups::plan::GroupPlan;
use super::groups::stewards::{Done, Steward};
use super::groups::{self, Group};
use super::ledger::Book;
use super::plan::Plan;
use super::punctual::{Punctual, Slowest};
use super::receipts::Receipts;
use super::settle::{Conversations, Pair};
use super::verdict::Faults;

/// Access tokens live longer than any run.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// After they were told to, all clients close within this.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
/// After the load, what was begun in groups is done within this: longer than any call is repeated.
const DEEDS_TIMEOUT: Duration = Duration::from_secs(240);
/// The dice of clients have numbers from here on; those below are the plan's.
const CLIENT_DICE: u64 = 1000;

/// Everybody.
pub(super) struct Stage {
    pub(super) world: Arc<World>,
    /// The clients of the plan, in its order.
    pub(super) handles: Vec<Arc<Handle>>,
    /// Devices that joined when all was over, one for each user.
    pub(super) fresh: Vec<Arc<Handle>>,
    pub(super) pairs: Vec<Pair>,
    /// In the order of the plan.
    pub(super) groups: Vec<Group>,
    /// Users who may be in each of them at some time, and have clients.
    pools: Vec<Vec<UserId>>,
    /// Those of the pairs in which hardly anything is said.
    quiet: BTreeSet<ConversationId>,
    users: Vec<UserId>,
    seed: u64,
    orders: watch::Sender<Order>,
    tasks: JoinSet<()>,
    stewards: JoinSet<(usize, Done)>,
}

impl Stage {
    /// Makes accounts, friendships and groups, and lets the clients begin.
    pub(super) async fn open(doors: &Doors, plan: &Plan, seed: u64, rate: u32, folder: &Path) -> anyhow::Result<Self> {
        let admin = Accounts::new(&doors.api, &doors.admin_key)?;
        let users = admin.users(plan.users).await?;
        let owners: Vec<_> = plan.devices.iter().map(|device| users[device.user]).collect();
        let accounts = admin.devices(&owners, TOKEN_TTL).await?;
        let friends: Vec<_> = plan.pairs.iter().map(|(a, b)| (users[*a], users[*b])).collect();
        let conversations = admin.befriend(&friends).await?;
        let pair = |(conversation, (a, b)): (ConversationId, (UserId, UserId))| Pair { conversation, users: [a, b] };
        let pairs: Vec<Pair> = conversations.into_iter().zip(friends).map(pair).collect();
        let groups = groups::stage::make(&admin, &plan.groups, &users).await?;
        let pool = |group: &GroupPlan| group.members.iter().chain(&group.outsiders).map(|user| users[*user]).collect();
        let pools = plan.groups.iter().map(pool).collect();

        let (orders, order) = watch::channel(Order::Load);
        let world = Arc::new(World {
            began: Instant::now(),
            began_ms: now_ms(),
            server: doors.clients.clone(),
            api: doors.api.clone(),
            order,
            receipts: Mutex::new(Receipts::new(groups.iter().map(|group| group.conversation))),
            punctual: Mutex::new(Punctual::default()),
            send_every: Duration::from_secs_f64(plan.devices.len() as f64 / f64::from(rate)),
            drafted: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            first_sent_ms: AtomicU64::new(0),
            slowest_sent: Mutex::new(Slowest::default()),
            slowest_shown_ms: AtomicU64::new(0),
            calm: Calm::default(),
        });
        let (handles, fresh, tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        let quiet = plan.quiet.iter().map(|pair| pairs[*pair].conversation).collect();
        let stewards = JoinSet::new();
        let mut stage =
            Self { world, handles, fresh, pairs, groups, pools, quiet, users, seed, orders, tasks, stewards };
        stage.employ(doors, plan, &accounts)?;
        for (index, (device, account)) in plan.devices.iter().zip(accounts).enumerate() {
            let (conversations, loud) = stage.conversations_of(account.user);
            let role = Role {
                store: device.file.then(|| folder.join(format!("device-{index}.db"))),
                conversations,
                loud,
                friends: stage.friends_of(account.user),
                groups: stage.groups_of(account.user),
                joins: device.joins,
                away: device.away.clone(),
                dice: Dice::new(seed, CLIENT_DICE + index as u64),
                account,
            };
            let handle = stage.spawn(index, role);
            stage.handles.push(handle);
        }
        Ok(stage)
    }

    /// Logs in a new device of everybody; they sync from zero and say nothing.
    pub(super) async fn add_fresh_devices(&mut self, doors: &Doors) -> anyhow::Result<()> {
        let admin = Accounts::new(&doors.api, &doors.admin_key)?;
        for account in admin.devices(&self.users, TOKEN_TTL).await? {
            let index = self.handles.len() + self.fresh.len();
            let groups = self.groups_of(account.user);
            let role = fresh_role(account, groups, Dice::new(self.seed, CLIENT_DICE + index as u64));
            let handle = self.spawn(index, role);
            self.fresh.push(handle);
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize, role: Role) -> Arc<Handle> {
        let handle = Handle::new(index, &role);
        self.tasks.spawn(Actor::new(self.world.clone(), role, handle.clone()).run());
        handle
    }

    /// Lets a steward begin in each group. A user acts with the token of their first device, wherever that is.
    fn employ(&mut self, doors: &Doors, plan: &Plan, accounts: &[Account]) -> anyhow::Result<()> {
        let rest = Rest::new(&doors.api)?;
        let users: Vec<_> = accounts[..plan.users].iter().map(Account::credentials).collect();
        for (number, (group, plan)) in self.groups.iter().zip(&plan.groups).enumerate() {
            let steward = Steward {
                group: group.clone(),
                rest: rest.clone(),
                admin: Accounts::new(&doors.api, &doors.admin_key)?,
                users: users.clone(),
                owner: plan.members[0],
                deeds: plan.deeds.clone(),
                began: self.world.began,
                order: self.world.order.clone(),
                done: Done::default(),
            };
            self.stewards.spawn(async move { (number, steward.run().await) });
        }
        Ok(())
    }

    /// Waits until what was begun in the groups is done; what was done in each of them.
    pub(super) async fn deeds_done(&mut self) -> anyhow::Result<Vec<Done>> {
        let mut all = vec![Done::default(); self.groups.len()];
        let waiting = async {
            while let Some(ended) = self.stewards.join_next().await {
                let (number, done) = ended.context("A steward's task failed")?;
                all[number] = done;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(DEEDS_TIMEOUT, waiting).await {
            Ok(ended) => ended.map(|()| all),
            Err(_) => bail!("What was begun in the groups is not done within {DEEDS_TIMEOUT:?}"),
        }
    }

    /// The groups in which the user may be at some time.
    fn groups_of(&self, user: UserId) -> Vec<Group> {
        let own = self.groups.iter().zip(&self.pools).filter(|(_, pool)| pool.contains(&user));
        own.map(|(group, _)| group.clone()).collect()
    }

    /// Those with whom the user talks, as many as one device may watch.
    fn friends_of(&self, user: UserId) -> Vec<UserId> {
        let pairs = self.pairs.iter().filter(|pair| pair.users.contains(&user));
        let friends = pairs.flat_map(|pair| pair.users).filter(|friend| *friend != user);
        let friends: BTreeSet<UserId> = friends.collect();
        friends.into_iter().take(WATCHED_MAX).collect()
    }

    /// The quiet ones last, and how many are not.
    fn conversations_of(&self, user: UserId) -> (Vec<ConversationId>, usize) {
        let own = self.pairs.iter().filter(|pair| pair.users.contains(&user)).map(|pair| pair.conversation);
        let (quiet, mut all): (Vec<_>, Vec<_>) = own.partition(|conversation| self.quiet.contains(conversation));
        let loud = all.len();
        all.extend(quiet);
        (all, loud)
    }

    /// Tells all clients what to do now.
    pub(super) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Closes all clients.
    pub(super) async fn finish(&mut self) -> anyhow::Result<()> {
        self.order(Order::Finish);
        let closing = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.context("A client's task failed")?;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(FINISH_TIMEOUT, closing).await {
            Ok(closed) => closed,
            Err(_) => bail!("The clients do not close within {FINISH_TIMEOUT:?}"),
        }
    }

    /// How many clients of the plan are there now.
    pub(super) fn there(&self) -> usize {
        self.handles.iter().filter(|handle| handle.client().is_some()).count()
    }

    /// What the clients of the plan wrote down.
    pub(super) fn books(&self) -> Vec<Book> {
        self.handles.iter().map(|handle| handle.book().clone()).collect()
    }

    /// What the fresh devices wrote down.
    pub(super) fn fresh_books(&self) -> Vec<Book> {
        self.fresh.iter().map(|handle| handle.book().clone()).collect()
    }

    /// Everything that is talked in.
    pub(super) fn all(&self) -> Conversations<'_> {
        Conversations { pairs: &self.pairs, groups: &self.groups }
    }

    /// All direct conversations.
    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        self.pairs.iter().map(|pair| pair.conversation).collect()
    }

    /// Judges the receipts, and says how many came.
    pub(super) fn judge_receipts(&self, chronicles: &BTreeMap<ConversationId, Chronicle>, faults: &mut Faults) -> u64 {
        let came = |user: UserId, group: ConversationId| {
            let stay = chronicles.get(&group).and_then(|chronicle| chronicle.last_stay(user));
            stay.map_or(Seq::ZERO, |stay| stay.since)
        };
        let receipts = self.world.receipts.lock().expect("nobody panics while writing");
        receipts.judge(came, faults);
        receipts.count
    }
}

/// A device that has nothing to say.
fn fresh_role(account: Account, groups: Vec<Group>, dice: Dice) -> Role {
    let (conversations, friends, away) = (Vec::new(), Vec::new(), Vec::new());
    Role { account, store: None, conversations, loud: 0, friends, groups, joins: Duration::ZERO, away, dice }
}
