//! A gate for fsync: holds the disk's "done" of a server process back, so that a test can look at what was answered
//! before it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::wait;

/// Holds every fsync of a server that was started with [`FsyncGate::environment`], while it is shut.
pub struct FsyncGate {
    library: PathBuf,
    file: PathBuf,
}

impl FsyncGate {
    /// Compiles the library that is preloaded; `folder` must outlive the server.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let library = folder.join("gate.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gate.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .context("cc, which compiles the gate")?;
        ensure!(built.success(), "cc failed on {}", source.display());
        Ok(Self { library, file: folder.join("gate") })
    }

    /// What the server process needs in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("WHIMBREL_TEST_FSYNC_GATE".to_owned(), self.file.display().to_string()),
        ]
    }

    /// From now on no fsync returns.
    pub fn shut(&self) -> anyhow::Result<()> {
        let _ = std::fs::remove_file(self.mark());
        std::fs::write(&self.file, b"").context("shut the gate")
    }

    /// Waits until the server stands before the gate.
    pub async fn somebody_waits(&self) {
        wait::until("an fsync at the gate", || async { self.mark().exists() }).await;
    }

    /// Lets them through.
    pub fn open(&self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.file).context("open the gate")
    }

    fn mark(&self) -> PathBuf {
        self.file.with_file_name("gate.held")
    }
}
