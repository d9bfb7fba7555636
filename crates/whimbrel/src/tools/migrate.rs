//! `whimbrel migrate`: makes the tables of a cluster's database, or brings them up to what this program knows.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use whimbrel_store::mysql::{self, MySqlConfig, OpenError};

use crate::config::{self, flags::ConfigFlags};
use crate::roles::base;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// The flags of `whimbrel migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// Wait for a database that does not answer yet, at most so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Print one JSON object: from, to
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = base::mysql(&config::load(&args.config)?.config);
    let mysql::Migrated { from, to } =
        migrate(&config, Duration::from_secs(args.wait)).await.context("The database was not migrated")?;
    match (args.json, from == to) {
        (true, _) => println!("{}", json!({"from": from, "to": to})),
        (false, true) => println!("The schema has number {to}: nothing was to be done."),
        (false, false) => println!("The schema has number {to} now; it had {from}."),
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(config: &MySqlConfig, wait: Duration) -> Result<mysql::Migrated, OpenError> {
    let began = Instant::now();
    let mut waiting = false;
    loop {
        match mysql::migrate(config, &mut |step| eprintln!("  {step}")).await {
            Err(OpenError::Away(reason)) if began.elapsed() < wait => {
                if !std::mem::replace(&mut waiting, true) {
                    eprintln!("  waiting: {reason}");
                }
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}
