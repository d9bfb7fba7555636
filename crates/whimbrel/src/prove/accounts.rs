//! Accounts, friendships and groups for load: made with the administrator's key, a thousand at once, without passwords.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use whimbrel_client::Credentials;
use whimbrel_core::{ConversationId, DeviceId, UserId};

/// Things in one request, as the API allows.
const AT_ONCE: usize = 1000;
/// Making a thousand friendships takes a while on a slow disk.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A device that may open a session.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Whose it is.
    pub(crate) user: UserId,
    /// Which.
    pub(crate) device: DeviceId,
    /// Its access token.
    pub(crate) token: String,
}

impl Account {
    /// What opens sessions and REST for it.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            user: self.user,
            device: self.device,
            access_token: self.token.clone().into(),
            // Longer than any run: the server's word counts, and it made the token so.
            access_expires_at: u64::MAX / 2,
            refresh_token: None,
        }
    }
}

/// A group to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewGroup<'a> {
    /// Whose it is; alone in it at first.
    pub(crate) owner: UserId,
    /// For people.
    pub(crate) name: &'a str,
    /// Everybody may come in.
    pub(crate) open: bool,
    /// Who comes sees what was said before.
    pub(crate) history: bool,
    /// Most members.
    pub(crate) member_limit: u32,
}

/// The administrator's REST calls that make accounts, friendships and groups.
pub(crate) struct Accounts {
    http: reqwest::Client,
    api: String,
    key: String,
}

impl Accounts {
    /// Calls `api` (`http://host:port`) with this administrator's key.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(crate) fn new(api: &str, key: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(TIMEOUT).build()?;
        Ok(Self { http, api: api.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// Where it calls: `http://host:port`.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    /// Creates `count` users with names that nobody has yet.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn users(&self, count: usize) -> anyhow::Result<Vec<UserId>> {
        let run: u32 = rand::random();
        let handles: Vec<Value> =
            (0..count).map(|number| json!({ "handle": format!("load-{run:08x}-{number}") })).collect();
        self.each("users", &handles, |user| user["user"]["id"].as_u64().map(UserId)).await
    }

    /// Logs in one device for each of these.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn devices(&self, users: &[UserId], ttl: Duration) -> anyhow::Result<Vec<Account>> {
        let asked: Vec<Value> =
            users.iter().map(|user| json!({ "user": user.0, "platform": "load", "ttl_s": ttl.as_secs() })).collect();
        let account = |token: &Value| {
            Some(Account {
                user: UserId(token["user"].as_u64()?),
                device: token["device_id"].as_str()?.parse().ok()?,
                token: token["access_token"].as_str()?.to_owned(),
            })
        };
        self.each("tokens", &asked, account).await
    }

    /// Makes pairs friends, and gives their conversations.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn befriend(&self, pairs: &[(UserId, UserId)]) -> anyhow::Result<Vec<ConversationId>> {
        let asked: Vec<Value> = pairs.iter().map(|(a, b)| json!([a.0, b.0])).collect();
        let conversation = |pair: &Value| pair["conversation_id"].as_str()?.parse().ok();
        self.each("pairs", &asked, conversation).await
    }

    /// Makes a group of this owner.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(crate) async fn group(&self, new: &NewGroup<'_>) -> anyhow::Result<ConversationId> {
        let asked = json!({
            "owner": new.owner.0,
            "name": new.name,
            "join": if new.open { "open" } else { "invitation" },
            "history_for_all": new.history,
            "member_limit": new.member_limit,
        });
        let group = self.post("groups", asked).await?;
        group["id"].as_str().and_then(|id| id.parse().ok()).with_context(|| format!("The group was answered {group}"))
    }

    /// Makes these members of a group, as many at once as the API allows.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn add_members(&self, group: ConversationId, users: &[UserId]) -> anyhow::Result<()> {
        for some in users.chunks(AT_ONCE) {
            let users: Vec<_> = some.iter().map(|user| user.0).collect();
            self.post(&format!("groups/{group}/members"), json!({ "users": users })).await?;
        }
        Ok(())
    }

    /// Asks for `asked` in as many requests as it takes, and reads each answer.
    async fn each<T>(
        &self,
        list: &'static str,
        asked: &[Value],
        read: impl Fn(&Value) -> Option<T>,
    ) -> anyhow::Result<Vec<T>> {
        let mut done = Vec::with_capacity(asked.len());
        for some in asked.chunks(AT_ONCE) {
            // `/v1/admin/relations` calls its list `pairs`.
            let path = if list == "pairs" { "relations" } else { list };
            let answer = self.post(path, json!({ list: some })).await?;
            let answers = answer[list].as_array().with_context(|| format!("{list} in {answer}"))?;
            for one in answers {
                done.push(read(one).with_context(|| format!("One of the {list} was answered {one}"))?);
            }
        }
        if done.len() != asked.len() {
            bail!("{} {list} were asked for and {} answered", asked.len(), done.len());
        }
        Ok(done)
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let url = format!("{}/v1/admin/{path}", self.api);
        let call = self.http.post(&url).bearer_auth(&self.key).json(&body);
        let answer = call.send().await.with_context(|| format!("{url} does not answer"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("{url} does not finish its answer"))?;
        if !status.is_success() {
            bail!("{url} answered {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered what is no JSON"))
    }
}
