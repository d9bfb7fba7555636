//! `whimbrel backup`: a copy of a data folder, of one moment, while its server runs or not.
//!
//! The copy is a data folder itself: a server starts on it. Nothing is ever written over.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use whimbrel_store::sqlite::{self, DATABASE_FILE};

use crate::config::flags::ConfigFlags;
use crate::config::{self, Config};
use crate::house::{master_key, secret_file};

/// The flags of `whimbrel backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// The folder to make, and to copy into; it must not be there yet
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Leave the master key out: the copy is then worth nothing to whoever finds it, and to you without your own key
    #[arg(long)]
    without_master_key: bool,
    /// Print one JSON object: folder, bytes, master_key, seconds
    #[arg(long)]
    json: bool,
}

/// What was copied.
struct Copied {
    bytes: u64,
    master_key: bool,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config)?.config;
    let began = Instant::now();
    let to = args.to.clone();
    let copied = tokio::task::spawn_blocking(move || copy(&config, &to, !args.without_master_key))
        .await
        .context("The copying ended early")??;
    let seconds = began.elapsed().as_secs_f64();
    let (folder, master_key) = (args.to.display(), copied.master_key);
    if args.json {
        let folder = folder.to_string();
        println!("{}", json!({"folder": folder, "bytes": copied.bytes, "master_key": master_key, "seconds": seconds}));
    } else {
        explain(&args.to, &copied, seconds);
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(to: &Path, copied: &Copied, seconds: f64) {
    let folder = to.display();
    println!("Copied {} bytes to {folder} in {seconds:.1} s.", copied.bytes);
    match copied.master_key {
        true => println!("The master key is in it: keep it as you keep the data folder itself."),
        false => println!("The master key is not in it: to restore, put it beside as {}.", master_key::FILE),
    }
    println!("To restore: stop the server, copy {folder} to where the data folder shall be, and start it:");
    println!("  cp -a {folder} whimbrel-data && whimbrel standalone --data whimbrel-data");
}

fn copy(config: &Config, to: &Path, with_master_key: bool) -> anyhow::Result<Copied> {
    let data = &config.data.folder;
    let database = data.join(DATABASE_FILE);
    ensure!(database.exists(), "{} is no data folder: there is no {DATABASE_FILE} in it", data.display());
    if to.exists() {
        bail!("{} is there already; nothing is ever written over, so name a new folder", to.display());
    }
    let key = if with_master_key { read_master_key(config)? } else { None };
    make(to)?;
    let bytes = copy_database(&database, &to.join(DATABASE_FILE)).inspect_err(|_| {
        // Only what this call made, and only while it is empty.
        drop(std::fs::remove_dir(to));
    })?;
    if let Some(text) = &key {
        secret_file::create(&to.join(master_key::FILE), text)?;
    }
    sync_folder(to)?;
    Ok(Copied { bytes, master_key: key.is_some() })
}

/// Before anything is made: a backup that was to have the key and cannot have it does not begin.
fn read_master_key(config: &Config) -> anyhow::Result<Option<String>> {
    let Some(file) = master_key::file(&config.master_key, &config.data.folder) else { return Ok(None) };
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("The master key {} cannot be read; to leave it out, say --without-master-key", file.display())
    })?;
    Ok(Some(text))
}

fn make(to: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(to).with_context(|| format!("{} cannot be made", to.display()))
}

fn copy_database(from: &Path, to: &Path) -> anyhow::Result<u64> {
    let bar = progress_bar();
    sqlite::backup(from, to, |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })
    .context("The database could not be copied")?;
    bar.finish_and_clear();
    Ok(std::fs::metadata(to).with_context(|| format!("{} cannot be read", to.display()))?.len())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("Copying {bar:40} {percent}% of {len} pages").expect("the template is good");
    ProgressBar::new(0).with_style(style)
}

/// A file's name is on disk once its folder is.
fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} could not be written to disk", folder.display()))
}
