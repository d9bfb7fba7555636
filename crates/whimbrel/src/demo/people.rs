//! The demo's accounts: people to log in as, bots to talk to, everybody a friend of everybody.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use whimbrel_client::{Credentials, DeviceId, UserId};

/// The people, whose password is printed.
pub(super) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// Waders, as the server.
pub(super) const BOTS: [&str; 8] = ["heron", "plover", "dunlin", "curlew", "godwit", "knot", "ruff", "snipe"];
/// A day: the demo's bots do not log in again.
const TOKEN_TTL_S: u64 = 24 * 3600;

/// A bot's account with its access.
#[derive(Debug, Clone)]
pub(super) struct Bot {
    pub(super) name: &'static str,
    pub(super) credentials: Credentials,
}

/// Creates everybody; gives the bots. On a server that was there before (`joins`) the bots' handles carry a tag of this
/// run, and people who have their accounts already keep them as they are.
pub(super) async fn create(
    api: &str,
    admin_key: &str,
    password: &str,
    bots: usize,
    joins: bool,
) -> anyhow::Result<Vec<Bot>> {
    let admin = Admin { http: reqwest::Client::builder().no_proxy().build()?, api, key: admin_key };
    let tag = if joins { format!("-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]) } else { String::new() };
    let bots = &BOTS[..bots];
    let as_person = |name: &&str| json!({ "handle": name, "display_name": capital(name), "password": password });
    let as_bot =
        |name: &&str| json!({ "handle": format!("{name}{tag}"), "display_name": format!("{} (bot)", capital(name)) });
    let users: Vec<Value> = bots.iter().map(as_bot).chain(PEOPLE.iter().map(as_person)).collect();
    let count = users.len();
    let mut answer = admin.post("/v1/admin/users", json!({ "users": users })).await?;
    if joins && let Some(users) = answer["users"].as_array_mut() {
        users.retain(|user| user["error"]["code"] != "handle_taken");
    }
    let known = answer["users"].as_array().map_or(0, Vec::len);
    ensure!(joins || known == count, "the server answered {known} of {count} users");
    let ids: Vec<u64> = each(&answer, "users", known, |user| user["user"]["id"].as_u64())?;

    let pairs: Vec<Value> = (0..ids.len())
        .flat_map(|a| (a + 1..ids.len()).map(move |b| (a, b)))
        .map(|(a, b)| json!([ids[a], ids[b]]))
        .collect();
    let count = pairs.len();
    let answer = admin.post("/v1/admin/relations", json!({ "pairs": pairs })).await?;
    each(&answer, "pairs", count, |pair| pair["conversation_id"].as_str().map(drop))?;

    let bot_ids = &ids[..bots.len()];
    let tokens: Vec<Value> =
        bot_ids.iter().map(|id| json!({ "user": id, "platform": "bot", "ttl_s": TOKEN_TTL_S })).collect();
    let answer = admin.post("/v1/admin/tokens", json!({ "tokens": tokens })).await?;
    let access = each(&answer, "tokens", bot_ids.len(), access)?;
    Ok(bots.iter().zip(access).map(|(name, credentials)| Bot { name, credentials }).collect())
}

fn access(token: &Value) -> Option<Credentials> {
    Some(Credentials {
        user: UserId(token["user"].as_u64()?),
        device: token["device_id"].as_str()?.parse::<DeviceId>().ok()?,
        access_token: token["access_token"].as_str()?.into(),
        access_expires_at: u64::MAX / 2,
        refresh_token: None,
    })
}

/// Reads one thing from each answer of a list.
fn each<T>(answer: &Value, list: &str, count: usize, read: impl Fn(&Value) -> Option<T>) -> anyhow::Result<Vec<T>> {
    let items = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(items.len() == count, "the server answered {} of {count} {list}", items.len());
    items
        .iter()
        .map(|item| read(item).with_context(|| format!("the server refused one of the {list}: {item}")))
        .collect()
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

struct Admin<'a> {
    http: reqwest::Client,
    api: &'a str,
    key: &'a str,
}

impl Admin<'_> {
    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.api)).bearer_auth(self.key).json(&body);
        let response = request.send().await.with_context(|| format!("{path} did not answer"))?;
        let status = response.status();
        let answer: Value = response.json().await.with_context(|| format!("{path} answered no JSON"))?;
        ensure!(status.is_success(), "{path}: {status}: {answer}");
        Ok(answer)
    }
}
