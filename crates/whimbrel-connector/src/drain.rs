//! Leaving politely: stop accepting, have everybody move, each in their own time slot.

use std::sync::atomic::Ordering;
use std::time::Duration;

use whimbrel_core::{GoodbyeCode, limits};

use crate::House;
use crate::config::wire_ms;
use crate::mailbox::Close;

/// Returns when everybody is gone, or `within` has passed.
pub(crate) async fn run(house: &House, within: Duration) {
    // In this order: a connection that is accepted meanwhile finds the token cancelled, or is found in the hub.
    house.stopping.cancel();
    let handles = house.hub.all();
    let spread = u64::from(wire_ms(house.config.drain_spread));
    let count = handles.len() as u64;
    for (slot, handle) in (0u64..).zip(handles) {
        // 0 would be no hint at all.
        let retry_after_ms = (1 + slot * spread / count) as u32;
        handle.mailbox.close(Close { code: GoodbyeCode::MOVING, retry_after_ms });
        handle.waker.wake();
    }
    if tokio::time::timeout(within, house.figures.wait_empty()).await.is_err() {
        let left = house.figures.connections();
        tracing::warn!(left, "connections were still open at the end of the drain");
    }
    leave(house).await;
}

/// Ends the lease, so that nobody waits for this connector. Unless it runs out first, which needs nobody's answer.
async fn leave(house: &House) {
    house.lease.leaving.cancel();
    if house.started.load(Ordering::SeqCst)
        && tokio::time::timeout(limits::LEASE, house.lease.left.cancelled()).await.is_err()
    {
        tracing::warn!("no transfer took this connector's leave; its lease runs out by itself");
    }
}
