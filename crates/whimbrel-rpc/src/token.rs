//! Access tokens: JSON Web Tokens (RFC 7519), HS256, short-lived, checked without a database.
//!
//! Any role that knows the token key can check one. That a device was logged out is not in the token: whoever opens
//! something for long on the strength of a token (a session) reads the device's row as well.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use whimbrel_core::{DeviceId, UserId};

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserId,
    /// The device that the token was issued to.
    pub device: DeviceId,
    /// Seconds since 1970 after which the token is worth nothing.
    pub expires_at: u64,
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// Not signed with this key, or no token at all.
    #[error("the access token is not one of this server's")]
    Invalid,
}

/// Issues and checks access tokens.
pub struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    dev: String,
    exp: u64,
    aud: String,
}

const AUDIENCE: &str = "whimbrel";

impl TokenKey {
    /// A key from at least 32 secret bytes.
    pub fn new(secret: &SecretSlice<u8>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "sub", "aud"]);
        Self {
            encoding: EncodingKey::from_secret(secret.expose_secret()),
            decoding: DecodingKey::from_secret(secret.expose_secret()),
            validation,
        }
    }

    /// A token for this bearer.
    pub fn issue(&self, bearer: Bearer) -> String {
        let claims = Claims {
            sub: bearer.user.to_string(),
            dev: bearer.device.to_string(),
            exp: bearer.expires_at,
            aud: AUDIENCE.to_owned(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).expect("plain claims always encode")
    }

    /// The bearer of this token, against this machine's clock.
    pub fn check(&self, token: &str) -> Result<Bearer, TokenError> {
        let claims = decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                _ => TokenError::Invalid,
            })?
            .claims;
        let device = claims.dev.parse().map_err(|_| TokenError::Invalid)?;
        let user = claims.sub.parse().map_err(|_| TokenError::Invalid)?;
        Ok(Bearer { user: UserId(user), device, expires_at: claims.exp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(&vec![byte; 32].into())
    }

    #[test]
    fn a_token_speaks_for_its_bearer_and_only_under_its_key_and_until_it_expires() {
        let bearer = Bearer { user: UserId(7), device: DeviceId::generate(), expires_at: 4_000_000_000 };
        let token = key(1).issue(bearer);
        assert_eq!(key(1).check(&token), Ok(bearer));
        assert_eq!(key(2).check(&token), Err(TokenError::Invalid));
        assert_eq!(key(1).check("x.y.z"), Err(TokenError::Invalid));
        let old = key(1).issue(Bearer { expires_at: 1_000_000_000, ..bearer });
        assert_eq!(key(1).check(&old), Err(TokenError::Expired));
    }
}
