//! History: from the device's own store first, and the rest from the server; whatever way, one picture.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use whimbrel_client::store::MemoryStore;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Client, ClientBuilder, Content, ConversationId, Error, Event, Events, FirstSync, FollowUp, Gone, History,
    HistoryAt, MessageKind, Pictured, Seq, UserId,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Messages before what is about them.
const SAID: u64 = 1300;

fn of(items: &[Pictured]) -> Vec<u64> {
    items.iter().map(|item| item.seq.0).collect()
}

async fn online(builder: ClientBuilder) -> (Client, Events) {
    let (client, events) = builder.connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    (client, events)
}

fn about(seq: u64, what: FollowUp) -> Content {
    Content::FollowUp { target: Seq(seq), what }
}

/// A long conversation whose old messages were edited, reacted to and taken back much later, and ten new ones.
fn talk(fake: &FakeServer, chat: ConversationId, [ann, bob]: [UserId; 2]) {
    for number in 1..=SAID {
        fake.say_unheard(chat, if number % 3 == 0 { ann } else { bob }, &format!("text {number}"));
    }
    for seq in (1..=SAID).step_by(7) {
        let emoji = "👍".to_owned();
        fake.say_content(chat, ann, about(seq, FollowUp::React { emoji, removed: false }));
    }
    for seq in (4..=SAID).step_by(30) {
        let author = if seq % 3 == 0 { ann } else { bob };
        let text = Content::Text(format!("edited {seq}"));
        fake.say_content(chat, author, about(seq, FollowUp::Edit(Box::new(text))));
        fake.say_content(chat, author, about(seq + 1, FollowUp::Recall));
    }
    for number in 0..10 {
        fake.say_unheard(chat, bob, &format!("new {number}"));
    }
}

/// Whose device knows everything, whose began at the end, and what the first shows.
struct House {
    fake: FakeServer,
    chat: ConversationId,
    bob: UserId,
    whole: Vec<Pictured>,
}

