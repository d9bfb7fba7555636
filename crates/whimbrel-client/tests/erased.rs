//! What a user said is erased: a device that hears of it, one that was offline and one that comes late have the same, and
//! nothing of it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::timeout;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Client, ClientBuilder, Content, ConversationId, Event, Events, FirstSync, FollowUp, Gone, HistoryAt, Outgoing,
    Pictured, Search, Seq, UserId,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    fake: FakeServer,
    ann: UserId,
    bob: UserId,
    chat: ConversationId,
}

impl House {
    async fn new() -> Self {
        let fake = FakeServer::start().await;
        let (ann, bob, chat) = fake.friends("ann", "bob");
        Self { fake, ann, bob, chat }
    }

    fn builder(&self, first_sync: FirstSync) -> ClientBuilder {
        let builder = Client::builder(&self.fake.api_url(), &self.fake.server());
        builder.credentials(self.fake.credentials(self.bob)).first_sync(first_sync)
    }

    async fn seen(&self, client: &Client) -> Vec<Pictured> {
        client.picture(self.chat, Seq::ZERO, 100).await.unwrap()
    }

    async fn find(&self, client: &Client, words: &str) -> Vec<Seq> {
        let search = Search { conversation: Some(self.chat), ..Search::new(words).unwrap() };
        let found = client.search(&search, None, 50).await.unwrap();
        found.hits.iter().map(|hit| hit.seq).collect()
    }
}

async fn online(builder: ClientBuilder) -> (Client, Events) {
    let (client, events) = builder.connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    (client, events)
}

/// Everything up to this event, and this one.
async fn heard(events: &mut Events, mut last: impl FnMut(&Event) -> bool) -> Vec<Event> {
    let mut all = Vec::new();
    let listen = async {
        loop {
            all.push(events.next().await.expect("the client lives"));
            if last(&all[all.len() - 1]) {
                return;
            }
        }
    };
    timeout(PATIENCE, listen).await.expect("the event comes");
    all
}

fn about(seq: u64, what: FollowUp) -> Content {
    Content::FollowUp { target: Seq(seq), what }
}

fn like(seq: u64) -> Content {
    about(seq, FollowUp::React { emoji: "👍".into(), removed: false })
}

/// Ann says, edits, calls and reacts, and Bob answers; then Ann is erased, and speaks again. On a file and in memory.
#[tokio::test]
async fn who_hears_it_who_was_away_and_who_comes_late_have_the_same() {
    let house = House::new().await;
    let House { fake, ann, bob, chat } = &house;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| house.builder(FirstSync::Everything).store_file(folder.path().join(name));
    let (live, mut events) = online(house.builder(FirstSync::Everything)).await;
    let (on_file, _file_events) = online(file("live")).await;
    fake.say(*chat, *ann, "a secret of cherries");
    fake.say_content(*chat, *ann, Outgoing::text("look").mentioning([*bob]));
    fake.say(*chat, *bob, "what cherries?");
    fake.say_content(*chat, *ann, about(1, FollowUp::Edit(Box::new(Content::Text("a secret of pears".into())))));
    fake.say_content(*chat, *ann, like(3));
    fake.say_content(*chat, *bob, like(3));
    fake.say_content(*chat, *bob, like(1));
    let away = fake.credentials(*bob);
    let (offline, mut away_events) = online(file("away").credentials(away.clone())).await;
    heard(&mut away_events, |event| matches!(event, Event::Message(message) if message.seq == Seq(7))).await;
    offline.close().await;
    let is_seventh = |event: &Event| matches!(event, Event::Message(message) if message.seq == Seq(7));
    heard(&mut events, is_seventh).await;
    heard(&mut events, |event| matches!(event, Event::Changed { seq: Seq(1), .. })).await;
    let mentions = async |client: &Client| client.conversations().await.unwrap()[0].mentions;
    assert_eq!((house.find(&live, "pears").await, mentions(&live).await), (vec![Seq(1)], 1));

    let row = fake.erase(*chat, *ann);
    fake.say(*chat, *ann, "anew");
    let told = heard(&mut events, |event| matches!(event, Event::Message(message) if message.seq > row.seq)).await;
    let erased = |event: &&Event| matches!(event, Event::Erased { user, seq, .. } if (user, *seq) == (ann, row.seq));
    assert_eq!(told.iter().filter(erased).count(), 1);
    assert!(!told.iter().any(|event| matches!(event, Event::Changed { .. })), "it is said once for all");

    let (late, _late_events) = online(house.builder(FirstSync::Everything)).await;
    let (back, _back_events) = online(file("away").credentials(away)).await;
    let seen = house.seen(&late).await;
    let gone = Gone { by: Some(*ann), at: row.at, vanished: false };
    assert_eq!(seen.iter().map(|item| item.gone).collect::<Vec<_>>(), [Some(gone), Some(gone), None, None]);
    assert_eq!(seen[2].content, Content::Text("what cherries?".into()));
    assert_eq!(seen[2].reactions[0].users, [*bob]);
    assert_eq!(seen[3].content, Content::Text("anew".into()), "what is said afterwards stays");
    let rows = late.messages(*chat, Seq::ZERO, 100).await.unwrap();
    for client in [&live, &on_file, &back] {
        let waiting = async {
            while client.messages(*chat, Seq::ZERO, 100).await.unwrap().len() < rows.len() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
        assert_eq!(client.messages(*chat, Seq::ZERO, 100).await.unwrap(), rows);
        assert_eq!(house.seen(client).await, seen);
        for (words, found) in [("secret", vec![]), ("pears", vec![]), ("look", vec![]), ("cherries", vec![Seq(3)])] {
            assert_eq!(house.find(client, words).await, found, "{words}");
        }
        let (row, late_row) =
            (client.conversations().await.unwrap().remove(0), late.conversations().await.unwrap().remove(0));
        assert_eq!((row.mentions, row.unread, row.last), (late_row.mentions, late_row.unread, late_row.last));
    }
    assert_eq!(mentions(&late).await, 0);
}

/// The page was under way when it was erased, and the run has the row that says so: nothing of it is stored, nor shown.
#[tokio::test]
async fn a_page_older_than_an_erasure_does_not_bring_the_bodies_back() {
    let house = House::new().await;
    for number in 1..=30 {
        house.fake.say_unheard(
            house.chat,
            if number % 3 == 0 { house.bob } else { house.ann },
            &format!("text {number}"),
        );
    }
    let (first, _events) = online(house.builder(FirstSync::Recent(3))).await;
    first.close().await;
    let (client, mut events) = online(house.builder(FirstSync::Recent(3))).await;
    let low = client.messages(house.chat, Seq::ZERO, 1).await.unwrap()[0].seq;
    assert!(low > Seq(20), "the run begins at {low}");
    house.fake.erase(house.chat, house.ann);
    heard(&mut events, |event| matches!(event, Event::Erased { .. })).await;
    house.fake.stale_history(true);
    let page = client.history(house.chat, HistoryAt::Newest, 100).await.unwrap();
    assert_eq!(page.items.len(), 30);
    for item in &page.items {
        assert_eq!(item.gone.is_some(), item.sender == house.ann, "{item:?}");
    }
    let stored = client.messages(house.chat, Seq::ZERO, 100).await.unwrap();
    assert_eq!(stored.len(), 31);
    for row in stored.iter().filter(|row| row.sender == house.ann && row.kind.is_countable()) {
        assert_eq!(row.content, Content::Gone, "nothing of it is stored");
    }
    client.close().await;
}
