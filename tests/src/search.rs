//! Facts of searching, the same for a single node and for a cluster, where bodies are readable.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use whimbrel_client::Outgoing;
use whimbrel_core::{ConversationId, Seq};

use crate::groups::{place, stored};
use crate::people::{Access, Device, Person, friends};
use crate::server::Doors;
use crate::wait::{PATIENCE, until};

/// What a server is told so that there is something to search.
pub const READABLE: [&str; 1] = ["messages.bodies_readable=true"];

/// Somebody who searches, with a token of their own.
pub struct Reader {
    http: reqwest::Client,
    access: Access,
}

impl Reader {
    /// # Errors
    /// Of the server.
    pub async fn new(server: &impl Doors, person: &Person) -> anyhow::Result<Self> {
        Ok(Self { http: reqwest::Client::new(), access: person.access(server).await? })
    }

    /// The answer and its status. Who searches too often waits as long as the server says.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn asks(&self, server: &impl Doors, query: &[(&str, &str)]) -> anyhow::Result<(u16, Value)> {
        let mut url = reqwest::Url::parse(&format!("{}/v1/search", server.api()))?;
        url.query_pairs_mut().extend_pairs(query);
        loop {
            let asked = self.http.get(url.clone()).bearer_auth(&self.access.token).timeout(PATIENCE);
            let answer = asked.send().await?;
            if answer.status() != reqwest::StatusCode::TOO_MANY_REQUESTS {
                return Ok((answer.status().as_u16(), answer.json().await?));
            }
            let wait = answer.headers().get(reqwest::header::RETRY_AFTER).context("when to come back")?;
            tokio::time::sleep(Duration::from_secs(wait.to_str()?.parse()?)).await;
        }
    }

    /// The places of what is found in this conversation.
    ///
    /// # Errors
    /// Of the server.
    pub async fn finds(&self, server: &impl Doors, chat: ConversationId, typed: &str) -> anyhow::Result<Vec<Seq>> {
        let (status, page) = self.asks(server, &[("q", typed), ("conversation", &chat.to_string())]).await?;
        anyhow::ensure!(status == 200, "{page}");
        let hits = page["hits"].as_array().context("a list")?;
        hits.iter().map(|hit| Ok(Seq(hit["seq"].as_u64().context("a place")?))).collect()
    }
}

async fn say(device: &Device, chat: ConversationId, text: &str) -> anyhow::Result<Seq> {
    let id = device.client.send_text(chat, text).await?;
    Ok(place(device, chat, id).await)
}

/// The idea: what is answered SENT is found by the other at once, through whatever process; so is an edit, and what is
/// taken back is not. Who is not in the conversation is told nothing of it.
///
/// # Errors
/// Of the server.
pub async fn what_is_sent_is_found_at_once(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let (anna, ben) = friends(here, "anna", "ben").await?;
    let (cleo, _) = friends(here, "cleo", "dora").await?;
    let (a, b) = (anna.device(here).await?, ben.device(there).await?);
    let chat = a.with(&ben).await?;
    let reader = Reader::new(there, &ben).await?;
    for (text, typed) in [
        ("See you at the Harbour, Tuesday", "\"harbour, tue\""),
        ("明天下午三点开会", "开会"),
        ("100% _sure_ \"quoted\"", "_sure_ 100%"),
        ("ok", "OK"),
        ("🎉🎉 party", "🎉🎉"),
    ] {
        let seq = say(&a, chat, text).await?;
        assert_eq!(reader.finds(there, chat, typed).await?, [seq], "{typed}");
    }
    let seq = say(&a, chat, "a typo heer").await?;
    let edit = a.client.edit(chat, seq, Outgoing::text("no typo here")).await?;
    place(&a, chat, edit).await;
    assert_eq!(reader.finds(there, chat, "typo here").await?, [seq]);
    assert_eq!(reader.finds(there, chat, "heer").await?, []);
    let recall = a.client.recall(chat, seq).await?;
    let end = place(&a, chat, recall).await;
    assert_eq!(reader.finds(there, chat, "typo").await?, []);
    stored(&b, chat, end).await;

    let (status, page) = reader.asks(here, &[("q", "party"), ("kinds", "1")]).await?;
    assert_eq!((status, page["hits"].as_array().map(Vec::len)), (200, Some(1)), "{page}");
    let hit = &page["hits"][0];
    assert_eq!((&hit["snippet"], &hit["highlights"]), (&"🎉🎉 party".into(), &serde_json::json!([[3, 8]])));
    let stranger = Reader::new(here, &cleo).await?;
    let (status, page) = stranger.asks(here, &[("q", "party")]).await?;
    assert_eq!((status, page["hits"].as_array().map(Vec::len)), (200, Some(0)));
    let (status, page) = stranger.asks(here, &[("q", "party"), ("conversation", &chat.to_string())]).await?;
    assert_eq!((status, &page["code"]), (404, &"no_such_conversation".into()));
    Ok(())
}

/// Messages from before, whose texts the caller takes away.
pub struct Before {
    anna: Device,
    reader: Reader,
    /// Their conversation.
    pub chat: ConversationId,
    places: Vec<Seq>,
}

impl Before {
    /// Anna says 600 things.
    ///
    /// # Errors
    /// Of the server.
    pub async fn of(server: &impl Doors) -> anyhow::Result<Self> {
        let (anna, ben) = friends(server, "anna", "ben").await?;
        let reader = Reader::new(server, &ben).await?;
        let anna = anna.device(server).await?;
        let chat = anna.with(&ben).await?;
        let mut ids = Vec::new();
        for number in 0..600 {
            ids.push(anna.client.send_text(chat, &format!("memory number{number}")).await?);
        }
        let mut places = Vec::new();
        for id in ids {
            places.push(place(&anna, chat, id).await);
        }
        Ok(Self { anna, reader, chat, places })
    }

    /// The first of them is taken up, and (most likely) not the last.
    ///
    /// # Errors
    /// Of the server.
    pub async fn wait_begun(&self, server: &impl Doors) -> anyhow::Result<()> {
        self.wait(server, "number0 memory", self.places[0]).await
    }

    async fn wait(&self, server: &impl Doors, typed: &str, seq: Seq) -> anyhow::Result<()> {
        until(typed, || async { self.reader.finds(server, self.chat, typed).await.is_ok_and(|found| found == [seq]) })
            .await;
        Ok(())
    }

    /// All of them are found, each once, and what was said since.
    ///
    /// # Errors
    /// Of the server.
    pub async fn ends_with_all(&self, server: &impl Doors) -> anyhow::Result<()> {
        let since = say(&self.anna, self.chat, "memory of today").await?;
        self.wait(server, "number599 memory", self.places[599]).await?;
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("q", "memory"), ("limit", "100")];
            if !after.is_empty() {
                query.push(("after", &after));
            }
            let (status, page) = self.reader.asks(server, &query).await?;
            anyhow::ensure!(status == 200, "{page}");
            found.extend(page["hits"].as_array().context("a list")?.iter().filter_map(|hit| hit["seq"].as_u64()));
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        let mut expected: Vec<u64> = self.places.iter().map(|seq| seq.0).collect();
        expected.push(since.0);
        expected.reverse();
        assert_eq!(found, expected);
        Ok(())
    }
}
