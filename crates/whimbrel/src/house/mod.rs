//! What every role lives in. Nothing here knows what a message is.

pub(crate) mod admin;
pub(crate) mod data_folder;
pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod master_key;
pub(crate) mod panics;
pub(crate) mod secret_file;
pub(crate) mod signal;
pub(crate) mod telemetry;
pub(crate) mod tls;

use anyhow::Context;

/// The process's runtime: one worker for each processor.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("The runtime could not be started")
}
