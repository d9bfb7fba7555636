//! How far an upload is, and the chunk that its next piece goes on with.

use bytes::BytesMut;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use whimbrel_core::FileId;

use super::{BucketBlobs, CHUNK, away};
use crate::blobs::BlobError;

/// What there is of an upload: chunks without a gap, and some of the next one.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// Bytes of the chunks.
    pub(super) filled: u64,
    /// Bytes of the longest tail.
    begun: u64,
    /// All tails: the number of the chunk, bytes.
    pub(super) tails: Vec<(u64, u64)>,
}

impl Upload {
    /// Nothing is missing.
    pub(super) fn whole(size: u64) -> Self {
        Self { filled: size, ..Self::default() }
    }

    pub(super) fn received(&self) -> u64 {
        self.filled + self.begun
    }
}

/// The chunk that a piece goes on with.
#[derive(Debug)]
pub(super) struct Open {
    /// Where it begins in the file.
    pub(super) at: u64,
    /// What there is of it.
    pub(super) bytes: BytesMut,
    /// So much of it rests as a tail.
    begun: u64,
}

impl BucketBlobs {
    /// What there is of an upload.
    pub(super) async fn look(&self, id: FileId, size: u64) -> Result<Upload, BlobError> {
        let folder = Path::from(self.folder(id));
        let objects: Vec<_> = self.store.list(Some(&folder)).try_collect().await.map_err(away)?;
        let (mut chunks, mut tails) = (Vec::new(), Vec::new());
        for object in objects {
            let Some(name) = object.location.filename() else { continue };
            match name.split_once('-') {
                None => chunks.extend(name.parse::<u64>().ok().map(|number| (number, object.size))),
                Some((number, len)) => {
                    let tail = number.parse::<u64>().ok().zip(len.parse().ok().filter(|len| *len == object.size));
                    tails.extend(tail);
                }
            }
        }
        chunks.sort_unstable();
        let mut filled = 0;
        for (number, len) in chunks {
            if number * CHUNK != filled || len != CHUNK.min(size - filled) {
                break;
            }
            filled += len;
        }
        let begun = tails.iter().filter(|(number, len)| number * CHUNK == filled && *len < CHUNK.min(size - filled));
        let begun = begun.map(|(_, len)| *len).max().unwrap_or(0);
        Ok(Upload { filled, begun, tails })
    }

    /// The chunk that an upload goes on with, with what rests of it.
    pub(super) async fn open(&self, id: FileId, upload: &Upload) -> Result<Open, BlobError> {
        let mut open = Open { at: upload.filled, bytes: BytesMut::new(), begun: upload.begun };
        if upload.begun > 0 {
            let tail = self.store.get(&self.tail(id, upload.filled / CHUNK, upload.begun)).await;
            let tail = match tail {
                Ok(tail) => tail.bytes().await.map_err(away)?,
                // Somebody else has put a longer one in its place.
                Err(Error::NotFound { .. }) => return Err(BlobError::Busy),
                Err(error) => return Err(away(error)),
            };
            open.bytes.extend_from_slice(&tail);
        }
        Ok(open)
    }

    /// What came of the open chunk stays, as its tail. How far the upload is then.
    pub(super) async fn leave(&self, id: FileId, mut open: Open) -> Result<u64, BlobError> {
        let len = open.bytes.len() as u64;
        if len > open.begun {
            self.put(&self.tail(id, open.at / CHUNK, len), open.bytes.split().freeze()).await?;
            self.close(id, &mut open).await?;
        }
        Ok(open.at + len)
    }

    /// The tail of the open chunk is not needed any more.
    pub(super) async fn close(&self, id: FileId, open: &mut Open) -> Result<(), BlobError> {
        match std::mem::take(&mut open.begun) {
            0 => Ok(()),
            begun => self.delete(&self.tail(id, open.at / CHUNK, begun)).await,
        }
    }
}
