//! What others changed in the directory and may not have lived to tell: log-outs, and rows.
//!
//! Every transfer looks every [`Config::watch_every`](crate::Config). What it finds in the time that two looks have in
//! common was handled by the first; so the log-outs that one look finds are all that has to be remembered for the next.
//! Rows that were told while nobody knew who is where are not counted as told: a connector may be out of reach. They are
//! told again, once, when that is known again; meanwhile they must not hide later ones.
//!
//! An engine that fails is written down once, and what was missed meanwhile is found by the look that succeeds.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use whimbrel_core::{ConversationId, GoodbyeCode, PlacedRow, Seq};
use whimbrel_rpc::{PlacedBatch, Revoked, Through};
use whimbrel_store::directory::LoggedOut;
use whimbrel_store::{Directory, StoreError};

use crate::Config;
use crate::announcing::Announcing;
use crate::attach::Attaching;
use crate::clock::now_ms;
use crate::closings::Closings;

/// Log-outs that are remembered; beyond it they are closed again, which harms nobody.
const HANDLED_MAX: usize = 100_000;
/// Rows that are told once for each time without UserStatus, by every transfer; those beyond them are told when it is
/// back.
const BLIND_MAX: usize = 4096;
/// How far back log-outs are looked for after the engine was away, at most.
const BACK_MAX: Duration = Duration::from_secs(3000);

pub(crate) struct Watch {
    pub(crate) config: Arc<Config>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) attaching: Arc<Attaching>,
    pub(crate) announcing: Arc<Announcing>,
    pub(crate) closings: Arc<Closings>,
}

/// What the last look found.
struct Seen {
    handled: HashSet<LoggedOut>,
    /// Rows that were told without knowing who is where.
    blindly: HashSet<(ConversationId, Seq)>,
    /// When log-outs were last read.
    at: u64,
    failing: bool,
}

impl Watch {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut seen = Seen { handled: HashSet::new(), blindly: HashSet::new(), at: now_ms(), failing: false };
        let rounds = async {
            loop {
                tokio::time::sleep(self.config.watch_every).await;
                self.closings.again().await;
                let looked = match self.log_outs(&mut seen).await {
                    Ok(()) => self.untold(&mut seen.blindly).await,
                    failed => failed,
                };
                match &looked {
                    Ok(()) if seen.failing => info!("the directory answers again"),
                    Err(error) if !seen.failing => {
                        warn!(%error, "log-outs and changes by others cannot be read; they take effect later");
                    }
                    _ => {}
                }
                seen.failing = looked.is_err();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = rounds => {}
        }
    }

    async fn log_outs(&self, seen: &mut Seen) -> Result<(), StoreError> {
        let now = now_ms();
        let since = seen.at.max(before(now, BACK_MAX));
        let found = self.directory.logged_out_since(before(since, self.config.watch_back)).await?;
        let new = found.iter().filter(|found| !seen.handled.contains(*found));
        let revoked: Vec<Revoked> = new
            .map(|LoggedOut { user, device }| {
                let code = if device.is_some() { GoodbyeCode::LOGGED_OUT } else { GoodbyeCode::ACCOUNT_GONE };
                Revoked { user: *user, device: *device, code }
            })
            .collect();
        if !revoked.is_empty() {
            self.attaching.revoke(revoked).await;
        }
        seen.handled = found.into_iter().take(HANDLED_MAX).collect();
        seen.at = now;
        Ok(())
    }

    /// Tells rows that whoever placed them did not. They count as told once every connector of their audience has
    /// them; those of which that is not certain are left to the next look, here or elsewhere.
    async fn untold(&self, blindly: &mut HashSet<(ConversationId, Seq)>) -> Result<(), StoreError> {
        let before = before(now_ms(), self.config.untold_after);
        let mut rows = self.directory.untold(before, self.config.untold_max + blindly.len()).await?;
        if rows.is_empty() || !blindly.is_empty() && self.sees(&rows[0]).await {
            blindly.clear();
        }
        rows.retain(|row| !blindly.contains(&place(row)));
        rows.truncate(self.config.untold_max);
        if rows.is_empty() {
            return Ok(());
        }
        counter!("whimbrel_transfer_untold_rows_total").increment(rows.len() as u64);
        debug!(rows = rows.len(), "rows are told whose writer did not");
        match self.tell(rows.clone()).await {
            Telling::Done => return self.directory.told(&places(&rows)).await,
            Telling::Blind => {
                blindly.extend(places(&rows).into_iter().take(BLIND_MAX.saturating_sub(blindly.len())));
                return Ok(());
            }
            Telling::Unreached => {}
        }
        // One whose audience is out of reach must not keep the others here.
        let mut told = Vec::new();
        for row in rows {
            let place = places(std::slice::from_ref(&row));
            if self.tell(vec![row]).await == Telling::Done {
                told.extend(place);
            }
        }
        if told.is_empty() { Ok(()) } else { self.directory.told(&told).await }
    }

    /// Whether it is known who is where.
    async fn sees(&self, row: &PlacedRow) -> bool {
        // A large group's audience names nobody to ask for.
        let someone = row.audience.named().chain([row.message.sender]);
        self.announcing.reach.locate(someone.collect()).await.is_known()
    }

    async fn tell(&self, rows: Vec<PlacedRow>) -> Telling {
        let told = self.announcing.placed(vec![PlacedBatch { rows, ..PlacedBatch::default() }], Through::All).await;
        match (told.blind, told.unreached.is_empty()) {
            (true, _) => Telling::Blind,
            (false, false) => Telling::Unreached,
            (false, true) => Telling::Done,
        }
    }
}

/// Who has got rows.
#[derive(Debug, PartialEq, Eq)]
enum Telling {
    /// Every connector of their audience.
    Done,
    /// A connector of their audience has not.
    Unreached,
    /// Every connector in reach; nobody knows whether that is all of them.
    Blind,
}

fn place(row: &PlacedRow) -> (ConversationId, Seq) {
    (row.message.conversation, row.message.seq)
}

fn places(rows: &[PlacedRow]) -> Vec<(ConversationId, Seq)> {
    rows.iter().map(place).collect()
}

fn before(at: u64, by: Duration) -> u64 {
    at.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}
