//! Readable pictures: what cameras write into them is taken out before anybody else can have them, and what they look like
//! is noted. The device does the same for pictures that it seals.
//!
//! What was announced is checked first, by its hash. Where something is taken out, what remains is written beside the
//! upload under a name that follows from the upload's ([`FileRow::made`]), and then one transaction says that it is the
//! file. Until then there is an upload, from then on the other content; whoever is killed in between is taken over from
//! by the next `complete`, or by the collecting of the upload.
//!
//! Bounds: [`AT_ONCE`] pictures at a time, each in memory twice at most (as it came, and what is made of it) and as long
//! as `picture_max`; decoding has its own, in `whimbrel_media`.

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use whimbrel_core::FileId;
use whimbrel_media::{look, metadata};
use whimbrel_store::blobs::BlobError;
use whimbrel_store::filing::{ContentHash, FileRow, NewFile, NewPicture, Picture};

use super::config::FilesConfig;
use crate::error::{ApiError, Code};
use crate::shared::{Shared, sha256};

/// Pictures that are looked at at the same time: each takes a processor, and memory.
const AT_ONCE: usize = 2;
/// Bytes that are written at once of what was made.
const PART: usize = 256 * 1024;

/// Types out of which can be taken what cameras write.
const CLEANED: &[&str] = &["image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"];
/// Types into which no camera writes.
const BARE: &[&str] = &["image/bmp", "image/svg+xml", "image/x-icon", "image/vnd.microsoft.icon"];

/// The places of pictures that are looked at.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

/// What a picture was found to be.
#[derive(Default)]
pub(super) struct Seen {
    /// What remains of it, where something was taken out, and its hash.
    pub(super) made: Option<(Bytes, ContentHash)>,
    /// What it looks like.
    pub(super) picture: Option<NewPicture>,
    /// Held as long as its bytes are.
    _place: Option<OwnedSemaphorePermit>,
}

fn is_picture(file: &NewFile) -> bool {
    !file.encrypted && file.content_type.starts_with("image/")
}

/// Whether everything may stay in it that is in it.
fn stays(file: &NewFile) -> bool {
    file.keeps_metadata || BARE.contains(&&*file.content_type)
}

/// Says before any byte is sent what would be refused afterwards.
pub(super) fn check(file: &NewFile, limits: &FilesConfig) -> Result<(), ApiError> {
    if !is_picture(file) || stays(file) {
        return Ok(());
    }
    if !CLEANED.contains(&&*file.content_type) {
        return Err(ApiError::new(Code::MetadataStays));
    }
    if file.size > limits.picture_max {
        let why = format!(
            "A picture out of which is taken what cameras write has at most {} bytes here; with keeps_metadata it is \
             kept as it is.",
            limits.picture_max
        );
        return Err(ApiError::new(Code::FileTooLarge).says(why));
    }
    Ok(())
}

/// Looks at content that is announced as this. Other files than pictures are not looked at; `is_known`: nor is what a
/// picture looks like found out again. A code: it cannot be kept.
pub(super) async fn see(
    app: &Shared,
    file: &NewFile,
    content: FileId,
    is_known: bool,
) -> Result<Result<Seen, Code>, ApiError> {
    if !is_picture(file) {
        return Ok(Ok(Seen::default()));
    }
    let cleans = !stays(file);
    if file.size > app.config.files.picture_max {
        return Ok(if cleans { Err(Code::MetadataStays) } else { Ok(Seen::default()) });
    }
    let place = app.pictures.clone().acquire_owned().await.map_err(ApiError::internal)?;
    let bytes = read(app, content, file.size).await?;
    let seeing = spawn_blocking(move || seen(bytes, cleans, !is_known, place));
    seeing.await.map_err(ApiError::internal)
}

async fn read(app: &Shared, content: FileId, size: u64) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let mut parts = app.blobs().read(content, 0..size).await?;
    while let Some(part) = parts.try_next().await.map_err(BlobError::from)? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn seen(bytes: Vec<u8>, cleans: bool, looks: bool, place: OwnedSemaphorePermit) -> Result<Seen, Code> {
    let taken = if cleans { Some(metadata::without(&bytes).ok_or(Code::MetadataStays)?) } else { None };
    let (kept, is_made) = match taken {
        Some(taken) => {
            let is_made = taken != bytes;
            (taken, is_made)
        }
        None => (bytes, false),
    };
    let picture = if looks { picture(&kept) } else { None };
    let made = is_made.then(|| {
        let hash = sha256(&kept);
        (Bytes::from(kept), hash)
    });
    Ok(Seen { made, picture, _place: Some(place) })
}

/// What is kept looks so. What cannot be decoded has the size that its header says, and no small picture.
fn picture(bytes: &[u8]) -> Option<NewPicture> {
    if let Some(seen) = look(bytes) {
        let (width, height) = seen.dimensions;
        let has_thumbnail = !seen.thumbnail.is_empty();
        let picture = Picture { width, height, blur_hash: seen.blur_hash, has_thumbnail };
        return Some(NewPicture { picture, thumbnail: seen.thumbnail.into() });
    }
    let size = imagesize::blob_size(bytes).ok()?;
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    let picture = Picture { width, height, blur_hash: String::new(), has_thumbnail: false };
    Some(NewPicture { picture, thumbnail: Bytes::new() })
}

/// Writes what was made of an upload, for good. Harmless again: it is the same every time.
pub(super) async fn keep(app: &Shared, row: &FileRow, (bytes, hash): &(Bytes, ContentHash)) -> Result<(), BlobError> {
    let (name, size) = (row.made(), bytes.len() as u64);
    let bytes = bytes.clone();
    let parts = (0..bytes.len()).step_by(PART).map(move |at| Ok(bytes.slice(at..(at + PART).min(bytes.len()))));
    app.blobs().append(name, 0, size, Box::pin(stream::iter(parts))).await?;
    app.blobs().finish(name, size, *hash).await
}
