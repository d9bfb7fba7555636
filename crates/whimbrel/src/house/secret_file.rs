//! Files that hold secrets: nobody but their owner may read them, and a server that finds one that others may read
//! says so instead of starting.

use std::path::Path;

use anyhow::{Context, bail};

/// Refuses a file that the group or the world may read or write. Where there are no such rights, nothing.
pub(crate) fn demand_private(path: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!("{0} holds a secret and others may read it (mode {mode:04o}); run: chmod 600 {0}", path.display());
        }
    }
    Ok(())
}

/// The first line of a private file that is not empty.
pub(crate) fn read_first_line(path: &Path) -> anyhow::Result<String> {
    demand_private(path)?;
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map(str::to_owned).with_context(|| format!("{} is empty", path.display()))
}

/// Writes a new file (never over an old one) that only its owner may read, and waits until it is on disk.
pub(crate) fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("{} cannot be made", path.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{} cannot be written", path.display()))
}
