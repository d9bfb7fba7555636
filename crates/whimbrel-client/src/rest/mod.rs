//! The REST API, call by call. No socket, no state besides the HTTP connection pool.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use whimbrel_core::{DeviceId, UserId};

use crate::account::{Credentials, DeviceInfo};
use crate::error::{ApiError, Error};
use crate::relation::{Device, Profile, ProfileChange, Relation};

mod authorized;
mod files;
mod group_words;
mod groups;
mod history;
mod presence;
mod search;
mod setting_words;
mod words;

pub use authorized::AuthorizedRest;
pub(crate) use authorized::{Auth, Password, is_refusal};
pub use files::{FileForm, FileProof, FileRange, FileState, FileUsage, OwnFile, OwnFiles};
pub(crate) use groups::{group_from_json, group_to_json, setting_from_json, setting_to_json};
pub use history::{ServerFollowUps, ServerPage};
pub use search::ServerSearched;

/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that takes longer to make has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, bytes.
const ANSWER_MAX: usize = 8 * 1024 * 1024;
/// Most relations that one page is asked for.
pub const RELATIONS_PAGE: usize = 500;
/// Most entries that a page of anything else is asked for.
pub const PAGE: usize = 200;

/// A REST API. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
}

impl Rest {
    /// The API at `api_url`, such as `http://127.0.0.1:7180`. With `https` the operating system's roots are trusted.
    ///
    /// # Errors
    /// [`Error::Config`] when it is no such address.
    pub fn new(api_url: &str) -> Result<Rest, Error> {
        Self::build(api_url, None)
    }

    /// The API at `api_url`, trusting the certificates in `pem` and no others.
    ///
    /// # Errors
    /// [`Error::Config`] for a bad address or certificate.
    pub fn with_root_certificate(api_url: &str, pem: &[u8]) -> Result<Rest, Error> {
        Self::build(api_url, Some(pem))
    }

    pub(crate) fn build(api_url: &str, root: Option<&[u8]>) -> Result<Rest, Error> {
        let base = api_url.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).map_err(|_| Error::Config(format!("not an address: {api_url}")))?;
        let tls = match url.scheme() {
            "http" => crate::tls::nothing(),
            "https" => crate::tls::config(root)?,
            other => return Err(Error::Config(format!("{other} is not http or https"))),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(crate::SDK_VERSION)
            .build()
            .map_err(Error::http)?;
        Ok(Rest { http, base })
    }

    /// Makes an account and logs this device in.
    ///
    /// # Errors
    /// [`Error::Api`] when the handle is taken or the password too weak; [`Error::Http`] without an answer.
    pub async fn register(&self, handle: &str, password: &str, device: &DeviceInfo) -> Result<Credentials, Error> {
        self.open("/v1/register", handle, password, device).await
    }

    /// Logs this device in.
    ///
    /// # Errors
    /// [`Error::Api`] when handle and password do not fit, or tries came too fast; [`Error::Http`] without an answer.
    pub async fn log_in(&self, handle: &str, password: &str, device: &DeviceInfo) -> Result<Credentials, Error> {
        self.open("/v1/login", handle, password, device).await
    }

    /// New credentials for the old ones' refresh token, which is used up by this. Save them before they are used.
    ///
    /// # Errors
    /// [`Error::NoCredentials`] when there is no refresh token; [`Error::Api`] when it is no longer good.
    pub async fn refresh(&self, credentials: &Credentials) -> Result<Credentials, Error> {
        let token = credentials.refresh_token.as_ref().ok_or(Error::NoCredentials)?;
        let body = words::Refresh { refresh_token: token.expose_secret() };
        let opened: words::Opened = self.call(Method::POST, "/v1/refresh", None, Some(&body)).await?;
        opened.into_credentials(Some(credentials))
    }

    /// One's own profile.
    ///
    /// # Errors
    /// As every call: [`Error::Api`] or [`Error::Http`].
    pub async fn me(&self, credentials: &Credentials) -> Result<Profile, Error> {
        self.get::<words::Profile>("/v1/me", credentials).await.map(Into::into)
    }

    /// Changes one's own profile; gives the new one.
    ///
    /// # Errors
    /// [`Error::Api`] naming the field that is wrong.
    pub async fn set_profile(&self, credentials: &Credentials, change: &ProfileChange) -> Result<Profile, Error> {
        let body =
            words::ProfileChange { display_name: change.display_name.as_deref(), avatar: change.avatar.as_deref() };
        let profile: words::Profile = self.call(Method::PATCH, "/v1/me", Some(credentials), Some(&body)).await?;
        Ok(profile.into())
    }

    /// The user with exactly this handle, if there is one.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_user(&self, credentials: &Credentials, handle: &str) -> Result<Option<Profile>, Error> {
        let path = format!("/v1/users?{}", words::query("handle", handle));
        match self.get::<words::Profile>(&path, credentials).await {
            Ok(found) => Ok(Some(found.into())),
            Err(Error::Api(error)) if error.status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A user.
    ///
    /// # Errors
    /// [`Error::Api`] when there is none.
    pub async fn user(&self, credentials: &Credentials, user: UserId) -> Result<Profile, Error> {
        self.get::<words::Profile>(&format!("/v1/users/{user}"), credentials).await.map(Into::into)
    }

    /// A page of one's relations: those with users above `after`, at most `limit` ([`RELATIONS_PAGE`] is the most), in
    /// the order of the users' ids. A page that is not full is the last.
    ///
    /// # Errors
    /// As every call.
    pub async fn relations(
        &self,
        credentials: &Credentials,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Relation>, Error> {
        let after = after.map_or(0, |user| user.0);
        let page: words::Relations =
            self.get(&format!("/v1/relations?after={after}&limit={limit}"), credentials).await?;
        page.relations.into_iter().map(words::Relation::read).collect()
    }

    /// One's relation with a user.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no such user.
    pub async fn relation(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.get::<words::Relation>(&format!("/v1/relations/{user}"), credentials).await?.read()
    }

    /// Asks a user to be friends.
    ///
    /// # Errors
    /// [`Error::Api`] when the two are friends already, or one blocks the other.
    pub async fn request_friend(
        &self,
        credentials: &Credentials,
        user: UserId,
        greeting: &str,
    ) -> Result<Relation, Error> {
        self.relate(credentials, user, "request", Some(&words::Greeting { greeting })).await
    }

    /// Accepts a user's request: the two are friends, and have a conversation and a key.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no request.
    pub async fn accept(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "accept", None).await
    }

    /// Declines a user's request.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no request.
    pub async fn decline(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "decline", None).await
    }

