//! One's own files, so that one sees what takes up the room; and the small pictures of those that one may read.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use uuid::Uuid;
use whimbrel_core::FileId;

use super::named;
use super::range::{Wanted, wanted};
use super::transfer::head;
use super::views::{FileList, FileView, UsageView, hex};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{PathOf, QueryOf};
use crate::groups::{next_page, page_size};
use crate::shared::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    before: Option<String>,
    limit: Option<usize>,
}

/// A place in the list: when a file began, and its id.
type Place = (u64, FileId);

fn write_place((at, id): Place) -> String {
    format!("{at}-{id}")
}

fn read_place(text: &str) -> Result<Place, ApiError> {
    let place = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, named(id.parse::<Uuid>().ok()?))));
    place.ok_or_else(|| ApiError::invalid("before", "it is what an earlier page gave as next"))
}

/// Your files
///
/// Files and uploads of your own, the newest first, page by page, and what all of them take up. Those that no message came
/// with (`attached` is false) can be given up; of the others, the messages can be taken back.
#[utoipa::path(get, path = "/v1/files", tag = "files", security(("access_token" = [])),
    params(("before" = Option<String>, Query, description = "What an earlier page gave as next.",
            example = "1790000000000-0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = FileList, example = json!({"files": [{
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "state": "whole", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 70000, "piece_max": 8388608, "proof": null, "attached": true,
        "metadata_removed": true, "width": 4000, "height": 3000, "blur_hash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        "has_thumbnail": true, "created_at": 1790000000000_u64}], "next": null,
        "usage": {"bytes": 70000, "files": 1, "uploads": 0}}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn list_files(
    caller: Caller,
    State(app): State<App>,
    QueryOf(asked): QueryOf<Asked>,
) -> Result<Json<FileList>, ApiError> {
    let limit = page_size(asked.limit)?;
    let before = asked.before.as_deref().map(read_place).transpose()?;
    let rows = app.files().files_of(caller.user, before, limit).await?;
    let next = next_page(&rows, limit, |last| write_place((last.created_at, last.file.id)));
    let usage = UsageView::from(app.files().usage(caller.user).await?);
    let mut files = Vec::with_capacity(rows.len());
    for row in rows {
        let received = super::announce::received(&app, &row).await?;
        files.push(FileView::new(row, received));
    }
    Ok(Json(FileList { files, next, usage }))
}

/// See a file's small picture
///
/// Of a readable picture: a JPEG whose longer side has at most 240 pixels and which has at most 16 KiB, for whoever may
/// read the file. `If-None-Match` is known.
#[utoipa::path(get, path = "/v1/files/{id}/thumbnail", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "A small picture.", body = Vec<u8>, content_type = "image/jpeg",
            example = json!("bytes")),
        (status = 304, description = "You have it: its ETag is the one that you named.")),
    extensions(("x-error-codes" = json!(["no_such_file", "no_thumbnail"]))))]
pub(crate) async fn show_thumbnail(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = app.files().readable(caller.user, named(id)).await?;
    let row = row.ok_or_else(|| ApiError::new(Code::NoSuchFile))?;
    let jpeg = app.files().thumbnail(row.blob).await?.ok_or_else(|| ApiError::new(Code::NoThumbnail))?;
    let mut answer = head(&row.file);
    let tag = format!("\"{}-small\"", hex(&row.file.hash));
    let tag = HeaderValue::from_str(&tag).expect("digits and letters between marks");
    answer.remove(header::ACCEPT_RANGES);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    answer.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    answer.insert(header::ETAG, tag.clone());
    if wanted(&headers, &tag, jpeg.len() as u64) == Wanted::Known {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    Ok((answer, jpeg).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let place = (1_790_000_000_000, FileId::from_bytes([0x5c; 16]));
        assert_eq!(read_place(&write_place(place)).expect("its own words"), place);
        for wrong in ["", "1", "1-", "-1", "x-0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "1-0199e2a4"] {
            assert_eq!(read_place(wrong).expect_err(wrong).field, Some("before"));
        }
    }
}
