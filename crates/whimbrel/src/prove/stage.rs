//! The people of a run, their devices at work, and the orders to all of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use whimbrel_client::{ConversationId, UserId};

use super::Doors;
use super::accounts::{Account, Accounts};
use super::clients::{Actor, Handle, Order, Role, World};
use super::dice::Dice;
use super::ledger::Book;
use super::plan::Plan;
use super::punctual::{Punctual, Slowest};
use super::receipts::Receipts;
use super::settle::Pair;
use super::verdict::Faults;

/// Access tokens live longer than any run.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// After they were told to, all clients close within this.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
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
    /// Those of them in which hardly anything is said.
    quiet: BTreeSet<ConversationId>,
    users: Vec<UserId>,
    seed: u64,
    orders: watch::Sender<Order>,
    tasks: JoinSet<()>,
}

impl Stage {
    /// Makes accounts and friendships, and lets the clients begin.
    pub(super) async fn open(doors: &Doors, plan: &Plan, seed: u64, rate: u32, folder: &Path) -> anyhow::Result<Self> {
        let admin = Accounts::new(&doors.api, &doors.admin_key)?;
        let users = admin.users(plan.users).await?;
        let owners: Vec<_> = plan.devices.iter().map(|device| users[device.user]).collect();
        let accounts = admin.devices(&owners, TOKEN_TTL).await?;
        let friends: Vec<_> = plan.pairs.iter().map(|(a, b)| (users[*a], users[*b])).collect();
        let conversations = admin.befriend(&friends).await?;
        let pair = |(conversation, (a, b)): (ConversationId, (UserId, UserId))| Pair { conversation, users: [a, b] };
        let pairs: Vec<Pair> = conversations.into_iter().zip(friends).map(pair).collect();

        let (orders, order) = watch::channel(Order::Load);
        let world = Arc::new(World {
            began: Instant::now(),
            server: doors.clients.clone(),
            api: doors.api.clone(),
            order,
            receipts: Mutex::new(Receipts::default()),
            punctual: Mutex::new(Punctual::default()),
            send_every: Duration::from_secs_f64(plan.devices.len() as f64 / f64::from(rate)),
            drafted: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            first_sent_ms: AtomicU64::new(0),
            slowest_sent: Mutex::new(Slowest::default()),
            slowest_shown_ms: AtomicU64::new(0),
        });
        let (handles, fresh, tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        let quiet = plan.quiet.iter().map(|pair| pairs[*pair].conversation).collect();
        let mut stage = Self { world, handles, fresh, pairs, quiet, users, seed, orders, tasks };
        for (index, (device, account)) in plan.devices.iter().zip(accounts).enumerate() {
            let (conversations, loud) = stage.conversations_of(account.user);
            let role = Role {
                store: device.file.then(|| folder.join(format!("device-{index}.db"))),
                conversations,
                loud,
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
            let role = fresh_role(account, Dice::new(self.seed, CLIENT_DICE + index as u64));
            let handle = self.spawn(index, role);
            self.fresh.push(handle);
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize, role: Role) -> Arc<Handle> {
        let handle = Handle::new(index, &role.account);
        self.tasks.spawn(Actor::new(self.world.clone(), role, handle.clone()).run());
        handle
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

    /// All direct conversations.
    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        self.pairs.iter().map(|pair| pair.conversation).collect()
    }

    /// Judges the receipts, and says how many came.
    pub(super) fn judge_receipts(&self, faults: &mut Faults) -> u64 {
        let receipts = self.world.receipts.lock().expect("nobody panics while writing");
        receipts.judge(faults);
        receipts.count
    }
}

/// A device that has nothing to say.
fn fresh_role(account: Account, dice: Dice) -> Role {
    Role { account, store: None, conversations: Vec::new(), loud: 0, joins: Duration::ZERO, away: Vec::new(), dice }
}
