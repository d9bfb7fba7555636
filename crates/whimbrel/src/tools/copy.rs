//! `whimbrel copy`: moves a standalone server's data into a cluster's database.
//!
//! The data folder is held meanwhile, so that no server writes into what is being copied. What is there, how far it is
//! and whether it may be gone on with is the store's to say ([`whimbrel_store::copy`]).

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use whimbrel_store::copy::{self, Copied, CopyError, Progress, Step};
use whimbrel_store::mysql::MySqlConfig;
use whimbrel_store::sqlite::DATABASE_FILE;

use crate::config::{self, flags::ConfigFlags};
use crate::house::data_folder::DataFolder;
use crate::roles::base;

/// The flags of `whimbrel copy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// The stopped server's data folder, or a database file such as a backup's
    #[arg(long, value_name = "sqlite:FOLDER", value_parser = source)]
    from: PathBuf,
    /// The cluster's database, after `whimbrel migrate`; without it: mysql.url of the configuration
    #[arg(long, value_name = "mysql://…")]
    to: Option<SecretString>,
    /// Print one JSON object: rows, written, conversations, tables, seconds
    #[arg(long)]
    json: bool,
}

fn source(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("write sqlite: and the data folder, such as sqlite:whimbrel-data".to_owned()),
    }
}

/// Checked here and not by clap, which says what is wrong together with the text, and the text may hold a password.
fn target(url: SecretString) -> anyhow::Result<SecretString> {
    let is_good = url.expose_secret().strip_prefix("mysql://").is_some_and(|rest| !rest.is_empty());
    ensure!(is_good, "--to names no database; write mysql://user:password@host:port/database");
    Ok(url)
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let from_config = base::mysql(&config::load(&args.config)?.config);
    let to = match args.to {
        Some(url) => MySqlConfig { url: target(url)?, ..from_config },
        None => from_config,
    };
    let began = Instant::now();
    let file = copy::database_file(&args.from);
    let held = hold(&args.from, &file).await?;
    let bar = progress_bar();
    let result = copy::copy(&file, &to, |progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    if let Some(folder) = held {
        folder.release();
    }
    let copied = result.map_err(hinted)?;
    let seconds = began.elapsed().as_secs_f64();
    match args.json {
        true => println!("{}", as_json(&copied, seconds)),
        false => explain(&copied, seconds),
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds the data folder, if a server could use this file: one of another name is nobody's.
async fn hold(from: &Path, file: &Path) -> anyhow::Result<Option<DataFolder>> {
    ensure!(file.is_file(), "There is nothing to copy in {}: there is no {DATABASE_FILE}", from.display());
    if file.file_name().is_none_or(|name| name != DATABASE_FILE) {
        return Ok(None);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let held = DataFolder::open(folder, "copy").await.context("The standalone server must be stopped for this")?;
    Ok(Some(held))
}

fn hinted(error: CopyError) -> anyhow::Error {
    let hint = match &error {
        CopyError::Source(_) => "The data cannot be copied as it is",
        CopyError::Target(_) => "The copy stopped; what is written stays, and the same command goes on behind it",
        CopyError::Refused(_) => "Nothing was written",
        CopyError::Unequal(_) => "The copy cannot be used",
    };
    anyhow::Error::new(error).context(hint)
}

fn as_json(copied: &Copied, seconds: f64) -> serde_json::Value {
    let table = |table: &copy::CopiedTable| json!({"name": table.name, "rows": table.rows, "written": table.written});
    json!({
        "rows": copied.rows(),
        "written": copied.written(),
        "conversations": copied.conversations,
        "tables": copied.tables.iter().map(table).collect::<Vec<_>>(),
        "seconds": seconds,
    })
}

fn explain(copied: &Copied, seconds: f64) {
    let (rows, written) = (copied.rows(), copied.written());
    match written {
        0 => println!("All {rows} rows were there already: nothing was to be done."),
        _ if written < rows => println!("Copied {written} rows in {seconds:.1} s; {} were there.", rows - written),
        _ => println!("Copied {rows} rows in {seconds:.1} s."),
    }
    for table in &copied.tables {
        println!("  {:<13} {:>12}", table.name, table.rows);
    }
    println!("All counts are equal, and so are the ends of all {} conversations.", copied.conversations);
    println!("The cluster needs the same master key: master.key of the data folder, as master_key.file of its roles.");
    println!("Do not start the standalone server on this data again.");
}

fn show(bar: &ProgressBar, progress: Progress) {
    let doing = match progress.step {
        Step::Comparing => "Comparing",
        Step::Copying => "Copying",
        Step::Verifying => "Counting",
    };
    bar.set_message(format!("{doing} {}", progress.table));
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{msg:22} {bar:40} {percent}% of {len} rows").expect("the template is good");
    ProgressBar::new(0).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_named_with_their_engine() {
        assert_eq!(source("sqlite:data"), Ok(PathBuf::from("data")));
        assert!(source("data").is_err() && source("sqlite:").is_err());
        assert!(target("mysql://root@db/whimbrel".into()).is_ok());
        let refused = target("postgres://me:secret@db/x".into()).expect_err("another engine").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
