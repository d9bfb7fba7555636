//! Collecting: uploads that rest and files that no message refers to, in small steps; then their content, where it rests.
//!
//! Any number of APIs may do it at once: rows are locked one by one, and removing twice is harmless.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use whimbrel_store::StoreError;

use crate::error::chain;
use crate::shared::{Shared, now_ms};

/// Files of one step.
const STEP: usize = 100;
/// Between two steps, so that others get their turn.
const PAUSE: Duration = Duration::from_millis(50);

/// Collects now and then, until told to stop.
pub(crate) async fn keep_collecting(app: &Shared, stop: CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(app.config.files.collect_every).await;
            if let Err(error) = collect(app).await {
                tracing::warn!(error = %chain(&error), "files could not be collected; it is tried again");
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Collects everything that is to be collected now; how many files these were.
pub(crate) async fn collect(app: &Shared) -> Result<usize, StoreError> {
    let limits = &app.config.files;
    let ago = |time: Duration| now_ms().saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let (uploads, files) = (ago(limits.keep_unfinished), ago(limits.keep_unattached));
    let mut collected = 0;
    loop {
        let step = app.files().collect(uploads, files, STEP).await?;
        collected += step;
        if step == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    metrics::counter!("whimbrel_files_collected_total").increment(collected as u64);
    loop {
        let trash = app.files().trash(STEP).await?;
        let mut removed = Vec::new();
        for id in trash {
            match app.blobs().remove(id).await {
                Ok(()) => removed.push(id),
                Err(error) => tracing::warn!(%id, error = %chain(&error), "content could not be removed yet"),
            }
        }
        if removed.is_empty() {
            return Ok(collected);
        }
        app.files().swept(&removed).await?;
        tokio::time::sleep(PAUSE).await;
    }
}
