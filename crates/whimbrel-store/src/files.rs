//! Files that only their owner may read, and that are still there after the power failed.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// A new file with mode 0600.
///
/// # Errors
/// Also if there is such a file already.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Puts the name of a file in its folder on disk; the file's content has its own sync.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
