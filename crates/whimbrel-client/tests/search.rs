//! Searching what a device has: compared with looking at everything it shows.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::timeout;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Client, Content, ConversationId, Error, Events, FirstSync, FollowUp, MessageKind, Pictured, Search, Searched,
    SearchedBy, Seq, UserId,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn online(fake: &FakeServer, user: UserId) -> (Client, Events) {
    let builder = Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(user));
    let (client, events) = builder.first_sync(FirstSync::Everything).connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    (client, events)
}

fn about(seq: Seq, what: FollowUp) -> Content {
    Content::FollowUp { target: seq, what }
}

fn places(found: &Searched) -> Vec<(ConversationId, Seq)> {
    found.hits.iter().map(|hit| (hit.conversation, hit.seq)).collect()
}

/// All pages of so many.
async fn all(client: &Client, search: &Search, limit: usize) -> Vec<(ConversationId, Seq)> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = client.search(search, next.as_ref(), limit).await.unwrap();
        assert!(page.hits.len() <= limit);
        found.extend(places(&page));
        match page.next {
            Some(place) => next = Some(place),
            None => return found,
        }
    }
}

/// Three conversations whose messages stand at the same times, with edits and recalls.
struct House {
    fake: FakeServer,
    ann: UserId,
    bob: UserId,
    chats: [ConversationId; 3],
}

async fn house() -> House {
    let fake = FakeServer::start().await;
    let (ann, bob, first) = fake.friends("ann", "bob");
    let (cat, dan, _) = fake.friends("cat", "dan");
    let chats = [first, fake.group("All", ann, &[bob, cat]), fake.group("Some", cat, &[bob, dan])];
    for number in 0..400_u64 {
        for (chat, other) in chats.iter().zip([ann, ann, cat]) {
            let word = ["Apple", "pear", "苹果和梨", "cherry"][(number % 4) as usize];
            let sender = if number % 5 == 0 { bob } else { other };
            let said = fake.say_unheard(*chat, sender, &format!("{word} number {number}"));
            if number % 11 == 0 {
                let text = Content::Text(format!("plum instead {number}"));
                fake.say_content(*chat, sender, about(said.seq, FollowUp::Edit(Box::new(text))));
            }
            if number % 13 == 0 {
                fake.say_content(*chat, sender, about(said.seq, FollowUp::Recall));
            }
        }
    }
    House { fake, ann, bob, chats }
}

impl House {
    /// What a search has to find: everything that is shown, looked at.
    async fn expected(&self, client: &Client, is_wanted: impl Fn(&Pictured) -> bool) -> Vec<(ConversationId, Seq)> {
        let mut wanted = Vec::new();
        for chat in self.chats {
            let mut after = Seq::ZERO;
            loop {
                let page = client.picture(chat, after, 500).await.unwrap();
                let Some(last) = page.last() else { break };
                after = last.seq;
                wanted.extend(page.iter().filter(|item| is_wanted(item)).map(|item| (item.at, chat, item.seq)));
            }
        }
        wanted.sort_unstable();
        wanted.into_iter().rev().map(|(_, chat, seq)| (chat, seq)).collect()
    }
}

fn says(item: &Pictured, word: &str) -> bool {
    item.content.as_text().is_some_and(|text| text.to_lowercase().contains(word))
}

#[tokio::test]
async fn pages_of_any_size_find_what_is_shown_the_newest_first() {
    let house = house().await;
    let (client, _events) = online(&house.fake, house.bob).await;
    for word in ["apple", "果和", "NUMBER 3", "plum", "r"] {
        let search = Search::new(word).unwrap();
        let expected =
            house.expected(&client, |item| word.split(' ').all(|word| says(item, &word.to_lowercase()))).await;
        assert!(expected.len() > 20, "{word}: {}", expected.len());
        for limit in [7, 1000] {
            assert_eq!(all(&client, &search, limit).await, expected, "{word} by {limit}");
        }
    }
    assert_eq!(all(&client, &Search::new("apple plum").unwrap(), 10).await, []);
    client.close().await;
}

