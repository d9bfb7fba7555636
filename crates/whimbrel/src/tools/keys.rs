//! `whimbrel keys rotate`: a new master key, with which every conversation key is wrapped again.
//!
//! At every moment the file holds every key that anything in the database needs: the new key is added before anything
//! is wrapped with it, and the old one is only forgotten, when asked for, after nothing needs it. Interrupted at any
//! point, the command can be run again.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use whimbrel_store::Directory;
use whimbrel_store::keyring::{Keyring, MasterKey};
use whimbrel_store::mysql::MySqlStore;
use whimbrel_store::sqlite::{DATABASE_FILE, SqliteStore};

use crate::config::flags::ConfigFlags;
use crate::config::{self, Config};
use crate::house::data_folder::DataFolder;
use crate::house::{master_key, secret_file};
use crate::roles::base::mysql;

/// The flags of `whimbrel keys`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a fresh master key, as master_key.keys takes it
    New,
    /// Wrap the keys of a cluster's conversations with the first of master_key.keys; the roles may run meanwhile
    Rewrap {
        #[command(flatten)]
        config: ConfigFlags,
        /// Print one JSON object: rewrapped
        #[arg(long)]
        json: bool,
    },
    /// Make a new master key the current one, and wrap every conversation key with it (the server must be stopped)
    Rotate {
        #[command(flatten)]
        config: ConfigFlags,
        /// Take the former keys out of the file afterwards; backups made before then need a copy of them
        #[arg(long)]
        forget_old: bool,
        /// Print one JSON object: current, rewrapped, kept
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::New => {
            println!("{}", MasterKey::generate().to_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Rewrap { config, json } => rewrap(&config::load(&config)?.config, json).await,
        What::Rotate { config, forget_old, json } => run_rotate(&config::load(&config)?.config, forget_old, json).await,
    }
}

/// To take a cluster to another master key: add it behind the others in every role's configuration and restart them
/// one after another; put it first and restart again; run this; take the former ones out.
async fn rewrap(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let keyring = Arc::new(master_key::keyring(&config.master_key, &config.data.folder)?);
    let store = MySqlStore::open(mysql(config), keyring).await.context("The database cannot be used")?;
    let rewrapped = store.rewrap_keys().await.context("The keys could not all be wrapped again; run this again")?;
    store.close().await;
    match json {
        true => println!("{}", json!({ "rewrapped": rewrapped })),
        false => println!("{rewrapped} keys were wrapped again with the current master key."),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_rotate(config: &Config, forget_old: bool, json: bool) -> anyhow::Result<ExitCode> {
    let rotated = rotate(config, forget_old).await?;
    if json {
        let Rotated { current, rewrapped, kept } = rotated;
        println!("{}", json!({"current": current, "rewrapped": rewrapped, "kept": kept}));
    } else {
        println!("The master key {} is current; {} keys were wrapped again.", rotated.current, rotated.rewrapped);
        if rotated.kept {
            println!("The former keys stay in the file, so that older backups can be read with it.");
        }
        println!("Everybody's access tokens are renewed by themselves when the server starts.");
    }
    Ok(ExitCode::SUCCESS)
}

struct Rotated {
    current: String,
    rewrapped: u64,
    kept: bool,
}

async fn rotate(config: &Config, forget_old: bool) -> anyhow::Result<Rotated> {
    let data = &config.data.folder;
    let Some(file) = master_key::file(&config.master_key, data) else {
        bail!(
            "The master keys come from master_key.keys, which this command cannot write; put a new line \
             \"id:64 hexadecimal digits\" before the others there, and start the server"
        );
    };
    let exists = data.join(DATABASE_FILE).exists();
    anyhow::ensure!(exists, "{} is no data folder: there is no {DATABASE_FILE} in it", data.display());
    let folder = DataFolder::open(data, "keys rotate").await.context("The server must be stopped for this")?;
    secret_file::demand_private(&file)?;
    add_key(&file)?;
    let ring = Arc::new(Keyring::load(&file)?);
    let store = SqliteStore::open(folder.path(), ring.clone(), config.database.clone())?;
    let rewrapped = store.rewrap_keys().await.context("Not all keys were wrapped again; run this once more")?;
    store.close().await?;
    if forget_old {
        keep_first_key(&file)?;
    }
    Ok(Rotated { current: ring.current_id().to_owned(), rewrapped, kept: !forget_old })
}

/// Puts a new key before those in the file.
fn add_key(file: &Path) -> anyhow::Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Keyring::from_text(&old).with_context(|| format!("{} is no master key file", file.display()))?;
    let next = file.with_extension("key.new");
    // What an interrupted run left: nothing was wrapped with it, because it never became the file.
    drop(fs::remove_file(&next));
    MasterKey::create(&next)?;
    let fresh = fs::read_to_string(&next).with_context(|| format!("{} cannot be read", next.display()))?;
    let keys = old.lines().filter(|line| is_key(line));
    replace(file, &next, &fresh.lines().chain(keys).collect::<Vec<_>>())
}

/// Takes all keys but the first out of the file.
fn keep_first_key(file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut seen = false;
    let lines: Vec<_> = text.lines().filter(|line| !is_key(line) || !std::mem::replace(&mut seen, true)).collect();
    replace(file, &file.with_extension("key.new"), &lines)
}

fn is_key(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim().starts_with('#')
}

/// The file is the old one or the new one at every moment, and the new one is on disk when this returns.
fn replace(file: &Path, next: &Path, lines: &[&str]) -> anyhow::Result<()> {
    drop(fs::remove_file(next));
    secret_file::create(next, &format!("{}\n", lines.join("\n")))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(next, file)
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .with_context(|| format!("{} could not be replaced", file.display()))
}
