//! Where the master keys come from: the configuration, a file of its own, or `master.key` in the data folder.

use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::ExposeSecret;
use whimbrel_store::keyring::Keyring;

use super::secret_file;
use crate::config::sections::MasterKeySource;

/// The file in the data folder.
pub(crate) const FILE: &str = "master.key";

/// The file that holds the master keys; `None` when the configuration itself does.
pub(crate) fn file(source: &MasterKeySource, data: &Path) -> Option<PathBuf> {
    if source.keys.is_some() {
        return None;
    }
    Some(source.file.clone().unwrap_or_else(|| data.join(FILE)))
}

/// The master keys. The data folder's file is made at the first start; one that was named must be there.
pub(crate) fn keyring(source: &MasterKeySource, data: &Path) -> anyhow::Result<Keyring> {
    let Some(path) = file(source, data) else {
        let keys = source.keys.as_ref().map_or("", |keys| keys.expose_secret());
        return Keyring::from_text(&keys.replace(',', "\n")).context("master_key.keys cannot be used");
    };
    if path.exists() {
        secret_file::demand_private(&path)?;
    }
    let made = source.file.is_none() && !path.exists();
    let ring = if made { Keyring::load_or_create(&path) } else { Keyring::load(&path) };
    let ring = ring.with_context(|| format!("The master key {} cannot be used", path.display()))?;
    if made {
        tracing::info!(file = %path.display(), "made a master key; whoever has it and the database can read everything");
    }
    Ok(ring)
}
