//! `whimbrel migrate`: makes the tables of a cluster's database, or brings them up to what this program knows.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use whimbrel_store::mysql;

use crate::config::{self, flags::ConfigFlags};
use crate::roles::base;

/// The flags of `whimbrel migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// Change nothing; exit with 1 if something is to be done
    #[arg(long)]
    check: bool,
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
    let wait = std::time::Duration::from_secs(args.wait);
    let (from, to) = match args.check {
        true => (mysql::schema_number(&config, wait).await.context("The schema cannot be read")?, mysql::SCHEMA),
        false => mysql::migrate(&config, wait, |step| eprintln!("  {step}")).await.context("The migration stopped")?,
    };
    match (args.json, args.check, from == to) {
        (true, _, _) => println!("{}", json!({"from": from, "to": to})),
        (_, _, true) => println!("The schema has number {to}: nothing is to be done."),
        (_, true, false) => println!("The schema has number {from}, and this program needs {to}: run whimbrel migrate."),
        (_, false, false) => println!("The schema has number {to} now; it had {from}."),
    }
    Ok(if args.check && from != to { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
