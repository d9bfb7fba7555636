//! Administration: accounts, tokens and friendships for the embedding product and for load tools, many at once.
//!
//! Everything here needs the administrator's key. One of many is answered for itself: a wrong one fails alone.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;
use whimbrel_store::directory::{DirectoryError, LogIn, NewUser, Relation, RelationChange, RelationState, Rows};

use crate::accounts::delete;
use crate::auth::{Admin, access_token};
use crate::devices::uuid_of;
use crate::error::{ApiError, Code, ErrorBody};
use crate::extract::{Body, PathOf};
use crate::logins::{DeviceForm, check_handle};
use crate::passwords::{Patience, check_new};
use crate::shared::{App, Shared, now_ms};
use crate::users::{UserView, check_display_name};

/// Things in one request.
const AT_ONCE_MAX: usize = 1000;

/// Longest life of a token that the administrator issues, seconds.
const TTL_MAX_S: u64 = 24 * 3600;

/// Pairs that are befriended at the same time: enough to share the store's transactions.
const PAIRS_AT_ONCE: usize = 64;

fn check_count<T>(items: &[T], field: &'static str) -> Result<(), ApiError> {
    match (1..=AT_ONCE_MAX).contains(&items.len()) {
        true => Ok(()),
        false => Err(ApiError::invalid(field, "1 to 1000 at once")),
    }
}

/// Accounts to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUsers {
    users: Vec<NewUserForm>,
}

/// An account to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUserForm {
    handle: String,
    /// The handle if left out.
    display_name: Option<String>,
    /// Without one the account never logs in by itself: its tokens are issued by the administrator.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// What became of each, in the order of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedUsers {
    users: Vec<CreatedUser>,
}

/// Either of the two.
#[derive(Serialize, ToSchema)]
struct CreatedUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

impl From<Result<UserView, ApiError>> for CreatedUser {
    fn from(result: Result<UserView, ApiError>) -> Self {
        match result {
            Ok(user) => Self { user: Some(user), error: None },
            Err(error) => Self { user: None, error: Some(error.logged()) },
        }
    }
}

async fn new_user(app: &Shared, form: NewUserForm) -> Result<NewUser, ApiError> {
    check_handle(&form.handle)?;
    form.display_name.as_deref().map_or(Ok(()), check_display_name)?;
    let password_hash = match form.password {
        Some(password) => {
            check_new(&password, "password")?;
            Some(app.passwords.hash(password, Patience::Waits).await?)
        }
        None => None,
    };
    let display_name = form.display_name.unwrap_or_else(|| form.handle.clone());
    Ok(NewUser { handle: form.handle, display_name, password_hash })
}

/// Does what can be done of many in one call, and puts each answer where its question stood.
async fn each<Q, T>(
    questions: Vec<Result<Q, ApiError>>,
    ask: impl AsyncFnOnce(Vec<Q>) -> Result<Vec<Result<T, ApiError>>, ApiError>,
) -> Result<Vec<Result<T, ApiError>>, ApiError> {
    let mut good = Vec::with_capacity(questions.len());
    let refused: Vec<Option<ApiError>> =
        questions.into_iter().map(|question| question.map(|question| good.push(question)).err()).collect();
    let mut answers = if good.is_empty() { Vec::new() } else { ask(good).await? }.into_iter();
    let answer = |refused: Option<ApiError>| match refused {
        Some(error) => Err(error),
        None => answers.next().unwrap_or_else(|| Err(ApiError::internal("one of many was not answered"))),
    };
    Ok(refused.into_iter().map(answer).collect())
}

