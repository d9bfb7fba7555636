//! Where the content of files rests: a folder, or a bucket that speaks S3. Uploads grow piece by piece, are checked
//! whole, and are kept for good under the name that they began with.
//!
//! | rule | why |
//! |---|---|
//! | what was checked is what is kept | nobody writes to an upload while it is checked, nor ever after |
//! | names are ids that this program made | no path, no name and no hash of a user's reaches the engine |
//! | a name is never used again | removing content and uploading cannot meet |
//! | a piece at a time is in memory | 100 uploads take no more than 100 pieces |
//!
//! Absences: no rights, no quotas, no row: what may be written, read or removed is the caller's to know.

use std::io;
use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use whimbrel_core::FileId;

use crate::filing::ContentHash;

pub mod bucket;
pub mod folder;
#[cfg(test)]
mod tests;

pub use bucket::{BucketBlobs, BucketConfig};
pub use folder::FolderBlobs;

/// Bytes on their way.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Why content could not be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The piece does not begin where the upload ends, or the upload is not whole.
    #[error("{received} bytes were received")]
    Offset {
        /// How far it is.
        received: u64,
    },
    /// Another request writes to this upload.
    #[error("another request writes to this upload")]
    Busy,
    /// More came than was announced.
    #[error("more came than was announced")]
    TooLong,
    /// The bytes are not those that were announced.
    #[error("the bytes have another hash")]
    OtherHash,
    /// There is no such content (any more).
    #[error("there is no such content")]
    Gone,
    /// The sender of a piece stopped in the middle; what came is kept as far as the engine can.
    #[error("the piece ended early: {0}")]
    Body(io::Error),
    /// The engine cannot do it now.
    #[error("files cannot be reached: {0}")]
    Unavailable(String),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        BlobError::Unavailable(error.to_string())
    }
}

/// The content of files.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// How far an upload of this size is. All of it, once it was kept.
    async fn received(&self, id: FileId, size: u64) -> Result<u64, BlobError>;

    /// Takes what comes, from `offset` on, where the upload may be further already (a repeat). How far it is then.
    async fn append(&self, id: FileId, offset: u64, size: u64, piece: ByteStream) -> Result<u64, BlobError>;

    /// Keeps an upload for good, if it is whole and has this hash; it is on disk when this returns. Harmless again.
    async fn finish(&self, id: FileId, size: u64, hash: ContentHash) -> Result<(), BlobError>;

    /// A part of what is kept.
    async fn read(&self, id: FileId, range: Range<u64>) -> Result<ByteStream, BlobError>;

    /// Removes what is kept, or was received, under this id. Harmless again.
    async fn remove(&self, id: FileId) -> Result<(), BlobError>;
}
