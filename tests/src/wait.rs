//! Waiting for a state, never for a time: every wait names what it waits for and fails with that name.

use std::future::Future;
use std::time::Duration;

/// How long anything may take before a test says that it does not happen. Far above what it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `future` resolves.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    within(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
