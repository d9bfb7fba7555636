//! `whimbrel backup`: a copy of a data folder, of one moment, while its server runs or not.
//!
//! First the database, then the files that people sent: what the database names is among these. The copy is a data folder
//! itself: a server starts on it. Nothing is ever written over. A copy that was interrupted says so (`unfinished`) and has
//! no database yet; the same command goes on with it: the database anew, and of the files those that are missing.

mod files;

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
use files::Files;

/// In a copy that is not whole.
const UNFINISHED: &str = "unfinished";
/// What the database is called there.
const GROWING: &str = "whimbrel.db.copying";
/// The folder of files in a copy.
const FILES: &str = "files";

/// The flags of `whimbrel backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// The folder to make, and to copy into; it must not be there yet, unless this was interrupted
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Leave the master key out: the copy is then worth nothing to whoever finds it, and to you without your own key
    #[arg(long)]
    without_master_key: bool,
    /// Leave the files out that people sent: only the database is copied
    #[arg(long)]
    without_files: bool,
    /// Print one JSON object: folder, bytes, master_key, files, seconds
    #[arg(long)]
    json: bool,
}

/// What was copied.
struct Copied {
    bytes: u64,
    master_key: bool,
    files: Result<Files, Without>,
}

/// Why files were not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Without {
    /// They are in this bucket.
    Bucket(String),
    /// That was asked for.
    Asked,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config)?.config;
    let began = Instant::now();
    let to = args.to.clone();
    let copied = tokio::task::spawn_blocking(move || copy(&config, &to, !args.without_master_key, !args.without_files))
        .await
        .context("The copying ended early")??;
    let seconds = began.elapsed().as_secs_f64();
    let (folder, master_key) = (args.to.display(), copied.master_key);
    if args.json {
        let files = copied.files.ok();
        let files = files.map(|files| json!({"copied": files.copied, "bytes": files.bytes, "there": files.there}));
        let (folder, bytes) = (folder.to_string(), copied.bytes);
        let all =
            json!({"folder": folder, "bytes": bytes, "master_key": master_key, "files": files, "seconds": seconds});
        println!("{all}");
    } else {
        explain(&args.to, &copied, seconds);
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(to: &Path, copied: &Copied, seconds: f64) {
    let folder = to.display();
    println!("Copied {} bytes to {folder} in {seconds:.1} s.", copied.bytes);
    match &copied.files {
        Ok(Files { copied, bytes, there: 0 }) => println!("With {copied} files, {bytes} bytes."),
        Ok(Files { copied, bytes, there }) => {
            println!("With {copied} files, {bytes} bytes, and {there} that were in it already.");
        }
        Err(Without::Asked) => println!("Without the files that people sent."),
        Err(Without::Bucket(name)) => {
            println!(
                "The files that people sent are in the bucket {name:?} and not in this copy: have that one backed up."
            );
        }
    }
    match copied.master_key {
        true => println!("The master key is in it: keep it as you keep the data folder itself."),
        false => println!("The master key is not in it: to restore, put it beside as {}.", master_key::FILE),
    }
    println!("To restore: stop the server, copy {folder} to where the data folder shall be, and start it:");
    println!("  cp -a {folder} whimbrel-data && whimbrel standalone --data whimbrel-data");
}

fn copy(config: &Config, to: &Path, with_master_key: bool, with_files: bool) -> anyhow::Result<Copied> {
    let data = &config.data.folder;
    let database = data.join(DATABASE_FILE);
    ensure!(database.exists(), "{} is no data folder: there is no {DATABASE_FILE} in it", data.display());
    let is_resumed = to.join(UNFINISHED).exists();
    if to.exists() && !is_resumed {
        bail!("{} is there already; nothing is ever written over, so name a new folder", to.display());
    }
    let key = if with_master_key { read_master_key(config)? } else { None };
    if is_resumed {
        // What is in it is this command's: it begins anew with what is not kept apart.
        let _ = std::fs::remove_file(to.join(GROWING));
    } else {
        make(to)?;
        secret_file::create(&to.join(UNFINISHED), "This copy is not whole: give the same whimbrel backup again.")?;
    }
    let bytes = copy_database(&database, &to.join(GROWING)).inspect_err(|_| {
        // Only what this call made, and only while nothing else is in it.
        if !is_resumed {
            drop(std::fs::remove_file(to.join(UNFINISHED)));
            drop(std::fs::remove_dir(to));
        }
    })?;
    if let Some(text) = key.as_ref().filter(|_| !to.join(master_key::FILE).exists()) {
        secret_file::create(&to.join(master_key::FILE), text)?;
    }
    let files = match &config.files.bucket {
        _ if !with_files => Err(Without::Asked),
        Some(bucket) => Err(Without::Bucket(bucket.name.clone())),
        None => Ok(files::copy(&config.files.folder(data), &to.join(FILES))?),
    };
    std::fs::rename(to.join(GROWING), to.join(DATABASE_FILE)).context("The copy cannot be given its name")?;
    sync_folder(to)?;
    std::fs::remove_file(to.join(UNFINISHED)).context("The copy cannot be called whole")?;
    sync_folder(to)?;
    Ok(Copied { bytes, master_key: key.is_some(), files })
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
    let bar = progress_bar("pages", 0);
    sqlite::backup(from, to, |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })
    .context("The database could not be copied")?;
    bar.finish_and_clear();
    Ok(std::fs::metadata(to).with_context(|| format!("{} cannot be read", to.display()))?.len())
}

/// A bar of `len` steps of copying these.
fn progress_bar(what: &str, len: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!("Copying {what} {{bar:40}} {{percent}}%");
    let style = ProgressStyle::with_template(&template).expect("the template is good");
    ProgressBar::new(len).with_style(style)
}

/// A file's name is on disk once its folder is.
fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} could not be written to disk", folder.display()))
}
