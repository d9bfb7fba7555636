//! People: accounts made with the administrator's key, befriended, each with the devices that a test wants.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use whimbrel_client::{Client, Credentials, Event, Events, FirstSync, StoredMessage};
use whimbrel_core::{ConversationId, DeviceId, MessageKind, UserId};

use crate::server::Doors;
use crate::wait::within;

/// An account.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its number.
    pub user: UserId,
    /// Its handle.
    pub handle: String,
}

/// A device's access.
pub struct Access {
    /// The device.
    pub device: DeviceId,
    /// Good for a day.
    pub token: String,
}

/// Calls the administrator's REST.
pub async fn admin(server: &impl Doors, path: &str, body: Value) -> anyhow::Result<Value> {
    // Once is enough; more are harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::Client::new()
        .post(format!("{}{path}", server.api()))
        .bearer_auth(server.admin_key())
        .json(&body)
        .send()
        .await
        .context("the administrator's call")?;
    let status = response.status();
    let body: Value = response.json().await.context("its answer")?;
    anyhow::ensure!(status.is_success(), "{path}: {status}: {body}");
    Ok(body)
}

/// Creates accounts.
pub async fn people(server: &impl Doors, handles: &[&str]) -> anyhow::Result<Vec<Person>> {
    let users: Vec<Value> = handles.iter().map(|handle| json!({ "handle": handle })).collect();
    let answer = admin(server, "/v1/admin/users", json!({ "users": users })).await?;
    let mut people = Vec::new();
    for (handle, user) in handles.iter().zip(answer["users"].as_array().context("users")?) {
        let id = user["user"]["id"].as_u64().with_context(|| format!("the id of {handle} in {user}"))?;
        people.push(Person { user: UserId(id), handle: (*handle).to_owned() });
    }
    Ok(people)
}

/// Makes two people friends.
pub async fn befriend(server: &impl Doors, a: &Person, b: &Person) -> anyhow::Result<()> {
    admin(server, "/v1/admin/relations", json!({ "pairs": [[a.user.0, b.user.0]] })).await.map(drop)
}

/// Two new friends.
pub async fn friends(server: &impl Doors, a: &str, b: &str) -> anyhow::Result<(Person, Person)> {
    let mut both = people(server, &[a, b]).await?;
    let (second, first) = (both.pop().context("two")?, both.pop().context("two")?);
    befriend(server, &first, &second).await?;
    Ok((first, second))
}

impl Person {
    /// Access for a new device.
    pub async fn access(&self, server: &impl Doors) -> anyhow::Result<Access> {
        self.access_for(server, DeviceId::generate()).await
    }

    /// Access for this device.
    pub async fn access_for(&self, server: &impl Doors, device: DeviceId) -> anyhow::Result<Access> {
        let body = json!({ "tokens": [{ "user": self.user.0, "device_id": device.to_string(), "ttl_s": 86_400 }] });
        let answer = admin(server, "/v1/admin/tokens", body).await?;
        let token = answer["tokens"][0]["access_token"].as_str().with_context(|| format!("a token in {answer}"))?;
        Ok(Access { device, token: token.to_owned() })
    }

    /// A new device with its store in memory, which syncs from the first message on, online.
    pub async fn device(&self, server: &impl Doors) -> anyhow::Result<Device> {
        let access = self.access(server).await?;
        self.open(server, access, None).await
    }

    /// A new device with its store in memory, which begins so many messages before the end (but not behind what the user's
    /// devices have), online.
    pub async fn recent(&self, server: &impl Doors, count: u64) -> anyhow::Result<Device> {
        let access = self.access(server).await?;
        self.open_with(server, access, None, FirstSync::Recent(count)).await
    }

    /// A device with this access, and its store in a file if one is given, online.
    pub async fn open(&self, server: &impl Doors, access: Access, store: Option<&Path>) -> anyhow::Result<Device> {
        self.open_with(server, access, store, FirstSync::Everything).await
    }

    async fn open_with(
        &self,
        server: &impl Doors,
        access: Access,
        store: Option<&Path>,
        first_sync: FirstSync,
    ) -> anyhow::Result<Device> {
        let credentials = Credentials {
            user: self.user,
            device: access.device,
            access_token: access.token.into(),
            access_expires_at: u64::MAX / 2,
            refresh_token: None,
        };
        let builder = Client::builder(&server.api(), &server.clients().to_string())
            .credentials(credentials)
            .first_sync(first_sync);
        let builder = match store {
            Some(path) => builder.store_file(path),
            None => builder.store_memory(),
        };
        let (client, events) = builder.connect().await?;
        within("online", client.wait_online()).await?;
        Ok(Device { client, events, seen: Vec::new() })
    }
}

/// A client with everything that its application saw.
pub struct Device {
    /// The handle.
    pub client: Client,
    events: Events,
    /// Every event so far, in order.
    pub seen: Vec<Event>,
}

impl Device {
    /// Waits for an event that `pick` wants, beginning with those that came already.
    pub async fn find<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        if let Some(found) = self.seen.iter().find_map(&mut pick) {
            return found;
        }
        within(what, async {
            loop {
                let event = self.events.next().await.unwrap_or_else(|| panic!("{what}: the client ended"));
                let found = pick(&event);
                self.seen.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        })
        .await
    }

    /// Takes what has come, without waiting.
    pub async fn look(&mut self) {
        while let Ok(Some(event)) = tokio::time::timeout(std::time::Duration::ZERO, self.events.next()).await {
            self.seen.push(event);
        }
    }

    /// The chat messages that the application was shown, in the order in which it was.
    pub fn shown(&self, conversation: ConversationId) -> Vec<StoredMessage> {
        let messages = self.seen.iter().filter_map(|event| match event {
            Event::Message(message) if message.conversation == conversation => Some(message.clone()),
            _ => None,
        });
        messages.filter(|message| message.kind.is_countable()).collect()
    }

    /// Waits until the application was shown `count` chat messages there, and gives all of them.
    pub async fn messages(&mut self, conversation: ConversationId, count: usize) -> Vec<StoredMessage> {
        let mut left = count;
        let counts = |event: &Event| match event {
            Event::Message(m) => m.conversation == conversation && m.kind.is_countable(),
            _ => false,
        };
        let what = format!("{count} messages");
        self.find(&what, |event| {
            left -= usize::from(counts(event));
            (left == 0).then_some(())
        })
        .await;
        self.shown(conversation)
    }

    /// The direct conversation with this person.
    pub async fn with(&self, peer: &Person) -> anyhow::Result<ConversationId> {
        let found = self.client.conversation_with(peer.user).await?;
        found.with_context(|| format!("a conversation with {}", peer.handle))
    }
}

/// The kind of plain text, for raw drafts.
pub const TEXT: MessageKind = MessageKind::TEXT;