#[tokio::test]
async fn a_search_keeps_to_its_conversation_sender_kind_and_time() {
    let house = house().await;
    let (client, _events) = online(&house.fake, house.bob).await;
    let apples = Search::new("apple").unwrap();
    let some = client.picture(house.chats[0], Seq(100), 200).await.unwrap();
    let (since, until) = (some[0].at, some[150].at);
    let within = |item: &Pictured| item.at >= since && item.at < until && says(item, "apple");

    let search = Search { conversation: Some(house.chats[1]), ..apples.clone() };
    let expected = house.expected(&client, |item| item.conversation == house.chats[1] && says(item, "apple")).await;
    assert_eq!(all(&client, &search, 9).await, expected);
    let search = Search { sender: Some(house.ann), ..apples.clone() };
    let expected = house.expected(&client, |item| item.sender == house.ann && says(item, "apple")).await;
    assert_eq!(all(&client, &search, 9).await, expected);
    let search = Search { since: Some(since), until: Some(until), ..apples.clone() };
    let expected = house.expected(&client, within).await;
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!(all(&client, &search, 9).await, expected);
    let search = Search { kinds: vec![MessageKind::LINK], ..apples.clone() };
    assert_eq!(all(&client, &search, 9).await, []);
    let nowhere = Search { conversation: Some(ConversationId::generate()), ..apples };
    assert!(matches!(client.search(&nowhere, None, 9).await, Err(Error::UnknownConversation(_))));
    client.close().await;
}

#[tokio::test]
async fn every_word_of_a_message_counts_and_what_was_found_is_shown() {
    let fake = FakeServer::start().await;
    let (ann, bob, chat) = fake.friends("ann", "bob");
    let link = Content::Link {
        url: "https://example.org/timetable".into(),
        title: "The night train".into(),
        description: "To the sea".into(),
        image: String::new(),
    };
    let link = fake.say_content(chat, ann, link).seq;
    let inner = Content::Text("until midnight".into());
    let fleeting = Content::Fleeting { after_ms: 1_000_000_000_000, once_read: false, content: Box::new(inner) };
    let fleeting = fake.say_content(chat, ann, fleeting).seq;
    let (client, _events) = online(&fake, bob).await;
    for (words, seq) in [("timetable", link), ("SEA night", link), ("midnight", fleeting)] {
        let found = client.search(&Search::new(words).unwrap(), None, 10).await.unwrap();
        assert_eq!(places(&found), [(chat, seq)], "{words}");
    }
    let found = client.search(&Search::new("night sea").unwrap(), None, 10).await.unwrap();
    let snippet = &found.hits[0].snippet;
    let marked: Vec<String> = (snippet.highlights.iter())
        .map(|range| snippet.text.chars().skip(range.start).take(range.len()).collect())
        .collect();
    assert_eq!(marked, ["night", "sea"]);
    client.close().await;
}

/// The idea: a readable deployment whose server finds nothing, so that whatever is found was found here. It is while the server
/// cannot be asked, whoever says so; not when it says no.
#[tokio::test]
async fn this_device_searches_while_the_server_or_what_stands_before_it_fails() {
    let fake = FakeServer::start().await;
    fake.set_bodies_readable(true);
    let (ann, bob, chat) = fake.friends("ann", "bob");
    let said = fake.say(chat, ann, "the night train").seq;
    let (client, _events) = online(&fake, bob).await;
    let search = Search::new("night").unwrap();
    let found = client.search(&search, None, 10).await.unwrap();
    assert_eq!((places(&found), found.by), (vec![], SearchedBy::Server));
    for status in [500, 502, 503, 504] {
        fake.refuse_searches(Some(status));
        let found = client.search(&search, None, 10).await.unwrap();
        assert_eq!((places(&found), found.by), (vec![(chat, said)], SearchedBy::Device), "{status}");
    }
    for status in [400, 403, 429] {
        fake.refuse_searches(Some(status));
        let refused = client.search(&search, None, 10).await;
        assert!(matches!(&refused, Err(Error::Api(error)) if error.status == status), "{refused:?}");
    }
    client.close().await;
}