    /// Takes one's own request back.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no request.
    pub async fn cancel(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "cancel", None).await
    }

    /// Ends a friendship. The conversation stays readable.
    ///
    /// # Errors
    /// [`Error::Api`] when the two are no friends.
    pub async fn remove_friend(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "remove", None).await
    }

    /// Blocks a user: neither may write to the other.
    ///
    /// # Errors
    /// As every call.
    pub async fn block(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "block", None).await
    }

    /// Ends one's own block.
    ///
    /// # Errors
    /// As every call.
    pub async fn unblock(&self, credentials: &Credentials, user: UserId) -> Result<Relation, Error> {
        self.relate(credentials, user, "unblock", None).await
    }

    /// One's own devices.
    ///
    /// # Errors
    /// As every call.
    pub async fn devices(&self, credentials: &Credentials) -> Result<Vec<Device>, Error> {
        let devices: words::Devices = self.get("/v1/devices", credentials).await?;
        devices.devices.into_iter().map(|device| device.read(credentials.device)).collect()
    }

    /// Logs this device out, or all of the user's devices.
    ///
    /// # Errors
    /// As every call.
    pub async fn log_out(&self, credentials: &Credentials, all: bool) -> Result<(), Error> {
        self.tell(Method::POST, "/v1/logout", credentials, &words::LogOut { all }).await
    }

    /// Logs another of one's own devices out.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no such device.
    pub async fn log_out_device(&self, credentials: &Credentials, device: DeviceId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/devices/{device}"), credentials, &()).await
    }

    /// Changes one's password.
    ///
    /// # Errors
    /// [`Error::Api`] when the old one is wrong or the new one too weak.
    pub async fn change_password(&self, credentials: &Credentials, old: &str, new: &str) -> Result<(), Error> {
        self.tell(Method::POST, "/v1/password", credentials, &words::Password { old, new }).await
    }

    /// Deletes one's account, for ever.
    ///
    /// # Errors
    /// [`Error::Api`] when the password is wrong.
    pub async fn delete_account(&self, credentials: &Credentials, password: &str) -> Result<(), Error> {
        self.tell(Method::DELETE, "/v1/account", credentials, &words::Delete { password }).await
    }

    async fn open(&self, path: &str, handle: &str, password: &str, device: &DeviceInfo) -> Result<Credentials, Error> {
        let body = words::Open {
            handle,
            password,
            device_id: device.id.map(|id| id.to_string()),
            platform: &device.platform,
            device_name: &device.name,
        };
        let opened: words::Opened = self.call(Method::POST, path, None, Some(&body)).await?;
        opened.into_credentials(None)
    }

    async fn relate(
        &self,
        credentials: &Credentials,
        user: UserId,
        verb: &str,
        body: Option<&words::Greeting<'_>>,
    ) -> Result<Relation, Error> {
        let path = format!("/v1/relations/{user}/{verb}");
        let answer = self.exchange(Method::POST, &path, Some(&credentials.access_token), body).await?;
        if answer.is_empty() {
            self.relation(credentials, user).await
        } else {
            read::<words::Relation>(&answer)?.read()
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, credentials: &Credentials) -> Result<T, Error> {
        self.call(Method::GET, path, Some(credentials), None::<&()>).await
    }

    async fn tell(
        &self,
        method: Method,
        path: &str,
        credentials: &Credentials,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        self.exchange(method, path, Some(&credentials.access_token), Some(body)).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        credentials: Option<&Credentials>,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let answer = self.exchange(method, path, credentials.map(|c| &c.access_token), body).await?;
        read(&answer)
    }

    /// One request and its answer's body, which is at most [`ANSWER_MAX`] long.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&SecretString>,
        body: Option<&impl Serialize>,
    ) -> Result<Vec<u8>, Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(Error::http)?;
        let status = response.status();
        let retry_after = words::retry_after(response.headers());
        let answer = self.body(response).await?;
        if status.is_success() { Ok(answer) } else { Err(refused(status, retry_after, &answer).into()) }
    }
}

impl Rest {
    /// An answer's body, which is at most [`ANSWER_MAX`] long.
    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Error> {
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::http)? {
            if answer.len() + chunk.len() > ANSWER_MAX {
                return Err(Error::Http("the answer is too long".into()));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(answer).map_err(|error| Error::Http(Box::new(error)))
}

fn refused(status: StatusCode, retry_after: Option<Duration>, answer: &[u8]) -> ApiError {
    let words: words::Refused = serde_json::from_slice(answer).unwrap_or_default();
    let message = if words.message.is_empty() { format!("HTTP status {status}") } else { words.message };
    ApiError { status: status.as_u16(), code: words.code, message, field: words.field, retry_after }
}
