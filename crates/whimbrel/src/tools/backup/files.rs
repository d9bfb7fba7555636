//! The files that people sent, as far as they are whole: what is in `kept` never changes, so what the copy has of it is
//! not copied again. Uploads that are not whole are left out; their devices send them again.
//!
//! A file gets its name once it is on disk. One that is collected meanwhile is passed over: nobody needs it any more.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{progress_bar, sync_folder};

/// Where whole files rest, in both folders.
const KEPT: &str = "kept";
/// Where the next file grows, in the copy.
const GROWING: &str = "copying";

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Files.
    pub(super) copied: u64,
    /// Bytes of these.
    pub(super) bytes: u64,
    /// Files that the copy had.
    pub(super) there: u64,
}

/// Copies what is kept in `from` and not yet in `to`.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<Files> {
    let (mut files, growing) = (Files::default(), to.join(GROWING));
    make(&to.join(KEPT))?;
    let folders = sorted(&from.join(KEPT))?;
    let bar = progress_bar("files", folders.len() as u64);
    for folder in folders {
        let to = to.join(KEPT).join(folder.file_name().unwrap_or_default());
        make(&to)?;
        for file in sorted(&folder)? {
            let to = to.join(file.file_name().unwrap_or_default());
            let copied = copy_one(&file, &to, &growing);
            match copied.with_context(|| format!("{} could not be copied", file.display()))? {
                Some(bytes) => (files.copied, files.bytes) = (files.copied + 1, files.bytes + bytes),
                None => files.there += u64::from(to.exists()),
            }
        }
        sync_folder(&to)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    sync_folder(&to.join(KEPT))?;
    Ok(files)
}

/// Its bytes; `None` if it is there already, or not here any more.
fn copy_one(from: &Path, to: &Path, growing: &Path) -> io::Result<Option<u64>> {
    if to.exists() {
        return Ok(None);
    }
    let mut source = match File::open(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        source => source?,
    };
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut target = options.write(true).create(true).truncate(true).open(growing)?;
    let bytes = io::copy(&mut source, &mut target)?;
    target.sync_all()?;
    fs::rename(growing, to)?;
    Ok(Some(bytes))
}

/// What is in a folder, by name; nothing if it is not there.
fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let read = || -> io::Result<Vec<PathBuf>> { entries?.map(|entry| entry.map(|entry| entry.path())).collect() };
    let mut paths = read().with_context(|| format!("{} cannot be read", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))
}
