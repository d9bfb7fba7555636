//! The REST calls of presence.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use whimbrel_core::{Presence, PresenceState, Privacy, UserId};

use super::Rest;
use crate::account::Credentials;
use crate::error::Error;
use crate::presence::PrivacyChange;

const OWN: &str = "/v1/me/presence";

#[derive(Deserialize)]
struct PresenceWords {
    user: u64,
    state: String,
    #[serde(default)]
    last_seen: u64,
}

#[derive(Deserialize)]
struct PresencesWords {
    presences: Vec<PresenceWords>,
}

#[derive(Deserialize)]
struct PrivacyWords {
    invisible: bool,
    #[serde(default)]
    last_seen_hidden: bool,
}

#[derive(Serialize)]
struct ChangeWords {
    #[serde(skip_serializing_if = "Option::is_none")]
    invisible: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_hidden: Option<bool>,
}

impl From<PresenceWords> for Presence {
    fn from(words: PresenceWords) -> Self {
        let states = [PresenceState::Offline, PresenceState::Online];
        // A state that this version does not know says nothing.
        let state = states.into_iter().find(|state| state.name() == words.state).unwrap_or_default();
        Presence { user: UserId(words.user), state, last_seen: words.last_seen }
    }
}

impl From<PrivacyWords> for Privacy {
    fn from(words: PrivacyWords) -> Self {
        Privacy { invisible: words.invisible, last_seen_hidden: words.last_seen_hidden }
    }
}

impl Rest {
    /// Who of these friends is here now, in the order asked; at most 200.
    ///
    /// # Errors
    /// As every call.
    pub async fn presence(&self, credentials: &Credentials, users: &[UserId]) -> Result<Vec<Presence>, Error> {
        let users: Vec<String> = users.iter().map(|user| user.0.to_string()).collect();
        let path = format!("/v1/presence?users={}", users.join(","));
        let found: PresencesWords = self.get(&path, credentials).await?;
        Ok(found.presences.into_iter().map(Into::into).collect())
    }

    /// How one lets oneself be seen.
    ///
    /// # Errors
    /// As every call.
    pub async fn privacy(&self, credentials: &Credentials) -> Result<Privacy, Error> {
        self.get::<PrivacyWords>(OWN, credentials).await.map(Into::into)
    }

    /// Changes how one lets oneself be seen; gives how it is then.
    ///
    /// # Errors
    /// As every call.
    pub async fn change_privacy(&self, credentials: &Credentials, change: PrivacyChange) -> Result<Privacy, Error> {
        let PrivacyChange { invisible, last_seen_hidden } = change;
        let body = ChangeWords { invisible, last_seen_hidden };
        self.call::<PrivacyWords>(Method::PUT, OWN, Some(credentials), Some(&body)).await.map(Into::into)
    }
}
