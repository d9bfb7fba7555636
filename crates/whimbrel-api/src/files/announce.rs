//! Before any byte: what is to come, whether it may, and how far it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::limits::{FILE_NAME_MAX, FILE_TYPE_MAX};
use whimbrel_core::{ConversationId, FileId, Members, UserId};
use whimbrel_store::filing::{FileRow, FileState, NewFile};

use super::views::{FileView, LimitsView, unhex};
use super::{named, pictures};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, OptionalBody, PathOf};
use crate::shared::{App, Shared, now_ms};
use crate::turns::Kind;

/// What encrypted files are said to be: their true type is inside.
const SEALED_TYPE: &str = "application/octet-stream";

/// A file that is to be uploaded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileForm {
    /// Chosen by you (a UUIDv7), so that asking again is harmless; made here if left out.
    id: Option<Uuid>,
    /// At most 255 bytes; left out for encrypted ones.
    #[serde(default)]
    name: String,
    /// Its media type; `application/octet-stream` for encrypted ones.
    #[serde(rename = "type")]
    content_type: String,
    /// Bytes.
    size: u64,
    /// Of these bytes, 64 hexadecimal digits.
    sha256: String,
    /// Where it is to be said; you must be there.
    conversation: Option<Uuid>,
    /// Its content is sealed by your device: nothing of it is looked at, and nothing is shared by its hash.
    #[serde(default)]
    encrypted: bool,
    /// A readable picture is kept as it comes. Otherwise what cameras write into it (place, time, device) is taken out when
    /// it is completed.
    #[serde(default)]
    keeps_metadata: bool,
}

impl FileForm {
    fn checked(self, app: &Shared, owner: UserId) -> Result<NewFile, ApiError> {
        let limits = &app.config.files;
        let content_type = self.content_type.to_ascii_lowercase();
        if !is_media_type(&content_type) {
            return Err(ApiError::invalid("type", "a media type is such as image/png, at most 127 bytes long"));
        }
        if self.name.len() > FILE_NAME_MAX {
            return Err(ApiError::invalid("name", "a file's name has at most 255 bytes"));
        }
        let hash = unhex(&self.sha256).ok_or_else(|| ApiError::invalid("sha256", "64 hexadecimal digits"))?;
        if self.encrypted && (content_type != SEALED_TYPE || !self.name.is_empty()) {
            return Err(ApiError::invalid("encrypted", "an encrypted file's name and type are told inside it alone"));
        }
        if !self.encrypted && !limits.readable {
            return Err(ApiError::invalid("encrypted", "this server takes encrypted files only"));
        }
        if self.size > limits.size_max {
            let why = format!("A file has at most {} bytes here.", limits.size_max);
            return Err(ApiError::new(Code::FileTooLarge).says(why));
        }
        if !self.encrypted && !limits.takes(&content_type) {
            let why = format!("Files of type {content_type} are not taken here.");
            return Err(ApiError::new(Code::TypeNotAllowed).says(why));
        }
        let new = NewFile {
            id: self.id.map_or_else(FileId::generate, named),
            owner,
            conversation: self.conversation.map(crate::groups::named),
            name: self.name,
            content_type,
            size: self.size,
            hash,
            encrypted: self.encrypted,
            keeps_metadata: self.keeps_metadata,
            // Also when nobody has the content: whether somebody does is not told.
            nonce: (!self.encrypted && self.size > 0).then(rand::random),
        };
        pictures::check(&new, limits)?;
        Ok(new)
    }
}

/// `type/subtype`, of the letters that RFC 6838 allows.
fn is_media_type(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    let name = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(letter);
    text.len() <= FILE_TYPE_MAX && text.split_once('/').is_some_and(|(kind, rest)| name(kind) && name(rest))
}

/// Whether the user is in a conversation now.
async fn is_in(app: &Shared, user: UserId, id: ConversationId) -> Result<bool, ApiError> {
    Ok(match app.directory().members(&[id]).await?.pop().flatten() {
        Some(Members::Direct { first, second, .. }) => [first, second].contains(&user),
        Some(Members::Group(_)) => app.groups().group_member(id, user).await?.is_some_and(|member| member.until.0 == 0),
        Some(Members::Private { .. }) | None => false,
    })
}

/// Announce a file
///
/// Takes room for it, or says by name which limit it would break, before any byte is sent. With the same `id` and content
/// it can be asked again. Then send its pieces, and complete it; or, if you think that the server has this content
/// already, prove that you have it. What is kept of a readable picture may be shorter and have another hash: see
/// `keeps_metadata`, and what completing answers.
#[utoipa::path(post, path = "/v1/files", tag = "files", security(("access_token" = [])),
    request_body(content = FileForm, example = json!({"id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "name": "sea.png",
        "type": "image/png", "size": 70000,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"})),
    responses((status = 201, description = "It can be sent.", body = FileView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "state": "uploading", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 0, "piece_max": 8388608,
        "proof": {"nonce": "000102030405060708090a0b0c0d0e0f", "ranges": [{"offset": 12, "length": 4096}]},
        "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["invalid", "file_too_large", "type_not_allowed", "metadata_stays", "quota_exceeded",
        "too_many_uploads", "file_id_taken", "no_such_conversation"]))))]
