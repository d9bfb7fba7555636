//! The end of an upload: the hash, and for readable files the type and the pixels. What is not what it says is not kept.

use axum::Json;
use axum::extract::State;
use futures_util::TryStreamExt;
use uuid::Uuid;
use whimbrel_core::limits::FILE_HEAD;
use whimbrel_core::{FileId, UserId};
use whimbrel_store::blobs::BlobError;
use whimbrel_store::filing::{FileError, FileRow, FileState, Kept, NewFile};

use super::pictures::Seen;
use super::views::FileView;
use super::{kind, named, own, pictures};
use crate::auth::Caller;
use crate::error::{ApiError, Code, chain};
use crate::extract::PathOf;
use crate::shared::{App, Shared, now_ms};
use crate::turns::Kind;

/// Complete a file
///
/// Once all pieces are there: their hash must be the one that was announced, and what is readable must be of its type.
/// Otherwise the upload is given up, and its room is free again. Then a message may come with the file.
///
/// Out of a readable picture is taken what cameras write, unless it was announced with `keeps_metadata`: then the answer has
/// the size and the hash of what is kept, and says `metadata_removed`. Asked again, it answers the same.
#[utoipa::path(post, path = "/v1/files/{id}/complete", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "It is whole.", body = FileView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "state": "whole", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 70000, "piece_max": 8388608, "proof": null,
        "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_file", "wrong_offset", "upload_busy", "content_mismatch",
        "type_mismatch", "too_many_pixels", "metadata_stays"]))))]
pub(crate) async fn complete_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<Json<FileView>, ApiError> {
    let row = own(&app, &caller, named(id)).await?;
    let shared = app.clone();
    let row = app.change_by(&caller, Kind::File, async move { complete(&shared, row).await }).await?;
    let size = row.file.size;
    Ok(Json(FileView::new(row, size)))
}

async fn complete(app: &Shared, row: FileRow) -> Result<FileRow, ApiError> {
    if row.state == FileState::Whole {
        return Ok(row);
    }
    let NewFile { id, owner, size, hash, encrypted, .. } = row.file;
    match app.blobs().finish(row.blob, size, hash).await {
        Ok(()) => {}
        Err(BlobError::OtherHash) => return Err(give_up(app, owner, id, Code::ContentMismatch).await),
        Err(error) => return Err(error.into()),
    }
    let seen = match look(app, &row.file, row.blob, false).await? {
        Ok(seen) => seen,
        Err(code) => return Err(give_up(app, owner, id, code).await),
    };
    let (size, hash) = seen.made.as_ref().map_or((size, hash), |(bytes, hash)| (bytes.len() as u64, *hash));
    let other = if encrypted { None } else { app.files().shared(hash, size).await? };
    let done = match other {
        Some(other) => app.files().complete(id, Kept::Shared(other), seen.picture.clone(), now_ms()).await,
        None => keep(app, &row, &seen).await?,
    };
    let done = match done {
        // The other content ended at this moment.
        Err(FileError::NoSuchFile) if other.is_some() => keep(app, &row, &seen).await?,
        done => done,
    };
    metrics::counter!("whimbrel_files_completed_total", "how" => "uploaded").increment(1);
    Ok(done?)
}

/// Keeps the upload, or what was made of it.
async fn keep(app: &Shared, row: &FileRow, seen: &Seen) -> Result<Result<FileRow, FileError>, ApiError> {
    let (id, picture) = (row.file.id, seen.picture.clone());
    let Some(made) = &seen.made else { return Ok(app.files().complete(id, Kept::Own, picture, now_ms()).await) };
    pictures::keep(app, row, made).await?;
    let kept = Kept::Made { size: made.0.len() as u64, hash: made.1 };
    let done = app.files().complete(id, kept, picture, now_ms()).await;
    let is_elsewhere = match &done {
        Ok(done) => done.blob != row.made(),
        Err(error) => matches!(error, FileError::NoSuchFile),
    };
    // Another request was faster; its trash may have been emptied before this was written.
    if is_elsewhere && let Err(error) = app.blobs().remove(row.made()).await {
        tracing::warn!(error = %chain(&error), "content that nobody needs could not be removed");
    }
    Ok(done)
}

/// What readable content is, by its beginning, and if it is a picture by all of it. A code: it is not what it was said to
/// be. `is_known`: what it looks like is.
pub(super) async fn look(
    app: &Shared,
    file: &NewFile,
    content: FileId,
    is_known: bool,
) -> Result<Result<Seen, Code>, ApiError> {
    if file.encrypted {
        return Ok(Ok(Seen::default()));
    }
    let parts: Vec<_> = app
        .blobs()
        .read(content, 0..file.size.min(FILE_HEAD))
        .await?
        .try_collect()
        .await
        .map_err(|error: std::io::Error| ApiError::from(BlobError::from(error)))?;
    match kind::check(&file.content_type, &parts.concat(), app.config.files.pixels_max) {
        Ok(()) => pictures::see(app, file, content, is_known).await,
        Err(code) => Ok(Err(code)),
    }
}

/// The uploader alone pays: nothing is left of it but what it took to send it.
pub(super) async fn give_up(app: &Shared, owner: UserId, id: FileId, code: Code) -> ApiError {
    super::refused(code.name());
    match app.files().discard(owner, id).await {
        Ok(()) | Err(FileError::NoSuchFile) => code.into(),
        Err(error) => error.into(),
    }
}
