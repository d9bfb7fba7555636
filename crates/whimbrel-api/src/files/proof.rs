//! Content that the server has already need not be sent, if one has it too. The proof: an HMAC-SHA256, keyed with a
//! nonce of the server's that is good once, over ranges that nobody could foresee.
//!
//! Whether the server has some content is told to nobody who does not have it: every announcement of a readable file
//! names ranges, and a proof that is wrong is answered as one for content that is not here.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use futures_util::TryStreamExt;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::FileId;
use whimbrel_core::limits::{PROOF_RANGE_BYTES, PROOF_RANGES};
use whimbrel_store::blobs::BlobError;
use whimbrel_store::filing::{FileError, FileRow, FileState, Kept, NewFile, Nonce};

use super::complete::{give_up, look};
use super::pictures::Seen;
use super::views::{FileView, unhex};
use super::{named, own};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, PathOf};
use crate::shared::{App, Shared, now_ms};
use crate::turns::Kind;

/// Which parts of a file are to be shown: all of a small one; of others, places that follow from the nonce.
pub(crate) fn ranges(nonce: &Nonce, size: u64) -> impl Iterator<Item = Range<u64>> {
    let small = size <= PROOF_RANGE_BYTES * PROOF_RANGES as u64;
    let nonce = *nonce;
    (0..if small { 1 } else { PROOF_RANGES as u32 }).map(move |number| {
        if small {
            return 0..size;
        }
        let digest = Sha256::new().chain_update(nonce).chain_update(number.to_be_bytes()).finalize();
        let random = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
        let start = random % (size - PROOF_RANGE_BYTES + 1);
        start..start + PROOF_RANGE_BYTES
    })
}

/// The proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofForm {
    /// HMAC-SHA256 with the nonce as its key: of each range its offset and length (8 bytes each, big-endian), then its
    /// bytes; 64 hexadecimal digits.
    mac: String,
}

/// Prove that you have a file's content
///
/// If the server has it too, the file is whole at once. Otherwise, or if the proof is wrong: send it. One try for each
/// announcement.
#[utoipa::path(post, path = "/v1/files/{id}/proof", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = ProofForm, example = json!({
        "mac": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"})),
    responses((status = 200, description = "It is whole.", body = FileView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "state": "whole", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 70000, "piece_max": 8388608, "proof": null,
        "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_file", "proof_not_accepted", "type_mismatch",
        "too_many_pixels", "metadata_stays"]))))]
pub(crate) async fn prove_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(form): Body<ProofForm>,
) -> Result<Json<FileView>, ApiError> {
    let mac = unhex(&form.mac).ok_or_else(|| ApiError::invalid("mac", "64 hexadecimal digits"))?;
    let row = own(&app, &caller, named(id)).await?;
    let shared = app.clone();
    let row = app.change_by(&caller, Kind::File, async move { prove(&shared, row, mac).await }).await?;
    let size = row.file.size;
    Ok(Json(FileView::new(row, size)))
}

async fn prove(app: &Shared, row: FileRow, mac: [u8; 32]) -> Result<FileRow, ApiError> {
    if row.state == FileState::Whole {
        return Ok(row);
    }
    let NewFile { id, owner, size, hash, encrypted, .. } = row.file;
    let refused = || ApiError::new(Code::ProofNotAccepted);
    let nonce = app.files().take_nonce(id).await?.filter(|_| !encrypted).ok_or_else(refused)?;
    let content = app.files().shared(hash, size).await?.ok_or_else(refused)?;
    if !is_right(app, content, &nonce, size, mac).await? {
        super::refused(Code::ProofNotAccepted.name());
        return Err(refused());
    }
    // It is looked at under what this file is said to be, and not what the other was.
    let is_known = app.files().thumbnail(content).await?.is_some();
    let picture = match look(app, &row.file, content, is_known).await {
        Err(error) if error.code == Code::NoSuchFile => return Err(refused()),
        seen => match seen? {
            // What is here has in it what must not be in this one.
            Ok(Seen { made: Some(_), .. }) => return Err(refused()),
            Ok(seen) => seen.picture,
            Err(code) => return Err(give_up(app, owner, id, code).await),
        },
    };
    let kept = Kept::Shared(content);
    let done = app.files().complete(id, kept, picture, now_ms()).await.map_err(|error| match error {
        FileError::NoSuchFile => refused(),
        error => error.into(),
    })?;
    metrics::counter!("whimbrel_files_completed_total", "how" => "proved").increment(1);
    Ok(done)
}

async fn is_right(app: &Shared, content: FileId, nonce: &Nonce, size: u64, mac: [u8; 32]) -> Result<bool, ApiError> {
    let mut right = Hmac::<Sha256>::new_from_slice(nonce).expect("any length is a key");
    for range in ranges(nonce, size) {
        right.update(&range.start.to_be_bytes());
        right.update(&(range.end - range.start).to_be_bytes());
        let mut bytes = match app.blobs().read(content, range).await {
            Ok(bytes) => bytes,
            Err(BlobError::Gone) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        while let Some(part) = bytes.try_next().await.map_err(BlobError::from)? {
            right.update(&part);
        }
    }
    Ok(right.verify_slice(&mac).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lie_in_the_file_and_follow_from_the_nonce_alone() {
        for size in [65_537, 70_000, 1 << 40] {
            let of = |nonce| ranges(&[nonce; 16], size).collect::<Vec<_>>();
            assert_eq!(of(1).len(), PROOF_RANGES);
            assert!(of(1).iter().all(|range| range.end <= size && range.end - range.start == PROOF_RANGE_BYTES));
            assert_eq!(of(1), of(1));
            assert_ne!(of(1), of(2));
        }
        for size in [1, 65_536] {
            let mut all = ranges(&[1; 16], size);
            assert_eq!((all.next(), all.next()), (Some(0..size), None));
        }
    }
}
