//! Facts of history and of retention, the same for a single node and for a cluster.

use std::path::PathBuf;

use anyhow::Context;
use whimbrel_client::{Client, HistoryAt, Outgoing, Pictured};
use whimbrel_core::{ConversationId, Seq};

use crate::groups::{picture, place, stored};
use crate::people::{Access, Device, Person, friends};
use crate::server::Doors;
use crate::wait::{until, within};

/// Page by page from the end to the first message.
pub(crate) async fn scroll(client: &Client, chat: ConversationId, limit: usize) -> anyhow::Result<Vec<Pictured>> {
    let (mut all, mut at) = (Vec::new(), HistoryAt::Newest);
    loop {
        let page = within("a page", client.history(chat, at, limit)).await?;
        all.splice(0..0, page.items);
        match page.older {
            Some(older) => at = HistoryAt::Before(older),
            None => return Ok(all),
        }
    }
}

/// The idea: two talk; much later old messages are edited, reacted to and taken back. A new device that began at the end and
/// scrolls back must show what a device shows that was there all along; so must single pages far from its end.
///
/// # Errors
/// Of the server.
pub async fn who_scrolls_back_sees_what_who_was_there_sees(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let (anna, ben) = friends(here, "anna", "ben").await?;
    let (a, b) = (anna.device(here).await?, ben.device(there).await?);
    let chat = a.with(&ben).await?;
    let mut ids = Vec::new();
    for number in 0..220 {
        ids.push(a.client.send_text(chat, &number.to_string()).await?);
    }
    let mut places = Vec::new();
    for id in &ids {
        places.push(place(&a, chat, *id).await);
    }
    stored(&b, chat, places[219]).await;
    for (index, seq) in places.iter().enumerate().take(100) {
        match index % 5 {
            0 => drop(a.client.edit(chat, *seq, Outgoing::text("another text")).await?),
            1 => drop(b.client.react(chat, *seq, "👍").await?),
            2 => drop(a.client.recall(chat, *seq).await?),
            _ => {}
        }
    }
    let last = a.client.send_text(chat, "the last").await?;
    let last = place(&a, chat, last).await;
    let reaction = b.client.react(chat, last, "🎉").await?;
    let end = place(&b, chat, reaction).await;
    for device in [&a, &b] {
        stored(device, chat, end).await;
    }
    b.client.mark_read(chat, end).await?;
    within("what is read is durable", b.client.advanced(chat, end)).await?;

    let expected = picture(&b, chat).await;
    assert_eq!(expected.len(), 221);
    let late = ben.recent(here, 20).await?;
    let first = late.client.messages(chat, Seq::ZERO, 1).await?;
    assert!(first[0].seq > places[219], "it began near the end");
    let far = within("a page", late.client.history(chat, HistoryAt::Around(places[50]), 20)).await?.items;
    let at = expected.iter().position(|item| item.seq == far[0].seq).context("one of them")?;
    compare(&far, &expected[at..at + far.len()]);
    assert_eq!(far.len(), 20);
    let time = expected[120].at;
    let since = within("a page", late.client.history(chat, HistoryAt::At(time), 10)).await?.items;
    assert_eq!(since[0].seq, expected.iter().find(|item| item.at >= time).context("that one")?.seq);
    compare(&scroll(&late.client, chat, 50).await?, &expected);
    assert_eq!(late.client.messages(chat, Seq::ZERO, 1).await?[0].seq, Seq(1), "all of it is on the device now");
    Ok(())
}

/// What was edited before it was taken back is not told to who comes later.
fn compare(shown: &[Pictured], expected: &[Pictured]) {
    assert_eq!(shown.len(), expected.len());
    for (shown, expected) in shown.iter().zip(expected) {
        let edits = if expected.gone.is_some() { &shown.edits } else { &expected.edits };
        assert_eq!(*shown, Pictured { edits: edits.clone(), ..expected.clone() });
    }
}

