//! What messages of before there was searching say: taken up once, beside retention and in steps as small as its.
//!
//! A step is one transaction that also notes how far it came: whoever is killed leaves a beginning, and whoever comes next
//! goes on there. What is placed meanwhile has its text from the beginning, so nothing falls between.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};
use whimbrel_store::Search;

/// Messages of one step: their words are written by whoever places messages.
const STEP: usize = 200;
/// A database that is away is asked again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// Takes up everything; returns when there is nothing left. `pause`: after each step.
pub(super) async fn take_up(search: Arc<dyn Search>, pause: Duration) {
    let mut steps = 0_u64;
    loop {
        match search.take_up(STEP).await {
            Ok(true) => {
                steps += 1;
                sleep(pause).await;
            }
            Ok(false) if steps == 0 => return,
            Ok(false) => return info!(steps, "what messages from before say can be searched now"),
            Err(error) => {
                warn!(%error, "messages from before wait to be taken up for searching");
                sleep(AGAIN).await;
            }
        }
    }
}
