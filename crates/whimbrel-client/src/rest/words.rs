//! What REST's JSON looks like, and the way from it to the public types.
//!
//! Unknown fields are ignored, so that a newer server can say more.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use whimbrel_core::{DeviceId, UserId};
use whimbrel_wire::seal::ConversationKey;

use crate::account::Credentials;
use crate::error::Error;
use crate::relation::{self, RelationKey, RelationState};

#[derive(Serialize)]
pub(super) struct Open<'a> {
    pub(super) handle: &'a str,
    pub(super) password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_id: Option<String>,
    pub(super) platform: &'a str,
    pub(super) device_name: &'a str,
}

#[derive(Serialize)]
pub(super) struct Refresh<'a> {
    pub(super) refresh_token: &'a str,
}

#[derive(Serialize)]
pub(super) struct ProfileChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Greeting<'a> {
    pub(super) greeting: &'a str,
}

#[derive(Serialize)]
pub(super) struct LogOut {
    pub(super) all: bool,
}

#[derive(Serialize)]
pub(super) struct Password<'a> {
    pub(super) old: &'a str,
    pub(super) new: &'a str,
}

#[derive(Serialize)]
pub(super) struct Delete<'a> {
    pub(super) password: &'a str,
}

#[derive(Deserialize, Default)]
pub(super) struct Refused {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) field: Option<String>,
}

/// What registering, logging in and refreshing answer.
#[derive(Deserialize)]
pub(super) struct Opened {
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    user_id: Option<u64>,
    #[serde(default)]
    device_id: Option<String>,
    access_token: String,
    /// Milliseconds since 1970.
    access_expires_at: u64,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// A user, as far as tokens are concerned.
#[derive(Deserialize)]
struct User {
    id: u64,
}

impl Opened {
    /// `before` fills in what an answer to a refresh leaves out.
    pub(super) fn into_credentials(self, before: Option<&Credentials>) -> Result<Credentials, Error> {
        let named = self.user.map(|user| user.id).or(self.user_id);
        let user = named.map(UserId).or(before.map(|before| before.user));
        let device = match self.device_id {
            Some(id) => Some(id.parse().map_err(|_| unreadable("device_id"))?),
            None => before.map(|before| before.device),
        };
        Ok(Credentials {
            user: user.ok_or_else(|| unreadable("user"))?,
            device: device.ok_or_else(|| unreadable("device_id"))?,
            access_token: self.access_token.into(),
            access_expires_at: self.access_expires_at / 1000,
            refresh_token: self.refresh_token.map(Into::into),
        })
    }
}

#[derive(Deserialize)]
pub(super) struct Profile {
    id: u64,
    handle: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    avatar: Option<String>,
}

impl From<Profile> for relation::Profile {
    fn from(profile: Profile) -> Self {
        let Profile { id, handle, display_name, avatar } = profile;
        let avatar = avatar.filter(|avatar| !avatar.is_empty());
        Self { id: UserId(id), handle, display_name: display_name.unwrap_or_default(), avatar }
    }
}

#[derive(Deserialize)]
pub(super) struct Relation {
    peer: Profile,
    state: State,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    greeting: Option<String>,
    #[serde(default)]
    conversation_id: Option<String>,
    #[serde(default)]
    keys: Vec<Key>,
    #[serde(default)]
    changed_at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    None,
    RequestSent,
    RequestReceived,
    Friends,
}

#[derive(Deserialize)]
pub(super) struct Key {
    version: u32,
    key: String,
}

impl Relation {
    pub(super) fn read(self) -> Result<relation::Relation, Error> {
        let conversation = match self.conversation_id {
            Some(id) => Some(id.parse().map_err(|_| unreadable("conversation_id"))?),
            None => None,
        };
        Ok(relation::Relation {
            peer: self.peer.into(),
            state: match self.state {
                State::None => RelationState::None,
                State::RequestSent => RelationState::RequestSent,
                State::RequestReceived => RelationState::RequestReceived,
                State::Friends => RelationState::Friends,
            },
            blocked: self.blocked,
            greeting: self.greeting.filter(|greeting| !greeting.is_empty()),
            conversation,
            keys: self.keys.into_iter().map(Key::read).collect::<Result<_, _>>()?,
            changed_at: self.changed_at,
        })
    }
}

impl Key {
    pub(super) fn read(self) -> Result<RelationKey, Error> {
        let bytes = STANDARD.decode(&self.key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = ConversationKey::from_bytes(bytes.ok_or_else(|| unreadable("key"))?);
        Ok(RelationKey { version: self.version, key })
    }
}

#[derive(Deserialize)]
pub(super) struct Relations {
    pub(super) relations: Vec<Relation>,
}

#[derive(Deserialize)]
pub(super) struct Device {
    id: String,
    #[serde(default)]
    platform: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    created_at: u64,
    #[serde(default)]
    seen_at: u64,
}

impl Device {
    pub(super) fn read(self, asking: DeviceId) -> Result<relation::Device, Error> {
        let id = self.id.parse().map_err(|_| unreadable("id"))?;
        let Device { platform, name, created_at, seen_at, .. } = self;
        Ok(relation::Device { id, platform, name, created_at, seen_at, current: id == asking })
    }
}

#[derive(Deserialize)]
pub(super) struct Devices {
    pub(super) devices: Vec<Device>,
}

/// The seconds of a Retry-After; the form with a date is not used by this API.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// One query parameter, encoded.
pub(super) fn query(name: &str, value: &str) -> String {
    let mut query = String::with_capacity(name.len() + value.len() + 1);
    query.push_str(name);
    query.push('=');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(byte.into()),
            _ => query.push_str(&format!("%{byte:02X}")),
        }
    }
    query
}

pub(super) fn unreadable(field: &'static str) -> Error {
    Error::Http(format!("the answer's {field} is not what it should be").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_is_read_with_its_keys() {
        let key = STANDARD.encode([7; 32]);
        let json = format!(
            r#"{{"peer":{{"id":2,"handle":"bob","display_name":null,"avatar":null}},"state":"friends","blocked":false,
            "greeting":"","conversation_id":"017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
            "keys":[{{"version":1,"key":"{key}"}}],"changed_at":5,"new_in_v9":1}}"#
        );
        let relation = serde_json::from_str::<Relation>(&json).expect("readable").read().expect("well-formed");
        assert_eq!(relation.state, RelationState::Friends);
        assert_eq!(relation.keys[0].key.expose(), &[7; 32]);
        assert_eq!(relation.greeting, None);
    }

    #[test]
    fn a_handle_is_encoded_in_a_query() {
        assert_eq!(query("handle", "a&b ü"), "handle=a%26b%20%C3%BC");
    }
}
