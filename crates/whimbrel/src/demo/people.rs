//! The demo's accounts: people to log in as, bots to talk to, everybody a friend of everybody, and all in one group.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use whimbrel_client::{ConversationId, Credentials, DeviceId, DeviceInfo, Rest, UserId};

/// The people, whose password is printed.
pub(super) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// Waders, as the server.
pub(super) const BOTS: [&str; 8] = ["heron", "plover", "dunlin", "curlew", "godwit", "knot", "ruff", "snipe"];
/// What their group is called.
const GROUP: &str = "Mudflat";
/// A day: the demo's bots do not log in again.
const TOKEN_TTL_S: u64 = 24 * 3600;

/// A bot's account with its access.
#[derive(Debug, Clone)]
pub(super) struct Bot {
    /// Its handle.
    pub(super) name: String,
    pub(super) credentials: Credentials,
}

/// Everybody, as far as the demo goes on with them.
#[derive(Debug)]
pub(super) struct Everybody {
    pub(super) bots: Vec<Bot>,
    /// The group in which all are.
    pub(super) group: ConversationId,
    pub(super) group_name: String,
}

/// Creates everybody. On a server that was there before (`joins`) the bots' handles carry a tag of this
/// run, and people who have their accounts already keep them as they are; the bots' friends they become if the password
/// is theirs.
pub(super) async fn create(
    api: &str,
    admin_key: &str,
    password: &str,
    bots: usize,
    joins: bool,
) -> anyhow::Result<Everybody> {
    let admin = Admin { http: reqwest::Client::builder().no_proxy().build()?, api, key: admin_key };
    let tag = if joins { format!("-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]) } else { String::new() };
    let bots = &BOTS[..bots];
    let as_person = |name: &&str| json!({ "handle": name, "display_name": capital(name), "password": password });
    let handle = |name: &&str| format!("{name}{tag}");
    let as_bot = |name: &&str| json!({ "handle": handle(name), "display_name": format!("{} (bot)", capital(name)) });
    let users: Vec<Value> = bots.iter().map(as_bot).chain(PEOPLE.iter().map(as_person)).collect();
    let count = users.len();
    let mut answer = admin.post("/v1/admin/users", json!({ "users": users })).await?;
    if joins && let Some(users) = answer["users"].as_array_mut() {
        users.retain(|user| user["error"]["code"] != "handle_taken");
    }
    let made = answer["users"].as_array().map_or(0, Vec::len);
    ensure!(joins || made == count, "the server answered {made} of {count} users");
    let mut ids: Vec<u64> = each(&answer, "users", made, |user| user["user"]["id"].as_u64())?;
    if made < count {
        ids.extend(of_before(api, password).await?.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
    }

    // Those of before are each other's friends already.
    let pairs: Vec<Value> =
        (0..made).flat_map(|a| (a + 1..ids.len()).map(move |b| (a, b))).map(|(a, b)| json!([ids[a], ids[b]])).collect();
    let count = pairs.len();
    let answer = admin.post("/v1/admin/relations", json!({ "pairs": pairs })).await?;
    each(&answer, "pairs", count, |pair| pair["conversation_id"].as_str().map(drop))?;

    let bot_ids = &ids[..bots.len()];
    let tokens: Vec<Value> =
        bot_ids.iter().map(|id| json!({ "user": id, "platform": "bot", "ttl_s": TOKEN_TTL_S })).collect();
    let answer = admin.post("/v1/admin/tokens", json!({ "tokens": tokens })).await?;
    let access = each(&answer, "tokens", bot_ids.len(), access)?;
    let group_name = format!("{GROUP}{tag}");
    let group = gather(&admin, &group_name, bot_ids, &ids).await?;
    let bots = bots.iter().zip(access).map(|(name, credentials)| Bot { name: handle(name), credentials }).collect();
    Ok(Everybody { bots, group, group_name })
}

/// Makes the group. The bots are in it from its first row on, and check every one; the others see all of it as well.
async fn gather(admin: &Admin<'_>, name: &str, bots: &[u64], all: &[u64]) -> anyhow::Result<ConversationId> {
    let new = json!({ "owner": bots[0], "name": name, "history_for_all": true, "members": bots });
    let group = admin.post("/v1/admin/groups", new).await?;
    let id = group["id"].as_str().and_then(|id| id.parse().ok()).context("the server named no group")?;
    ensure!(group["size"] == bots.len(), "the server put {} of {} bots into their group", group["size"], bots.len());
    let others: Vec<_> = all.iter().filter(|id| !bots.contains(id)).collect();
    if !others.is_empty() {
        admin.post(&format!("/v1/admin/groups/{id}/members"), json!({ "users": others })).await?;
    }
    Ok(id)
}

/// The people who log in with this password.
async fn of_before(api: &str, password: &str) -> anyhow::Result<Vec<u64>> {
    let rest = Rest::new(api)?;
    let mut ids = Vec::new();
    for person in PEOPLE {
        let Ok(credentials) = rest.log_in(person, password, &DeviceInfo::default()).await else { continue };
        ids.push(credentials.user.0);
        // It was only to ask who they are.
        if let Err(error) = rest.log_out(&credentials, false).await {
            tracing::warn!(%error, person, "a device that is not needed was not logged out");
        }
    }
    Ok(ids)
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
