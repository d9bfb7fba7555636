//! Extractors whose refusals have the one error shape.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Code};
use crate::net::client_address;
use crate::shared::App;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that may be missing.
pub(crate) struct OptionalBody<T>(pub(crate) T);

/// The path's parameters.
pub(crate) struct PathOf<T>(pub(crate) T);

/// The query's parameters.
pub(crate) struct QueryOf<T>(pub(crate) T);

/// The client's address.
pub(crate) struct Client(pub(crate) std::net::IpAddr);

async fn bytes(request: Request, app: &App) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, app).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(failed) if failed.status() == Code::TooLarge.status() => {
            Code::TooLarge.into()
        }
        _ => ApiError::new(Code::BadRequest).says("the body did not arrive"),
    })
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // The parser's words may quote the body (`invalid value: string "…"`), and a body may hold a password; so they are
    // cut down to the place, except for the parser's remarks on fields, which quote names only.
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let about_fields = ["unknown field", "missing field", "duplicate field"].iter().any(|s| text.starts_with(s));
        let what = match (about_fields, error.classify()) {
            (true, _) => return ApiError::new(Code::BadRequest).says(cut(text)),
            (_, serde_json::error::Category::Data) => "the JSON has another type than documented",
            _ => "the body is no JSON",
        };
        ApiError::new(Code::BadRequest).says(format!("{what}, at line {} column {}", error.line(), error.column()))
    })
}

/// Longest sentence that quotes a client, characters.
const QUOTED_MAX: usize = 200;

fn cut(text: String) -> String {
    text.chars().take(QUOTED_MAX).collect()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(Code::UnsupportedMediaType.into());
        }
        json(&bytes(request, app).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = bytes(request, app).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false if is_json => json(&bytes).map(Self),
            false => Err(Code::UnsupportedMediaType.into()),
        }
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, app).await;
        path.map(|Path(value)| Self(value))
            .map_err(|_| ApiError::new(Code::BadRequest).says("a parameter in the path is not in the documented form"))
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, app).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|_| ApiError::new(Code::BadRequest).says("the query is not in the documented form"))
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self(client_address(&parts.extensions, &parts.headers, &app.config.trusted_proxies)))
    }
}
