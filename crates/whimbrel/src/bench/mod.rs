//! `whimbrel bench`: the product's own load generator.
//!
//! It speaks the wire by itself and not through the SDK, since it shares its machine with the server that it measures;
//! but it keeps the protocol's rules, and checks every message: its bytes, its place, and that it came once and in
//! order. What it found wrong is part of the result, and of the exit code.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the flags |
//! | `target` | the server that is measured, and its private one if it is |
//! | `usage` | processor time and memory of a process |
//! | `session` | one connection |
//! | `body`, `places` | what messages consist of, and which came |
//! | `filling` | messages that are there before |
//! | `idle`, `direct`, `group`, `history`, `unread`, `files`, `search` | the measurements |

mod args;
mod body;
mod direct;
mod files;
mod filling;
mod group;
mod history;
mod idle;
mod places;
mod report;
mod search;
mod session;
mod target;
mod unread;
mod usage;

use std::process::ExitCode;

use anyhow::ensure;
use rustix::process::{Resource, getrlimit};

use crate::house::descriptors;
pub(crate) use args::Args;

/// What this process opens besides its sessions.
const OTHER_FILES: u64 = 64;

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        args::What::Idle(args) => idle::run(args).await,
        args::What::Direct(args) => direct::run(args).await,
        args::What::Group(args) => group::run(args).await,
        args::What::LargeGroup(args) => group::run_large(args).await,
        args::What::History(args) => history::run(args).await,
        args::What::Unread(args) => unread::run(args).await,
        args::What::Files(args) => files::run(args).await,
        args::What::Search(args) => search::run(args).await,
    }
}

/// Raises the limit of open files as far as it goes.
///
/// # Errors
/// When so many sessions do not fit.
fn make_room(sessions: usize) -> anyhow::Result<()> {
    descriptors::make_room(sessions as u64);
    let limit = getrlimit(Resource::Nofile).current;
    ensure!(
        limit.is_none_or(|limit| limit >= sessions as u64 + OTHER_FILES),
        "{sessions} sessions do not fit into the limit of open files, {}; raise it (ulimit -Hn) or take fewer --clients",
        limit.unwrap_or_default()
    );
    Ok(())
}