/// Create accounts
#[utoipa::path(post, path = "/v1/admin/users", tag = "admin", security(("admin_key" = [])),
    request_body(content = NewUsers, example = json!({"users": [{"handle": "anna"}, {"handle": "Bert!"}]})),
    responses((status = 200, description = "What became of each.", body = CreatedUsers, example = json!({"users": [
        {"user": {"id": 12, "handle": "anna", "display_name": "anna", "avatar": "", "created_at": 1790000000000_u64}},
        {"error": {"code": "invalid", "message": "a handle has only a-z, 0-9, '_', '.' and '-'",
          "field": "handle"}}]}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn create_users(
    _: Admin,
    State(app): State<App>,
    Body(form): Body<NewUsers>,
) -> Result<Json<CreatedUsers>, ApiError> {
    check_count(&form.users, "users")?;
    let mut questions = Vec::with_capacity(form.users.len());
    for user in form.users {
        questions.push(new_user(&app, user).await);
    }
    let shared = app.clone();
    let create = async |users| {
        app.change(async move {
            let answers = shared.directory().create_users(users, now_ms()).await?;
            Ok(answers.into_iter().map(|user| Ok(UserView::from(user?))).collect())
        })
        .await
    };
    let users = each(questions, create).await?;
    Ok(Json(CreatedUsers { users: users.into_iter().map(CreatedUser::from).collect() }))
}

/// Access tokens to issue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokens {
    tokens: Vec<NewTokenForm>,
}

/// An access token to issue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTokenForm {
    user: u64,
    /// The server gives one if left out.
    device_id: Option<Uuid>,
    /// Such as "linux", at most 32 characters.
    platform: Option<String>,
    /// Seconds; at most 24 hours; as after a log-in if left out.
    ttl_s: Option<u64>,
}

/// What became of each, in the order of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedTokens {
    tokens: Vec<IssuedToken>,
}

/// A token, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum IssuedToken {
    /// A token.
    Token {
        user: u64,
        device_id: Uuid,
        access_token: String,
        /// Milliseconds since 1970.
        access_expires_at: u64,
    },
    /// Why there is none.
    Error { error: ErrorBody },
}

fn new_token(app: &Shared, form: NewTokenForm, now: u64) -> Result<(LogIn, u64), ApiError> {
    let ttl_s = form.ttl_s.unwrap_or(app.config.access_token_ttl.as_secs());
    if !(1..=TTL_MAX_S).contains(&ttl_s) {
        return Err(ApiError::invalid("ttl_s", "a token lives 1 second to 24 hours"));
    }
    let DeviceForm { id, platform, name } = DeviceForm::new(form.device_id, form.platform, None)?;
    let user = UserId(form.user);
    Ok((LogIn { user, device: id, platform, name, refresh_hash: None, now }, ttl_s))
}

async fn issue(app: &Shared, asked: Vec<(LogIn, u64)>) -> Result<Vec<Result<IssuedToken, ApiError>>, ApiError> {
    let bearers: Vec<_> = asked.iter().map(|(log_in, ttl_s)| (log_in.user, log_in.device, *ttl_s)).collect();
    let answers = app.directory().log_in(asked.into_iter().map(|(log_in, _)| log_in).collect()).await?;
    let mut placed = Rows::new();
    let mut token = |((user, device, ttl_s), answer): (_, Result<Rows, DirectoryError>)| {
        placed.extend(answer?);
        let (access_token, access_expires_at) = access_token(app, user, device, ttl_s);
        Ok(IssuedToken::Token { user: user.0, device_id: uuid_of(device), access_token, access_expires_at })
    };
    let tokens = bearers.into_iter().zip(answers).map(&mut token).collect();
    app.placed(placed).await;
    Ok(tokens)
}

