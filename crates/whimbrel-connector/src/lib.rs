//! The connector: holds sockets, and nothing else.
//!
//! It turns bytes into requests for a transfer and pushes into bytes, and enforces the session protocol of
//! `proto/whimbrel/client/v1/client.proto`: each violation ends the session with its named goodbye. It reaches no
//! database and keeps nothing that outlives a connection. What is lost here comes again by outbox and sync.
//!
//! Invariants, above all the absences:
//! * one task per connection and no more; no read buffer, no write buffer, no timer and no queue memory while idle;
//! * nothing waits in memory beyond the bounds of [`Config`]; a slow client costs what these say and delays nobody;
//! * a session is in the hub before the transfer hears of it, and is detached exactly once after;
//! * the transfer is never called under a lock;
//! * a peer's word about a client's address is taken from trusted proxies only.
//!
//! | module | owns |
//! |---|---|
//! | `listen` | accepting; proxies' headers; TLS handshakes; refusing when full |
//! | `proxy` | the PROXY protocol's header |
//! | `network` | where clients come from |
//! | `login` | Hello → Welcome |
//! | `session` | the task of a connection: reading, writing, deadlines |
//! | `inbound` | the protocol's rules for what a client sends; frames → requests |
//! | `outbound` | pushes → frames, encoded once; [`Push`] |
//! | `fan_out` | one push for the members of a group |
//! | `mailbox` | what waits for one session, and what happens when it is full |
//! | `hub` | session id → session, user → sessions |
//! | `goodbye` | why sessions end, and how they are told |
//! | `arrivals`, `departures` | telling the transfer who comes and who left, many at a time |
//! | `watching` | who watches whose presence, and what they are told |
//! | `lease` | that routes lead here: renewing, asserting |
//! | `pokes` | poking many, spread over time |
//! | `sweep` | the one clock that wakes sessions whose time has come |
//! | `drain` | leaving politely |
//! | [`tls`] | certificates, re-read when they change |

mod arrivals;
mod clock;
mod config;
mod departures;
mod drain;
mod fan_out;
mod figures;
mod goodbye;
mod hub;
mod inbound;
mod lease;
mod listen;
mod login;
mod mailbox;
mod network;
mod outbound;
mod pokes;
mod proxy;
mod rate;
mod session;
mod sweep;
pub mod tls;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use whimbrel_core::ConnectorId;
use whimbrel_rpc::token::TokenKey;
use whimbrel_rpc::{Push, Rosters, Transfer};

pub use config::Config;
pub use listen::bind;

use arrivals::Arrivals;
use clock::Clock;
use departures::Departures;
use figures::Figures;
use hub::Hub;
use lease::Lease;
use pokes::Pokes;
use watching::Watching;

/// A connector. Cloning gives another handle on the same one.
#[derive(Clone)]
pub struct Connector {
    house: Arc<House>,
}

/// What all parts of one connector share.
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) id: ConnectorId,
    pub(crate) token_key: Arc<TokenKey>,
    pub(crate) hub: Hub,
    /// Of the groups that pushes were for.
    pub(crate) rosters: Rosters,
    pub(crate) figures: Arc<Figures>,
    pub(crate) clock: Clock,
    /// Set once, by drain: no connection is accepted from then on.
    pub(crate) stopping: CancellationToken,
    pub(crate) lease: Lease,
    pub(crate) pokes: Pokes,
    /// The sweep and the lease run.
    pub(crate) started: AtomicBool,
}

/// What the connections that speak to one transfer share.
pub(crate) struct Gate {
    pub(crate) house: Arc<House>,
    pub(crate) transfer: Arc<dyn Transfer>,
    pub(crate) arrivals: Arrivals,
    pub(crate) departures: Departures,
    pub(crate) watching: Watching,
}

impl Connector {
    /// A connector that does not listen yet. Its figures go to the metrics recorder that is installed now.
    pub fn new(config: Config, id: ConnectorId, token_key: Arc<TokenKey>) -> Self {
        let figures = Arc::new(Figures::new(config.max_connections_per_address));
        let rosters = Rosters::new(config.roster_members_cached);
        Self {
            house: Arc::new(House {
                config,
                id,
                token_key,
                hub: Hub::default(),
                rosters,
                figures,
                clock: Clock::start(),
                stopping: CancellationToken::new(),
                lease: Lease::default(),
                pokes: Pokes::default(),
                started: AtomicBool::new(false),
            }),
        }
    }

    /// The way to this connector's sessions, for transfers.
    pub fn push(&self) -> Arc<dyn Push> {
        Arc::new(outbound::HubPush::new(self.house.clone()))
    }

    /// Accepts connections on `listener` until [`Connector::drain`], with TLS if there is a certificate, once the lease
    /// was asked for. May be called for several listeners; the first one's transfer renews the lease. Needs a tokio
    /// runtime.
    pub fn start(&self, listener: TcpListener, tls: Option<Arc<tls::Reloading>>, transfer: Arc<dyn Transfer>) {
        let (house, departures) = (self.house.clone(), Departures::start(transfer.clone()));
        let gate = Arc::new(Gate {
            house,
            transfer,
            arrivals: Arrivals::default(),
            departures,
            watching: Watching::default(),
        });
        if !self.house.started.swap(true, Ordering::SeqCst) {
            tokio::spawn(sweep::run(Arc::downgrade(&self.house)));
            tokio::spawn(lease::run(gate.clone()));
        }
        tokio::spawn(async move {
            tokio::select! {
                () = gate.house.stopping.cancelled() => return,
                () = gate.house.lease.answered.cancelled() => {}
            }
            listen::accept(listener, tls, gate).await;
        });
    }

    /// Sessions that were welcomed and have not ended.
    pub fn sessions(&self) -> usize {
        self.house.figures.sessions()
    }

    /// Connections of any kind: also those that have not said Hello and those that are being closed.
    pub fn connections(&self) -> usize {
        self.house.figures.connections()
    }

    /// Leaves politely: stops accepting, tells every client to move, each in its own time slot, and returns when all
    /// are gone (and detached) or `within` has passed. The lease ends with it. For good: a drained connector does not
    /// accept again.
    pub async fn drain(&self, within: Duration) {
        drain::run(&self.house, within).await;
    }
}
