//! The one clock of all sessions: wakes those whose time has come. What their time has come for they know themselves.

use std::sync::Weak;

use tokio::time::{MissedTickBehavior, interval};

use crate::House;

/// Runs as long as there is a connector.
pub(crate) async fn run(house: Weak<House>) {
    let Some(every) = house.upgrade().map(|house| house.config.sweep_every()) else { return };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(house) = house.upgrade() else { return };
        house.hub.wake_due(house.clock.ms());
    }
}
