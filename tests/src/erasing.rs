//! Facts of erasing what a user said, the same for a single node and for a cluster.

use std::path::PathBuf;

use anyhow::Context;
use whimbrel_client::{Content, Event, Outgoing, Pictured, Search};
use whimbrel_core::{ConversationId, DeviceId, MessageKind, Seq};

use crate::groups::{group_of, picture, place, stored};
use crate::people::{Device, Person, people};
use crate::server::Doors;
use crate::wait::{until, within};

/// What a server is told so that erasing begins at once and takes a while: two rows at a time.
pub const SLOWLY: [&str; 3] = ["retention.every=1s", "retention.step=2", "retention.pause=30ms"];

/// Messages of Anna's in each conversation.
const SAID: usize = 40;

/// Anna and Ben, who talk alone and in a group; Ben's devices hold what she said: one is online, one was and is not now.
pub struct Talk {
    anna: Person,
    ben: Person,
    /// Online.
    pub live: Device,
    away: (DeviceId, PathBuf),
    /// The conversation of the two, and the group.
    pub chats: [ConversationId; 2],
    before: [Vec<Pictured>; 2],
}

impl Talk {
    /// Anna says things, edits and reacts; Ben answers.
    ///
    /// # Errors
    /// Of the server.
    pub async fn of(here: &impl Doors, there: &impl Doors, scratch: &std::path::Path) -> anyhow::Result<Self> {
        let all = people(here, &["anna", "ben"]).await?;
        let (anna, ben) = (all[0].clone(), all[1].clone());
        let a = anna.device(here).await?;
        let group = group_of(here, &a, &all).await?;
        let live = ben.device(there).await?;
        let chats = [a.with(&ben).await?, group];
        let access = ben.access(there).await?;
        let away = (access.device, scratch.join("away.db"));
        let device = ben.open(there, access, Some(&away.1)).await?;
        let mut ends = [Seq::ZERO; 2];
        for (chat, end) in chats.iter().zip(&mut ends) {
            stored(&live, *chat, Seq(1)).await;
            let mut ids = Vec::new();
            for number in 0..SAID {
                ids.push(a.client.send_text(*chat, &format!("the secret number {number}")).await?);
            }
            let said = place(&a, *chat, ids[SAID - 1]).await;
            let answer = live.client.send(*chat, Outgoing::text("which secret?").mentioning([anna.user])).await?;
            let answer = place(&live, *chat, answer).await;
            a.client.edit(*chat, said, Content::Text("the secret, told anew".into())).await?;
            live.client.react(*chat, said, "👍").await?;
            let reaction = a.client.react(*chat, answer, "👍").await?;
            *end = place(&a, *chat, reaction).await.max(answer);
        }
        for (chat, end) in chats.iter().zip(ends) {
            stored(&live, *chat, end).await;
            stored(&device, *chat, end).await;
        }
        let before = [picture(&live, chats[0]).await, picture(&live, chats[1]).await];
        device.client.close().await;
        a.client.close().await;
        Ok(Self { anna, ben, live, away, chats, before })
    }

    /// The operator has what Anna said erased.
    ///
    /// # Errors
    /// Of the server.
    pub async fn erase(&self, server: &impl Doors) -> anyhow::Result<()> {
        let url = format!("{}/v1/admin/users/{}/erase", server.api(), self.anna.user);
        let answer = reqwest::Client::new().post(url).bearer_auth(server.admin_key()).send().await?;
        anyhow::ensure!(answer.status() == reqwest::StatusCode::ACCEPTED, "{}", answer.status());
        Ok(())
    }

    /// Ben's live device is told of both conversations, once each.
    pub async fn is_told(&mut self) {
        for chat in self.chats {
            let what = format!("{chat} to be erased");
            let is_it = |event: &Event| matches!(event, Event::Erased { conversation, .. } if *conversation == chat);
            self.live.find(&what, |event| is_it(event).then_some(())).await;
        }
    }

    /// The idea: the device that heard it, the one that comes back and one that begins now show one picture, with the places
    /// of what Anna said and nothing else of it, and with what Ben said as it was. Nobody finds it, here or there.
    ///
    /// # Errors
    /// Of the server.
    pub async fn is_gone_everywhere(mut self, server: &impl Doors) -> anyhow::Result<()> {
        within("online again", self.live.client.wait_online()).await?;
        self.is_told().await;
        let access = self.ben.access_for(server, self.away.0).await?;
        let back = self.ben.open(server, access, Some(&self.away.1)).await?;
        let late = self.ben.device(server).await?;
        for (chat, before) in self.chats.into_iter().zip(&self.before) {
            let rows = self.live.client.messages(chat, Seq::ZERO, 1000).await?;
            let told: Vec<_> = rows.iter().filter(|row| row.kind == MessageKind::ERASED).collect();
            let [row] = told[..] else { anyhow::bail!("one row says it, not {}", told.len()) };
            assert_eq!(row.sender, self.anna.user);
            let end = rows.last().context("there are some")?.seq;
            let seen = picture(&self.live, chat).await;
            for device in [&back, &late] {
                stored(device, chat, end).await;
                assert_eq!(device.client.messages(chat, Seq::ZERO, 1000).await?, rows);
                assert_eq!(picture(device, chat).await, seen);
            }
            assert_eq!(seen.len(), before.len());
            for (item, before) in seen.iter().zip(before).filter(|(item, _)| item.kind.is_countable()) {
                let is_annas = item.sender == self.anna.user;
                assert_eq!((item.seq, item.gone.is_some()), (before.seq, is_annas));
                if !is_annas {
                    assert_eq!(item.content, before.content, "what Ben said stays");
                    assert!(item.reactions.is_empty() && !before.reactions.is_empty(), "what Anna gave to it is gone");
                }
            }
            for device in [&self.live, &back, &late] {
                let search = Search { conversation: Some(chat), ..Search::new("secret")? };
                let found = within("a search", device.client.search(&search, None, 100)).await?;
                let found: Vec<_> = found.hits.iter().map(|hit| hit.sender).collect();
                assert_eq!(found, [self.ben.user], "what is found is what Ben said");
            }
        }
        let chats = self.chats;
        let is_it =
            |event: &&Event| matches!(event, Event::Erased { conversation, .. } if chats.contains(conversation));
        assert_eq!(self.live.seen.iter().filter(is_it).count(), 2, "it was told once for each conversation");
        Ok(())
    }

    /// Waits until something is gone on the server, and (most likely) not all of it.
    pub async fn wait_begun(&self) {
        let rest = self.live.client.rest();
        until("erasing to begin", || async {
            let mut gone = 0;
            for chat in self.chats {
                let page = rest.history(chat, whimbrel_client::HistoryAt::Newest, 500).await;
                let rows = page.map_or(Vec::new(), |page| page.messages);
                gone += rows.iter().filter(|row| row.body.is_empty() && row.kind.is_countable()).count();
            }
            gone > 0
        })
        .await;
    }
}
