//! Who has read a message: asked for, never pushed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{Seq, UserId};
use whimbrel_store::groups::Reader;

use super::find::ByUser;
use super::{named, next_page, page_size, seen_by_id};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::{PathOf, QueryOf};
use crate::shared::App;
use crate::users::UserView;

/// How far one member has got.
#[derive(Serialize, ToSchema)]
#[schema(as = Reader)]
struct ReaderView {
    user: UserView,
    /// Some device of theirs has everything up to this place; 0 in groups of more than 100.
    delivered: u64,
    /// They have read up to this place.
    read: u64,
}

impl From<Reader> for ReaderView {
    fn from(reader: Reader) -> Self {
        let Reader { user, cursors } = reader;
        Self { user: user.into(), delivered: cursors.delivered.0, read: cursors.read.0 }
    }
}

/// Who has read a message.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadBy)]
pub(crate) struct ReadByView {
    /// Members to whom it was said, its sender not counted.
    of: u32,
    /// Of these, those who have read it.
    read: u32,
    /// Of these, those who have it; 0 in groups of more than 100.
    delivered: u32,
    /// Some of them, in the order of their numbers.
    readers: Vec<ReaderView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<u64>,
}

/// Who has read a message
///
/// For members. The counts are of all to whom it was said; the list is a page. Where no message stands (but a change of
/// the group, or nothing), or one that the caller does not see, all is 0.
#[utoipa::path(get, path = "/v1/groups/{id}/messages/{seq}/read_by", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("seq" = u64, Path, description = "The message's place.", example = 9),
        ("after" = Option<u64>, Query, description = "Members beyond this number.", example = 0),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "Counts, and a page.", body = ReadByView, example = json!(
        {"of": 2, "read": 1, "delivered": 2, "readers": [{
          "user": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
          "delivered": 12, "read": 9}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden"]))))]
pub(crate) async fn read_by(
    caller: Caller,
    State(app): State<App>,
    PathOf((id, seq)): PathOf<(Uuid, u64)>,
    QueryOf(page): QueryOf<ByUser>,
) -> Result<Json<ReadByView>, ApiError> {
    let limit = page_size(page.limit)?;
    let group = seen_by_id(&app, named(id), caller.user).await?.for_members()?.group;
    let found = app.groups().read_by(group.id, Seq(seq), caller.user, UserId(page.after.unwrap_or(0)), limit).await?;
    let next = next_page(&found.readers, limit, |last| last.user.id.0);
    let readers = found.readers.into_iter().map(ReaderView::from).collect();
    Ok(Json(ReadByView { of: found.of, read: found.read, delivered: found.delivered, readers, next }))
}
