//! Groups: making them, finding them, who is in them and what each does there.
//!
//! Owns the forms and what is shown to whom; who may do what is the store's to say, in the transaction of the change.
//! What is shown: a listed group to everybody; any group to its members, to those who were in it, and to those who are
//! invited or have asked. For all others it does not exist. The announcement is for members alone, as are the others'
//! names and how far they have read; what waits for an answer is for owner and admins. Keys leave the server to those
//! in whose time they were made, and to nobody else.

mod admin;
mod change;
mod create;
mod find;
mod forms;
mod members;
mod receipts;
mod requests;
mod views;

pub(crate) use forms::until;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use whimbrel_core::{Action, ConversationId, UserId};
use whimbrel_store::groups::{Actor, Group, GroupChange, GroupMember, RequestKind};

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::shared::{App, Shared, now_ms};
use crate::turns::Kind;

/// Things in one answer, and if the question names no number.
const PAGE_MAX: usize = 500;
const PAGE: usize = 100;

/// What members do.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(find::list_groups, create::create_group))
        .routes(routes!(find::search_groups))
        .routes(routes!(find::group_by_handle))
        .routes(routes!(requests::own_group_requests))
        .routes(routes!(find::get_group, create::change_group))
        .routes(routes!(find::list_group_members))
        .routes(routes!(find::list_group_keys))
        .routes(routes!(requests::list_group_requests))
        .routes(routes!(receipts::read_by))
        .routes(routes!(members::join_group))
        .routes(routes!(members::decline_group))
        .routes(routes!(members::leave_group))
        .routes(routes!(members::invite_to_group))
        .routes(routes!(members::approve_request))
        .routes(routes!(members::reject_request))
        .routes(routes!(members::remove_member))
        .routes(routes!(change::set_member_role))
        .routes(routes!(change::transfer_group))
        .routes(routes!(change::mute_member))
        .routes(routes!(change::mute_group))
        .routes(routes!(change::end_group))
}

/// What the administrator does.
pub(crate) fn administration() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin::create_group_for))
        .routes(routes!(admin::add_group_members))
        .routes(routes!(admin::dissolve_group))
}

/// A conversation's id, as JSON carries it.
pub(crate) fn uuid_of(id: ConversationId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// The conversation that a path names.
pub(crate) fn named(id: Uuid) -> ConversationId {
    ConversationId::from_bytes(*id.as_bytes())
}

/// How many things a page has.
pub(crate) fn page_size(asked: Option<usize>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(PAGE);
    match (1..=PAGE_MAX).contains(&limit) {
        true => Ok(limit),
        false => Err(ApiError::invalid("limit", "a page has 1 to 500 entries")),
    }
}

/// Where the next page begins: behind the last thing of a full one.
pub(crate) fn next_page<T, K>(page: &[T], limit: usize, key: impl FnOnce(&T) -> K) -> Option<K> {
    page.last().filter(|_| page.len() == limit).map(key)
}

/// A group as far as one user may know of it.
struct Seen {
    group: Group,
    /// They are in it, or were.
    member: Option<GroupMember>,
}

impl Seen {
    /// They are in it.
    fn is_member(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.until.0 == 0)
    }

    /// Refuses what is for members.
    fn for_members(self) -> Result<Self, ApiError> {
        match self.is_member() {
            true => Ok(self),
            false => Err(ApiError::new(Code::Forbidden).says("this is for members of the group")),
        }
    }

    /// Refuses what only those of a role may do that allows it.
    fn for_those_who_may(self, action: Action, why: &'static str) -> Result<Self, ApiError> {
        let may = self.is_member() && self.member.as_ref().is_some_and(|member| member.role.may(action));
        match may {
            true => Ok(self),
            false => Err(ApiError::new(Code::Forbidden).says(why)),
        }
    }
}

/// Whether the user was told of the group: they are invited, or have asked. Of what a member proposed they know nothing
/// yet.
async fn was_told(app: &Shared, id: ConversationId, user: UserId) -> Result<bool, ApiError> {
    let Some(before) = user.0.checked_sub(1) else { return Ok(false) };
    let waiting = app.groups().group_requests(id, UserId(before), 1).await?;
    Ok(waiting.first().is_some_and(|request| request.user.id == user && request.kind != RequestKind::Proposed))
}

/// The group, if the user may know of it.
async fn seen(app: &Shared, group: Option<Group>, user: UserId) -> Result<Seen, ApiError> {
    let group = group.ok_or_else(|| ApiError::new(Code::NoSuchGroup))?;
    let member = app.groups().group_member(group.id, user).await?;
    let stands = group.dissolved_at.is_none();
    match member.is_some() || stands && (group.listed || was_told(app, group.id, user).await?) {
        true => Ok(Seen { group, member }),
        false => Err(Code::NoSuchGroup.into()),
    }
}

/// The group of this id, if the user may know of it.
async fn seen_by_id(app: &Shared, id: ConversationId, user: UserId) -> Result<Seen, ApiError> {
    let group = app.groups().group(id).await?;
    seen(app, group, user).await
}

/// Makes a change that a user asks for, tells those whom it concerns, and gives the group as that user sees it then.
async fn change_by(app: App, caller: Caller, id: ConversationId, change: GroupChange) -> Result<Seen, ApiError> {
    let users = match &change {
        GroupChange::Invite { users } => users.len(),
        _ => 1,
    };
    let (shared, user) = (app.clone(), caller.user);
    app.change_by(&caller, Kind::Group { users }, async move {
        let (group, rows) = shared.groups().change_group(id, Actor::User(user), change, now_ms()).await?;
        shared.placed(rows).await;
        let member = shared.groups().group_member(id, user).await?;
        Ok(Seen { group, member })
    })
    .await
}
