//! What a deployment may choose about files.

use std::time::Duration;

use whimbrel_core::limits::FILE_PIECE_MAX;
use whimbrel_store::filing::Usage;

/// The limits of files.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// Files may be uploaded readable. Otherwise only what devices encrypted is taken.
    pub readable: bool,
    /// Longest file, bytes.
    pub size_max: u64,
    /// Media types of readable files: `image/png`, `image/*`; none: all.
    pub types: Vec<String>,
    /// What one user's files may take up, and how many uploads may be under way or resting.
    pub room: Usage,
    /// Most pixels of a readable picture.
    pub pixels_max: u64,
    /// Longest readable picture that is looked at, bytes: it is in memory meanwhile. Longer ones are taken only if all
    /// that is in them may stay there.
    pub picture_max: u64,
    /// Pieces and downloads at once; beyond these, requests are answered `busy`.
    pub transfers_max: usize,
    /// The same of one user.
    pub transfers_per_user: usize,
    /// A piece of which nothing comes for so long is given up.
    pub idle_timeout: Duration,
    /// A piece, or a check, that takes longer is given up.
    pub transfer_timeout: Duration,
    /// For so long an upload may rest before it is collected.
    pub keep_unfinished: Duration,
    /// For so long a file is kept that no message refers to.
    pub keep_unattached: Duration,
    /// How often is collected.
    pub collect_every: Duration,
}

impl Default for FilesConfig {
    fn default() -> Self {
        let (mib, gib) = (1 << 20, 1 << 30);
        let day = Duration::from_secs(24 * 3600);
        Self {
            readable: false,
            size_max: 512 * mib,
            types: Vec::new(),
            room: Usage { bytes: 16 * gib, files: 100_000, uploads: 32 },
            pixels_max: 100_000_000,
            picture_max: 32 * mib,
            transfers_max: 256,
            transfers_per_user: 16,
            idle_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(600),
            keep_unfinished: day,
            keep_unattached: day,
            collect_every: Duration::from_secs(60),
        }
    }
}

impl FilesConfig {
    /// Whether readable files of this type are taken.
    pub(crate) fn takes(&self, content_type: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => content_type.starts_with(beginning),
            None => content_type == pattern,
        };
        self.types.is_empty() || self.types.iter().any(fits)
    }

    /// Bytes of a piece, at most.
    pub(crate) const fn piece_max() -> u64 {
        FILE_PIECE_MAX
    }
}
