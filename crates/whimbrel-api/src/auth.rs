//! Who asks, and the tokens that say so.
//!
//! An access token speaks for a user on a device; its signature is checked here, its device against what is remembered
//! of it. A refresh token is 32 random bytes; each successor is a keyed hash of its predecessor, so that a predecessor
//! that is used again (its answer got lost) leads to the same successor although nothing but hashes rests. The
//! administrator's key is compared by its hash, in constant time.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use whimbrel_core::{DeviceId, UserId};
use whimbrel_rpc::token::{Bearer, TokenError};

use crate::error::{ApiError, Code};
use crate::shared::{App, Shared, now_ms, sha256};

/// A user on a device that is logged in.
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
}

/// The administrator.
pub(crate) struct Admin;

fn bearer_token(parts: &Parts) -> Result<&str, ApiError> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim()).ok_or_else(|| Code::Unauthenticated.into())
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let bearer = app.tokens.check(bearer_token(parts)?).map_err(|error| match error {
            TokenError::Expired => Code::TokenExpired,
            TokenError::Invalid => Code::Unauthenticated,
        })?;
        match app.is_logged_in(bearer.user, bearer.device).await? {
            true => Ok(Self { user: bearer.user, device: bearer.device }),
            false => Err(Code::LoggedOut.into()),
        }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let given = sha256(bearer_token(parts)?.as_bytes());
        let right = app.admin_hash.is_some_and(|hash| hash.ct_eq(&given).into());
        if right {
            Ok(Self)
        } else {
            Err(ApiError::new(Code::Unauthenticated).says("The administrator's key is needed."))
        }
    }
}

/// A signed access token, and when it ends in milliseconds since 1970.
pub(crate) fn access_token(app: &Shared, user: UserId, device: DeviceId, ttl_s: u64) -> (String, u64) {
    let expires_at = now_ms() / 1000 + ttl_s;
    (app.tokens.issue(Bearer { user, device, expires_at }), expires_at * 1000)
}

/// A new family's first refresh token.
pub(crate) fn first_refresh_token() -> SecretString {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()).into()
}

/// The refresh token that follows this one.
pub(crate) fn next_refresh_token(secret: &SecretSlice<u8>, token: &SecretString) -> SecretString {
    let mut next = [0; 32];
    Hkdf::<Sha256>::new(Some(secret.expose_secret()), token.expose_secret().as_bytes())
        .expand(b"whimbrel refresh token", &mut next)
        .expect("32 bytes are a length that HKDF with SHA-256 gives");
    URL_SAFE_NO_PAD.encode(next).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_follows_from_its_predecessor_and_the_secret_alone() {
        let (one, other): (SecretSlice<u8>, SecretSlice<u8>) = (vec![1; 32].into(), vec![2; 32].into());
        let first = first_refresh_token();
        assert_eq!(first.expose_secret().len(), 43);
        let next = |secret| next_refresh_token(secret, &first).expose_secret().to_owned();
        assert_eq!(next(&one), next(&one));
        assert_ne!(next(&one), next(&other));
        assert_ne!(next(&one), first.expose_secret());
        assert_ne!(first.expose_secret(), first_refresh_token().expose_secret());
    }
}
