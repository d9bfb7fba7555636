//! What happens to a connection between the accept loop and its session: who is it, is there room, TLS.
//!
//! Everything slow is in the connection's own task, bounded in time; everyone has a slot, or one of a few refusals.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whimbrel_core::GoodbyeCode;

use super::proxied::{self, Failed, Seldom};
use super::tls::Handshakes;
use crate::Gate;
use crate::figures::Slot;
use crate::goodbye::{End, refuse};
use crate::network::Network;
use crate::session::Session;
use crate::tls::Reloading;

/// Refusals under way at a time; beyond that connections are closed without a word.
const REFUSALS: usize = 64;

pub(super) struct Door {
    gate: Arc<Gate>,
    tls: Option<Handshakes>,
    refusals: Arc<Semaphore>,
    bad_headers: Seldom,
    crowds: Seldom,
}

impl Door {
    pub(super) fn new(gate: Arc<Gate>, tls: Option<Arc<Reloading>>) -> Self {
        let config = &gate.house.config;
        let tls = tls.map(|tls| Handshakes::new(tls, config.handshakes, config.handshake_timeout));
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        Self { gate, tls, refusals, bad_headers: Seldom::default(), crowds: Seldom::default() }
    }

    /// Takes a connection that was just accepted.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Writes are gathered here already; holding them back would only delay.
        let _ = stream.set_nodelay(true);
        let house = &self.gate.house;
        let slot = Slot::take(&house.figures, house.config.max_connections);
        if house.config.trusted_proxies.iter().any(|range| range.contains(peer.ip())) {
            self.admit_proxied(stream, peer.ip(), slot);
            return;
        }
        match slot.and_then(|slot| self.place(slot, Network::of(peer.ip()))) {
            Some(slot) => self.enter(stream, slot),
            None => {
                if let Some(permit) = self.refusal() {
                    tokio::spawn(self.clone().refuse(stream, permit));
                }
            }
        }
    }

    /// Notes where a connection comes from; `None`: too many come from there.
    fn place(&self, mut slot: Slot, from: Network) -> Option<Slot> {
        let house = &self.gate.house;
        if slot.place(from) {
            return Some(slot);
        }
        if self.crowds.is_due(house.clock.ms()) {
            tracing::warn!(
                %from,
                max = house.config.max_connections_per_address,
                "an address has as many connections as one may have, and more are refused; if it is a proxy's, it has \
                 to name its clients (trusted_proxies)"
            );
        }
        None
    }

    fn refusal(&self) -> Option<OwnedSemaphorePermit> {
        self.refusals.clone().try_acquire_owned().ok()
    }

    /// Starts the connection's session.
    fn enter(self: &Arc<Self>, stream: TcpStream, slot: Slot) {
        match &self.tls {
            None => drop(tokio::spawn(Session::new(stream, self.gate.clone(), slot))),
            Some(_) => drop(tokio::spawn(secured(self.clone(), stream, slot))),
        }
    }

    /// A trusted proxy's connection; without a slot only to be refused.
    fn admit_proxied(self: &Arc<Self>, stream: TcpStream, proxy: IpAddr, slot: Option<Slot>) {
        let permit = if slot.is_none() { self.refusal() } else { None };
        if slot.is_some() || permit.is_some() {
            tokio::spawn(proxied(self.clone(), stream, proxy, slot, permit));
        }
    }

    fn note(&self, proxy: IpAddr, failed: &Failed) {
        self.gate.house.figures.goodbye(proxied::NAME);
        if matches!(failed, Failed::Bad(_)) && self.bad_headers.is_due(self.gate.house.clock.ms()) {
            tracing::warn!(%proxy, %failed, "a trusted proxy's connection was closed");
        } else {
            tracing::debug!(%proxy, %failed, "a trusted proxy's connection was closed");
        }
    }

    /// Says that there is no room.
    async fn refuse(self: Arc<Self>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        let config = &self.gate.house.config;
        let end = End::away(config, GoodbyeCode::BUSY);
        self.gate.house.figures.goodbye(end.name());
        match &self.tls {
            None => refuse(stream, &end, config.goodbye_linger).await,
            Some(tls) => {
                // Boxed: refusals without TLS do not pay for its state.
                if let Some(stream) = Box::pin(tls.shake(stream)).await {
                    refuse(stream, &end, config.goodbye_linger).await;
                }
            }
        }
    }
}

async fn secured(door: Arc<Door>, stream: TcpStream, slot: Slot) {
    let gate = door.gate.clone();
    // Boxed, so that the handshake's state is gone when the session begins.
    let stream = Box::pin(async move {
        let tls = door.tls.as_ref()?;
        tokio::select! {
            () = door.gate.house.stopping.cancelled() => None,
            stream = tls.shake(stream) => stream,
        }
    });
    if let Some(stream) = stream.await {
        Session::new(Box::new(stream), gate, slot).await;
    }
}

/// Reads the header first, also of who is refused: what follows it is only understood after it.
async fn proxied(
    door: Arc<Door>,
    mut stream: TcpStream,
    proxy: IpAddr,
    slot: Option<Slot>,
    permit: Option<OwnedSemaphorePermit>,
) {
    let house = &door.gate.house;
    let client = tokio::select! {
        () = house.stopping.cancelled() => return,
        client = proxied::client(&mut stream, house.config.handshake_timeout) => client,
    };
    let client = match client {
        Ok(client) => client,
        Err(failed) => return door.note(proxy, &failed),
    };
    let slot = match (slot, client) {
        (Some(slot), Some(client)) => door.place(slot, Network::of(client)),
        // The proxy's own connections are not counted: nobody else's room depends on them.
        (slot, _) => slot,
    };
    match slot {
        Some(slot) => door.enter(stream, slot),
        None => {
            if let Some(permit) = permit.or_else(|| door.refusal()) {
                door.clone().refuse(stream, permit).await;
            }
        }
    }
}