/// Two friends with a past: one of them has been away since its fifth message.
pub struct Past {
    anna: Device,
    ben: Person,
    access: Option<Access>,
    store: PathBuf,
    /// Their conversation.
    pub chat: ConversationId,
    /// The last of what is old.
    pub old: Seq,
    end: Seq,
}

/// What a server is told to keep a hundred hours, and to look every second, two rows at a time.
pub const KEEP: [&str; 5] = [
    "messages.oldest_draft=1h",
    "retention.direct_age=100h",
    "retention.every=1s",
    "retention.step=2",
    "retention.pause=30ms",
];

impl Past {
    /// Anna says 70 things, of which Ben's device has the first five.
    ///
    /// # Errors
    /// Of the server.
    pub async fn of(server: &impl Doors, scratch: &std::path::Path) -> anyhow::Result<Self> {
        let (anna, ben) = friends(server, "anna", "ben").await?;
        let anna = anna.device(server).await?;
        let chat = anna.with(&ben).await?;
        let store = scratch.join("ben.db");
        let access = ben.access(server).await?;
        let device = access.device;
        let first = ben.open(server, access, Some(&store)).await?;
        let mut places = Vec::new();
        for number in 0..70 {
            let id = anna.client.send_text(chat, &format!("text {number}")).await?;
            places.push(place(&anna, chat, id).await);
            if number == 4 {
                stored(&first, chat, places[4]).await;
                first.client.close().await;
            }
        }
        let access = ben.access_for(server, device).await?;
        Ok(Self { anna, ben, access: Some(access), store, chat, old: places[49], end: places[69] })
    }

    /// The first place that the server shows.
    async fn first(&self) -> Option<Seq> {
        let page = self.anna.client.rest().history(self.chat, HistoryAt::After(Seq::ZERO), 1).await;
        page.ok().map(|page| page.first)
    }

    /// Some of what is old is gone, and (most likely) not all of it.
    pub async fn wait_begun(&self) {
        until("retention to begin", || async { self.first().await.is_some_and(|first| first > Seq(1)) }).await;
    }

    /// The idea: what is old goes, nothing else, while Anna goes on talking. Then Ben comes back: his device has less than
    /// what is kept, jumps, is told what is gone, and has the rest; what is unread is what is left.
    ///
    /// # Errors
    /// Of the server.
    pub async fn ends_with_what_is_kept(mut self, server: &impl Doors) -> anyhow::Result<()> {
        within("Anna is back", self.anna.client.wait_online()).await?;
        let id = self.anna.client.send_text(self.chat, "meanwhile").await?;
        let meanwhile = place(&self.anna, self.chat, id).await;
        assert_eq!(meanwhile, self.end.next(), "places go on as ever");
        let kept = self.old.next();
        until("what is old to be gone", || async { self.first().await == Some(kept) }).await;
        let page = self.anna.client.rest().history(self.chat, HistoryAt::Around(Seq(3)), 500).await?;
        let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq.0).collect();
        assert_eq!(seqs, (kept.0..=meanwhile.0).collect::<Vec<_>>(), "what is not old is there, whole");
        assert!(page.messages.iter().all(|message| !message.body.is_empty()));

        let access = self.access.take().context("Ben's")?;
        let ben = self.ben.open(server, access, Some(&self.store)).await?;
        stored(&ben, self.chat, meanwhile).await;
        let stored = ben.client.messages(self.chat, Seq::ZERO, 1000).await?;
        assert_eq!(stored.iter().map(|row| row.seq.0).collect::<Vec<_>>(), seqs, "his device jumped");
        until("the count of what is left", || async {
            let list = ben.client.conversations().await.expect("the store answers");
            list.iter().any(|row| row.id == self.chat && row.unread == 21)
        })
        .await;
        let all = scroll(&ben.client, self.chat, 100).await?;
        assert_eq!(all.len(), seqs.len(), "history begins where what is kept begins");
        Ok(())
    }
}
