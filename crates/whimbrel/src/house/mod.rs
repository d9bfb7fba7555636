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
    keep_pages_small();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("The runtime could not be started")
}

/// The allocator asks for huge pages (2 MiB), and keeps a heap for each thread: a thread that waits for a disk and holds a
/// few kilobytes would take megabytes. Measured, they make nothing faster here; a system that cannot be told is none the worse.
fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