async fn house() -> House {
    let fake = FakeServer::start().await;
    let (ann, bob, chat) = fake.friends("ann", "bob");
    talk(&fake, chat, [ann, bob]);
    let there = builder(&fake, bob).first_sync(FirstSync::Everything);
    let (there, _events) = online(there).await;
    let mut whole = Vec::new();
    loop {
        let after = whole.last().map_or(Seq::ZERO, |last: &Pictured| last.seq);
        let part = there.picture(chat, after, 1000).await.unwrap();
        if part.is_empty() {
            break;
        }
        whole.extend(part);
    }
    assert_eq!(whole.len() as u64, SAID + 10);
    // Otherwise a new device would begin at what this one has delivered.
    timeout(PATIENCE, async {
        while fake.cursors(chat, bob).delivered < whole.last().unwrap().seq {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    there.close().await;
    House { fake, chat, bob, whole }
}

fn builder(fake: &FakeServer, user: UserId) -> ClientBuilder {
    Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(user))
}

impl House {
    fn recent(&self) -> ClientBuilder {
        builder(&self.fake, self.bob).first_sync(FirstSync::Recent(10))
    }

    /// Page by page from the end to the first message.
    async fn scroll(&self, client: &Client, limit: usize) -> Vec<Pictured> {
        let (mut all, mut at) = (Vec::new(), HistoryAt::Newest);
        loop {
            let page = client.history(self.chat, at, limit).await.unwrap();
            assert!(page.items.len() <= limit);
            all.splice(0..0, page.items);
            match page.older {
                Some(older) => at = HistoryAt::Before(older),
                None => return all,
            }
        }
    }
}

/// With any size of pages, on a file and in memory: what is seen is what a device sees that was there all along; and
/// afterwards it is this device's own, for which nobody has to be asked.
#[tokio::test]
async fn scrolling_back_ends_with_the_first_message_and_the_same_picture() {
    let house = house().await;
    let folder = tempfile::tempdir().unwrap();
    for (limit, file) in [(40, false), (1000, true)] {
        let builder = match file {
            true => house.recent().store_file(folder.path().join("device")),
            false => house.recent(),
        };
        let (client, _events) = online(builder).await;
        let seen = house.scroll(&client, limit).await;
        assert_eq!(of(&seen), of(&house.whole), "by {limit}");
        assert!(seen == house.whole, "by {limit}");
        house.fake.fail_history(true);
        let again = house.scroll(&client, limit).await;
        assert!(again == house.whole, "from the store alone, by {limit}");
        house.fake.fail_history(false);
        let first = client.messages(house.chat, Seq::ZERO, 1).await.unwrap();
        assert_eq!(first[0].seq, Seq(1), "the run begins with the first");
        client.close().await;
    }
}

/// A store that keeps few messages shows all of them, too.
#[tokio::test]
async fn a_store_with_little_room_shows_what_it_does_not_keep() {
    let house = house().await;
    let (client, _events) = online(house.recent().store(Arc::new(MemoryStore::keeping(50)))).await;
    let seen = house.scroll(&client, 100).await;
    assert_eq!(of(&seen), of(&house.whole));
    assert!(seen == house.whole);
    client.close().await;
}

/// Pages far from what the device has: the same picture, and the device's run is as it was. They lead to each other, up to
/// where the run begins.
#[tokio::test]
async fn pages_far_away_show_the_same_and_are_kept_apart() {
    let house = house().await;
    let (client, _events) = online(house.recent()).await;
    let before = client.messages(house.chat, Seq::ZERO, 1000).await.unwrap();
    let whole: BTreeMap<Seq, &Pictured> = house.whole.iter().map(|item| (item.seq, item)).collect();
    let same = |page: &History| page.items.iter().all(|item| *whole[&item.seq] == *item);
    let around = client.history(house.chat, HistoryAt::Around(Seq(400)), 20).await.unwrap();
    assert_eq!(of(&around.items), (390..410).collect::<Vec<_>>());
    assert!(same(&around));
    let older = client.history(house.chat, HistoryAt::Before(around.older.unwrap()), 20).await.unwrap();
    assert_eq!(of(&older.items), (370..390).collect::<Vec<_>>());
    let at = house.whole[699].at;
    let since = client.history(house.chat, HistoryAt::At(at), 5).await.unwrap();
    assert_eq!(of(&since.items), (700..705).collect::<Vec<_>>());
    assert!(same(&older) && same(&since));
    assert_eq!(client.messages(house.chat, Seq::ZERO, 1000).await.unwrap(), before, "nothing of it is kept");
    let (mut seen, mut next) = (Vec::new(), Some(Seq(0)));
    while let Some(after) = next {
        let page = client.history(house.chat, HistoryAt::After(after), 300).await.unwrap();
        assert!(same(&page));
        seen.extend(of(&page.items));
        next = page.newer;
    }
    assert_eq!(seen, of(&house.whole), "forwards from the first to the last");
    client.close().await;
}

/// What the device has needs no server; what it does not have is an error without one, unless there is something to show.
#[tokio::test]
async fn without_the_server_there_is_what_the_store_has() {
    let house = house().await;
    let (client, _events) = online(house.recent()).await;
    house.fake.fail_history(true);
    let newest = client.history(house.chat, HistoryAt::Newest, 50).await.unwrap();
    assert_eq!(newest.items.len(), 10);
    let older = newest.older.expect("there may be more");
    assert!(matches!(client.history(house.chat, HistoryAt::Before(older), 50).await, Err(Error::Api(_))));
    assert!(matches!(client.history(house.chat, HistoryAt::Around(Seq(9)), 5).await, Err(Error::Api(_))));
    let late = newest.items[4].at;
    let since = client.history(house.chat, HistoryAt::At(late), 50).await.unwrap();
    assert_eq!(since.items, newest.items[4..], "a time within the run");
    house.fake.fail_history(false);
    let older = client.history(house.chat, HistoryAt::Before(older), 50).await.unwrap();
    assert_eq!(older.items.last().unwrap().seq, Seq(SAID));
    let nowhere = client.history(ConversationId::generate(), HistoryAt::Newest, 5).await;
    assert!(matches!(nowhere, Err(Error::UnknownConversation(_))));
    client.close().await;
}

/// The page was under way when the message was taken back, and the device has the row that says so: nothing of what was
/// said is stored.
#[tokio::test]
async fn a_page_older_than_a_recall_does_not_bring_the_body_back() {
    let fake = FakeServer::start().await;
    let (ann, bob, chat) = fake.friends("ann", "bob");
    for number in 1..=30 {
        fake.say_unheard(chat, ann, &format!("text {number}"));
    }
    let bobs = builder(&fake, bob).first_sync(FirstSync::Recent(3));
    let (first, _events) = online(bobs).await;
    first.close().await;
    let (client, mut events) = online(builder(&fake, bob).first_sync(FirstSync::Recent(3))).await;
    fake.say_content(chat, ann, about(12, FollowUp::Recall));
    let told = async {
        loop {
            if matches!(events.next().await, Some(Event::Changed { seq: Seq(12), .. })) {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    fake.stale_history(true);
    let page = client.history(chat, HistoryAt::Newest, 30).await.unwrap();
    let gone = page.items.iter().find(|item| item.seq == Seq(12)).unwrap();
    assert!(matches!(gone.gone, Some(Gone { by: Some(_), .. })));
    let stored = client.messages(chat, Seq(11), 1).await.unwrap();
    assert_eq!(stored[0].content, Content::Gone, "nothing of it is stored");
    client.close().await;
}

/// Retention took what was said before: that is where history begins.
#[tokio::test]
async fn what_is_gone_ends_history() {
    let house = house().await;
    house.fake.forget(house.chat, Seq(1000));
    let (client, _events) = online(house.recent()).await;
    let seen = house.scroll(&client, 100).await;
    assert_eq!(of(&seen), of(&house.whole[1000..]));
    let before = client.history(house.chat, HistoryAt::Around(Seq(5)), 4).await.unwrap();
    assert_eq!(of(&before.items), [1001, 1002, 1003, 1004]);
    client.close().await;
}

/// Bob says something, is sent away and comes back, twice; meanwhile others talk, and react to and take back what was said
/// before. His device that was there all along, one that comes later, and one of little room show the same when they scroll
/// back: each of his times, opened, with what became of it and nothing of what was said between. What is unread is of the
/// present time.
#[tokio::test]
async fn who_comes_back_to_a_group_scrolls_to_what_they_saw_before() {
    let fake = FakeServer::start().await;
    let (ann, bob, _) = fake.friends("ann", "bob");
    let chat = fake.group("birds", ann, &[bob]);
    let there = builder(&fake, bob).first_sync(FirstSync::Everything);
    let (there, _events) = online(there).await;
    let mut expected = vec![1];
    let say = |count: u64, who: &str| {
        let said = (0..count).map(|number| fake.say(chat, ann, &format!("{who} {number}")).seq.0);
        said.collect::<Vec<u64>>()
    };
    let early = say(5, "seen");
    expected.extend(&early);
    for time in 0..2 {
        fake.remove(chat, bob, ann);
        expected.push(fake.messages(chat).last().unwrap().seq.0);
        say(4, "secret");
        fake.say_content(chat, ann, about(early[2], FollowUp::Recall));
        fake.join(chat, bob);
        expected.push(fake.messages(chat).last().unwrap().seq.0);
        if time == 0 {
            expected.extend(say(3, "seen"));
        }
    }
    let emoji = "👍".to_owned();
    fake.say_content(chat, ann, about(early[1], FollowUp::React { emoji, removed: false }));
    expected.extend(say(6, "seen"));
    let last = Seq(*expected.last().unwrap());
    let house = House { fake, chat, bob, whole: Vec::new() };
    let builders = [
        builder(&house.fake, bob).first_sync(FirstSync::Everything),
        house.recent(),
        house.recent().store(Arc::new(MemoryStore::keeping(3))),
    ];
    let mut devices = vec![there];
    for builder in builders {
        devices.push(online(builder).await.0);
    }
    for device in &devices {
        let arrived = async {
            // Opened, too: the keys of all times come before the newest one.
            while !device.messages(chat, Seq(last.0 - 1), 1).await.unwrap().iter().any(|last| last.text().is_some()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, arrived).await.unwrap();
    }
    for (limit, device) in [1, 2, 3, 50].into_iter().flat_map(|limit| devices.iter().map(move |device| (limit, device)))
    {
        let seen = house.scroll(device, limit).await;
        assert_eq!(of(&seen), expected, "by {limit}");
        for item in &seen {
            match &item.content {
                Content::Text(text) => assert!(text.starts_with("seen"), "{text}"),
                Content::Gone => assert_eq!(item.seq.0, early[2]),
                other => assert_eq!(item.kind, MessageKind::GROUP, "{other:?}"),
            }
        }
        assert_eq!(
            seen.iter().filter(|item| !item.reactions.is_empty()).map(|item| item.seq.0).collect::<Vec<_>>(),
            [early[1]]
        );
        assert_eq!(seen.iter().filter(|item| item.content == Content::Gone).count(), 1);
    }
    let mut after = Seq::ZERO;
    let mut forth = Vec::new();
    loop {
        let page = devices[1].history(chat, HistoryAt::After(after), 4).await.unwrap();
        forth.extend(of(&page.items));
        match page.newer {
            Some(newer) => after = newer,
            None => break,
        }
    }
    assert_eq!(forth, expected, "and forth again");
    let around = devices[1].history(chat, HistoryAt::Around(Seq(early[4] + 3)), 4).await.unwrap();
    let at = expected.iter().position(|seq| *seq > early[4] + 3).unwrap();
    assert_eq!(of(&around.items), expected[at - 2..at + 2], "around a place between");
    for device in devices {
        let list = device.conversations().await.unwrap();
        assert_eq!(list.iter().find(|row| row.id == chat).unwrap().unread, 6);
        device.close().await;
    }
}