pub(crate) async fn announce_file(
    caller: Caller,
    State(app): State<App>,
    Body(form): Body<FileForm>,
) -> Result<(StatusCode, Json<FileView>), ApiError> {
    let new = form.checked(&app, caller.user).inspect_err(|error| super::refused(error.code.name()))?;
    if let Some(conversation) = new.conversation
        && !is_in(&app, caller.user, conversation).await?
    {
        return Err(Code::NoSuchConversation.into());
    }
    let (shared, room) = (app.clone(), app.config.files.room);
    let row = app
        .change_by(&caller, Kind::File, async move { Ok(shared.files().announce(new, room, now_ms()).await?) })
        .await
        .inspect_err(|error| super::refused(error.code.name()))?;
    metrics::counter!("whimbrel_files_announced_total").increment(1);
    let received = received(&app, &row).await?;
    Ok((StatusCode::CREATED, Json(FileView::new(row, received))))
}

pub(super) async fn received(app: &Shared, row: &FileRow) -> Result<u64, ApiError> {
    match row.state {
        FileState::Whole => Ok(row.file.size),
        FileState::Uploading => Ok(app.blobs().received(row.blob, row.file.size).await?),
    }
}

/// What files may be, and how much room yours take
#[utoipa::path(get, path = "/v1/files/limits", tag = "files", security(("access_token" = [])),
    responses((status = 200, description = "The limits.", body = LimitsView, example = json!({
        "size_max": 536870912, "piece_max": 8388608, "readable": true, "types": [], "pixels_max": 100000000,
        "picture_max": 33554432,
        "bytes_max": 17179869184_u64, "bytes": 70000, "files_max": 100000, "files": 1, "uploads_max": 32,
        "uploads": 1}))))]
pub(crate) async fn file_limits(caller: Caller, State(app): State<App>) -> Result<Json<LimitsView>, ApiError> {
    let (limits, usage) = (&app.config.files, app.files().usage(caller.user).await?);
    Ok(Json(LimitsView {
        size_max: limits.size_max,
        piece_max: super::FilesConfig::piece_max(),
        readable: limits.readable,
        types: limits.types.clone(),
        pixels_max: limits.pixels_max,
        picture_max: limits.picture_max,
        bytes_max: limits.room.bytes,
        bytes: usage.bytes,
        files_max: limits.room.files,
        files: usage.files,
        uploads_max: limits.room.uploads,
        uploads: usage.uploads,
    }))
}

/// A file, and how far it is
///
/// To its owner, and, once it is whole, to everybody who sees a message that came with it.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "The file.", body = FileView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "state": "whole", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 70000, "piece_max": 8388608, "proof": null,
        "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_file"]))))]
pub(crate) async fn get_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<Json<FileView>, ApiError> {
    let id = named(id);
    let row = match app.files().file(id).await?.filter(|row| row.file.owner == caller.user) {
        Some(row) => row,
        None => app.files().readable(caller.user, id).await?.ok_or_else(|| ApiError::new(Code::NoSuchFile))?,
    };
    let received = received(&app, &row).await?;
    Ok(Json(FileView::new(row, received)))
}

/// Give a file up
///
/// An upload, or a file that no message refers to.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-error-codes" = json!(["no_such_file", "file_attached"]))))]
pub(crate) async fn discard_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<StatusCode, ApiError> {
    let (shared, user, id) = (app.clone(), caller.user, named(id));
    app.change_by(&caller, Kind::File, async move { Ok(shared.files().discard(user, id).await?) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The copy's name.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyForm {
    /// Chosen by you (a UUIDv7), so that asking again is harmless; made here if left out.
    id: Option<Uuid>,
}

/// Copy a file
///
/// One that you may read becomes one of your own, which you can send on. Nothing travels.
#[utoipa::path(post, path = "/v1/files/{id}/copy", tag = "files", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The file.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = Option<CopyForm>, example = json!({"id": "0199e2a4-6c01-7cc3-98c4-dc0c0c07398f"})),
    responses((status = 201, description = "Your file.", body = FileView, example = json!({
        "id": "0199e2a4-6c01-7cc3-98c4-dc0c0c07398f", "state": "whole", "name": "sea.png", "type": "image/png",
        "size": 70000, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "encrypted": false, "received": 70000, "piece_max": 8388608, "proof": null,
        "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_file", "quota_exceeded", "file_id_taken"]))))]
pub(crate) async fn copy_file(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    OptionalBody(form): OptionalBody<CopyForm>,
) -> Result<(StatusCode, Json<FileView>), ApiError> {
    let (shared, user, from) = (app.clone(), caller.user, named(id));
    let to = form.id.map_or_else(FileId::generate, named);
    let row = app
        .change_by(&caller, Kind::File, async move {
            let room = shared.config.files.room;
            Ok(shared.files().copy_file(user, from, to, room, now_ms()).await?)
        })
        .await?;
    let size = row.file.size;
    Ok((StatusCode::CREATED, Json(FileView::new(row, size))))
}

#[cfg(test)]
mod tests {
    use super::is_media_type;

    #[test]
    fn a_media_type_cannot_smuggle_anything_into_a_header() {
        for good in ["image/png", "application/vnd.example+json", "text/x-c++"] {
            assert!(is_media_type(good), "{good}");
        }
        let long = format!("a/{}", "b".repeat(126));
        for bad in ["", "png", "image/", "/png", "image/png; a=b", "a/b\r\nc: d", "image/ä", "a/b/c", &long] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
