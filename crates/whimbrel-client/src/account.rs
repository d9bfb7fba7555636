//! Who logs in, on what, and with which tokens. Tokens are never printed.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use whimbrel_core::{DeviceId, UserId};

/// The device that registers or logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device's id from an earlier log-in, to stay the same device; `None`: the server makes a new one.
    pub id: Option<DeviceId>,
    /// Such as "linux", "ios", "web"; at most 32 bytes.
    pub platform: String,
    /// What a person calls it, such as "Ann's laptop".
    pub name: String,
}

impl Default for DeviceInfo {
    /// A new device on this operating system, named after the SDK.
    fn default() -> Self {
        Self { id: None, platform: std::env::consts::OS.into(), name: "whimbrel-rust".into() }
    }
}

/// What registering, logging in or refreshing gives. Debug shows no token.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Who.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// Opens sessions and REST until it expires.
    pub access_token: SecretString,
    /// When the access token expires, seconds since 1970.
    pub access_expires_at: u64,
    /// Gives new credentials once; `None` for tokens that an embedding product issues itself.
    pub refresh_token: Option<SecretString>,
}

impl Credentials {
    /// The form in which they can be saved. It holds the tokens in the clear: keep it where a password may be.
    pub fn to_exposed(&self) -> SavedCredentials {
        SavedCredentials {
            user: self.user.0,
            device: self.device.to_string(),
            access_token: self.access_token.expose_secret().into(),
            access_expires_at: self.access_expires_at,
            refresh_token: self.refresh_token.as_ref().map(|token| token.expose_secret().into()),
        }
    }

    /// Whether the access token still opens something `margin_s` seconds from now.
    pub fn is_fresh(&self, margin_s: u64) -> bool {
        unix_now_s() + margin_s < self.access_expires_at
    }
}

/// [`Credentials`] with their tokens in the clear, for saving.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCredentials {
    /// Who.
    pub user: u64,
    /// On which device: a UUID.
    pub device: String,
    /// In the clear.
    pub access_token: String,
    /// Seconds since 1970.
    pub access_expires_at: u64,
    /// In the clear.
    pub refresh_token: Option<String>,
}

impl SavedCredentials {
    /// The credentials again; `None` when the device is not a UUID.
    pub fn into_credentials(self) -> Option<Credentials> {
        Some(Credentials {
            user: UserId(self.user),
            device: self.device.parse().ok()?,
            access_token: self.access_token.into(),
            access_expires_at: self.access_expires_at,
            refresh_token: self.refresh_token.map(Into::into),
        })
    }
}

/// Seconds since 1970 by this machine's clock.
pub(crate) fn unix_now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