/// Issue access tokens
///
/// For accounts of the embedding product and for load tools: the device is logged in without a refresh token.
#[utoipa::path(post, path = "/v1/admin/tokens", tag = "admin", security(("admin_key" = [])),
    request_body(content = NewTokens, example = json!({"tokens": [{"user": 12, "platform": "load", "ttl_s": 3600}]})),
    responses((status = 200, description = "What became of each.", body = IssuedTokens, example = json!({"tokens": [
        {"user": 12, "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77", "access_token": "eyJ0eXAiOiJKV1Qi…",
          "access_expires_at": 1790003600000_u64}]}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn issue_tokens(
    _: Admin,
    State(app): State<App>,
    Body(form): Body<NewTokens>,
) -> Result<Json<IssuedTokens>, ApiError> {
    check_count(&form.tokens, "tokens")?;
    let now = now_ms();
    let questions = form.tokens.into_iter().map(|form| new_token(&app, form, now)).collect();
    let shared = app.clone();
    let tokens = each(questions, async |asked| app.change(async move { issue(&shared, asked).await }).await).await?;
    let shown = |token: Result<_, ApiError>| token.unwrap_or_else(|error| IssuedToken::Error { error: error.logged() });
    Ok(Json(IssuedTokens { tokens: tokens.into_iter().map(shown).collect() }))
}

/// Pairs of users to befriend.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFriends {
    /// The two users' numbers.
    #[schema(value_type = Vec<Vec<u64>>)]
    pairs: Vec<(u64, u64)>,
}

/// What became of each, in the order of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Befriended {
    pairs: Vec<BefriendedPair>,
}

/// Either of the two.
#[derive(Serialize, ToSchema)]
struct BefriendedPair {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

impl From<Result<Uuid, ApiError>> for BefriendedPair {
    fn from(result: Result<Uuid, ApiError>) -> Self {
        match result {
            Ok(id) => Self { conversation_id: Some(id), error: None },
            Err(error) => Self { conversation_id: None, error: Some(error.logged()) },
        }
    }
}

/// Makes two users friends, whatever they are; the rows of every step that took place are in `placed`.
async fn befriend(app: &Shared, a: UserId, b: UserId, placed: &mut Rows) -> Result<Uuid, ApiError> {
    let mut change = async |user, peer, change| {
        let (relation, rows) = app.directory().change_relation(user, peer, change, now_ms()).await?;
        placed.extend(rows);
        Ok::<Relation, ApiError>(relation)
    };
    let mut relation = app.directory().relation(a, b).await?;
    if relation.as_ref().is_none_or(|relation| relation.state == RelationState::None) {
        relation = Some(change(a, b, RelationChange::Request { greeting: String::new() }).await?);
    }
    let relation = match relation {
        Some(relation) if relation.state == RelationState::Friends => relation,
        Some(relation) if relation.state == RelationState::RequestReceived => {
            change(a, b, RelationChange::Accept).await?
        }
        _ => change(b, a, RelationChange::Accept).await?,
    };
    let conversation = relation.conversation.ok_or_else(|| ApiError::internal("friends without a conversation"))?;
    Ok(Uuid::from_bytes(*conversation.as_bytes()))
}

/// Befriends some pairs at the same time, and tells everyone at once.
async fn befriend_all(app: App, pairs: Vec<(u64, u64)>) -> Vec<Result<Uuid, ApiError>> {
    let mut tasks = JoinSet::new();
    let mut answers: Vec<Result<Uuid, ApiError>> = Vec::new();
    for (index, (a, b)) in pairs.into_iter().enumerate() {
        answers.push(Err(ApiError::internal("a pair's task ended early")));
        let app = app.clone();
        tasks.spawn(async move {
            let mut placed = Rows::new();
            let answer = befriend(&app, UserId(a), UserId(b), &mut placed).await;
            (index, answer, placed)
        });
    }
    let mut rows = Rows::new();
    while let Some(done) = tasks.join_next().await {
        // A task that panicked leaves its pair's answer as it is; what the others did must be told all the same.
        let Ok((index, answer, placed)) = done else { continue };
        answers[index] = answer;
        rows.extend(placed);
    }
    app.placed(rows).await;
    answers
}

/// Make friends
///
/// Both have asked and accepted, as it were. Pairs that are friends already stay so.
#[utoipa::path(post, path = "/v1/admin/relations", tag = "admin", security(("admin_key" = [])),
    request_body(content = NewFriends, example = json!({"pairs": [[12, 13], [12, 12]]})),
    responses((status = 200, description = "What became of each.", body = Befriended, example = json!({"pairs": [
        {"conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"},
        {"error": {"code": "not_applicable", "message": "nobody befriends themselves"}}]}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn befriend_users(
    _: Admin,
    State(app): State<App>,
    Body(form): Body<NewFriends>,
) -> Result<Json<Befriended>, ApiError> {
    check_count(&form.pairs, "pairs")?;
    let mut pairs = Vec::with_capacity(form.pairs.len());
    for some in form.pairs.chunks(PAIRS_AT_ONCE) {
        let (shared, some) = (app.clone(), some.to_vec());
        let answers = app.change(async move { Ok(befriend_all(shared, some).await) }).await?;
        pairs.extend(answers.into_iter().map(BefriendedPair::from));
    }
    Ok(Json(Befriended { pairs }))
}

/// Delete an account
#[utoipa::path(delete, path = "/v1/admin/users/{id}", tag = "admin", security(("admin_key" = [])),
    params(("id" = u64, Path, description = "The user's number.", example = 12)),
    responses((status = 204, description = "The account is gone.")),
    extensions(("x-error-codes" = json!(["no_such_user"]))))]
pub(crate) async fn delete_user(
    _: Admin,
    State(app): State<App>,
    PathOf(id): PathOf<u64>,
) -> Result<StatusCode, ApiError> {
    if app.directory().user(UserId(id)).await?.is_none() {
        return Err(Code::NoSuchUser.into());
    }
    app.change(delete(app.clone(), UserId(id), false)).await
}
