//! Bytes in and out: pieces of uploads, and downloads with ranges. One buffer for each, wherever the bytes go.

use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;
use whimbrel_store::blobs::{BlobError, ByteStream};
use whimbrel_store::filing::{FileRow, FileState, NewFile};

use super::config::FilesConfig;
use super::lanes::Lane;
use super::range::{Wanted, wanted};
use super::views::{ProgressView, hex};
use super::{named, own};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{PathOf, QueryOf};
use crate::shared::{App, now_ms};

/// An upload that was gone on with within this part of the time that it may rest is not noted again.
const FRESH_PART: u32 = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    offset: u64,
}

/// The bytes of a request, as long as they keep coming and are no more than a piece.
fn piece(body: Body, idle: Duration) -> ByteStream {
    let bytes = body.into_data_stream();
    Box::pin(stream::try_unfold((bytes, 0_u64), move |(mut bytes, taken)| async move {
        let next = timeout(idle, bytes.next()).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?;
        let Some(next) = next.transpose().map_err(io::Error::other)? else { return Ok(None) };
        let taken = taken + next.len() as u64;
        if taken > FilesConfig::piece_max() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(Some((next, (bytes, taken))))
    }))
}

/// Send a piece of a file
///
/// The bytes from `offset` on, at most 8 MiB. A piece that was cut off is kept as far as it came: ask how far, and go on.
/// Sending again what is there is harmless, also from two devices at once; while another request writes, this one is
/// answered `upload_busy`.
#[utoipa::path(patch, path = "/v1/files/{id}/content", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("offset" = u64, Query, description = "Where the piece begins; at most what was received.", example = 0)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes."),
    responses((status = 200, description = "How far it is.", body = ProgressView,
        example = json!({"received": 70000}))),
    extensions(("x-error-codes" = json!(["no_such_file", "wrong_offset", "upload_busy"]))))]
pub(crate) async fn upload_piece(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(place): QueryOf<Place>,
    body: Body,
) -> Result<Json<ProgressView>, ApiError> {
    let lane = app.lanes.take(caller.user)?;
    let id = named(id);
    let FileRow { file: NewFile { size, .. }, state, blob, idle_since, .. } = own(&app, &caller, id).await?;
    if state == FileState::Whole {
        return Ok(Json(ProgressView { received: size }));
    }
    // Not for each of many pieces: it is a commit.
    let (now, rests) = (now_ms(), app.config.files.keep_unfinished / FRESH_PART);
    if idle_since.is_some_and(|since| u128::from(now.saturating_sub(since)) >= rests.as_millis()) {
        app.files().touch(id, now).await?;
    }
    let piece = piece(body, app.config.files.idle_timeout);
    let counted = piece.inspect(|bytes| {
        let len = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        metrics::counter!("whimbrel_files_received_bytes_total").increment(len);
    });
    let received = app.blobs().append(blob, place.offset, size, Box::pin(counted)).await?;
    drop(lane);
    Ok(Json(ProgressView { received }))
}

/// A safe name: what is not a plain letter is written with its number, so that nothing ends the header, and no name is a
/// way through folders.
fn disposition(name: &str) -> HeaderValue {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = if name.chars().all(|c| c == '.') { "file" } else { name };
    let mut text = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    HeaderValue::from_str(&text).expect("letters, digits and signs of a header")
}

pub(super) fn head(file: &NewFile) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_str(&file.content_type);
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&file.name));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, tag(file));
    headers
}

/// Content never changes, so its hash names it.
fn tag(file: &NewFile) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", hex(&file.hash))).expect("digits between marks")
}

/// Bytes that hold their transfer's place as long as they may come.
fn held(bytes: ByteStream, lane: Lane) -> Body {
    Body::from_stream(bytes.map(move |bytes| {
        let _held = &lane;
        let len = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        metrics::counter!("whimbrel_files_sent_bytes_total").increment(len);
        bytes
    }))
}

/// Read a file
///
/// For its owner, and for everybody who sees a message that came with it. One range (`Range: bytes=0-99`) is answered
/// with 206; `If-None-Match` and `If-Range` are known.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "All of it.", body = Vec<u8>, content_type = "application/octet-stream",
            example = json!("bytes")),
        (status = 206, description = "The range that was asked for.", body = Vec<u8>,
            content_type = "application/octet-stream", example = json!("bytes")),
        (status = 304, description = "You have it: its ETag is the one that you named.")),
    extensions(("x-error-codes" = json!(["no_such_file", "range_not_satisfiable", "busy"]))))]
pub(crate) async fn download_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let lane = app.lanes.take(caller.user)?;
    let row = app.files().readable(caller.user, named(id)).await?;
    let row = row.ok_or_else(|| ApiError::new(Code::NoSuchFile))?;
    let (file, blob) = (row.file, row.blob);
    let mut answer = head(&file);
    let (status, range) = match wanted(&headers, &tag(&file), file.size) {
        Wanted::Known => return Ok((StatusCode::NOT_MODIFIED, answer).into_response()),
        Wanted::All => (StatusCode::OK, 0..file.size),
        Wanted::Range(range) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
            answer.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).expect("digits and signs"));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Beyond => {
            let mut refused = ApiError::new(Code::RangeNotSatisfiable).into_response();
            let text = HeaderValue::from_str(&format!("bytes */{}", file.size)).expect("digits and signs");
            refused.headers_mut().insert(header::CONTENT_RANGE, text);
            return Ok(refused);
        }
    };
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    let bytes = app.blobs().read(blob, range).await.map_err(|error| match error {
        // Its row is there: whoever removed the content was not this program.
        BlobError::Gone => ApiError::internal(error),
        error => error.into(),
    })?;
    Ok((status, answer, held(bytes, lane)).into_response())
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_is_a_name_whatever_it_holds() {
        for (name, said) in [
            ("sea.png", "sea.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\boot.ini", "boot.ini"),
            ("..", "file"),
            ("", "file"),
            ("a\"\r\nSet-Cookie: x=1", "a%22%0D%0ASet-Cookie%3A%20x%3D1"),
            ("海.png", "%E6%B5%B7.png"),
        ] {
            assert_eq!(disposition(name), format!("attachment; filename*=UTF-8''{said}"), "{name}");
        }
    }
}
