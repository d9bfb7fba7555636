//! Looking for messages, in all conversations.

use std::collections::HashMap;

use chrono::{DateTime, Local};
use whimbrel_client::{
    Client, ConversationId, ConversationKind, ConversationSummary, Search, SearchHit, SearchedBy, Snippet, UserId,
};

use super::perform::names;
use crate::chat::app::Sheet;

/// Messages that are listed.
const LISTED: usize = 50;

/// The newest messages with these words, and where they stand.
pub(super) async fn search(client: &Client, typed: &str) -> anyhow::Result<Sheet> {
    let search = Search::new(typed)?;
    let (mut hits, mut next) = (Vec::new(), None);
    let by = loop {
        let page = client.search(&search, next.as_ref(), LISTED - hits.len()).await?;
        hits.extend(page.hits);
        next = page.next;
        if next.is_none() || hits.len() >= LISTED {
            break page.by;
        }
    };
    let names = Names::of(client, &hits).await?;
    let mut lines: Vec<String> = hits.iter().map(|hit| names.line(hit)).collect();
    if next.is_some() {
        lines.push("… and older ones".to_owned());
    }
    if lines.is_empty() {
        lines.push(match by {
            SearchedBy::Device => "Nothing on this device.".to_owned(),
            SearchedBy::Server => "Nothing.".to_owned(),
        });
    }
    let what = if hits.len() == 1 { "message" } else { "messages" };
    let more = if next.is_some() { " and more" } else { "" };
    Ok(Sheet { title: format!("{}{more} {what} with {}", hits.len(), typed.trim()), lines, ..Sheet::default() })
}

/// What conversations and people are called.
struct Names {
    me: UserId,
    conversations: HashMap<ConversationId, ConversationSummary>,
    people: HashMap<UserId, String>,
}

impl Names {
    async fn of(client: &Client, hits: &[SearchHit]) -> anyhow::Result<Self> {
        let conversations = client.conversations().await?.into_iter().map(|row| (row.id, row)).collect();
        let mut named = Self { me: client.user(), conversations, people: HashMap::new() };
        let mut unknown: Vec<UserId> = hits.iter().filter(|hit| named.is_in_group(hit)).map(|hit| hit.sender).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.retain(|user| *user != named.me);
        let people = names(client, unknown).await;
        named.people = people.into_iter().map(|person| (person.id, person.name)).collect();
        Ok(named)
    }

    fn is_in_group(&self, hit: &SearchHit) -> bool {
        self.conversations.get(&hit.conversation).is_some_and(|row| row.kind == ConversationKind::Group)
    }

    fn line(&self, hit: &SearchHit) -> String {
        let title = self.conversations.get(&hit.conversation).map_or("?", |row| &row.title);
        let who = match self.people.get(&hit.sender) {
            _ if hit.sender == self.me => format!("{title}, you"),
            Some(name) => format!("{title}, {name}"),
            None if self.is_in_group(hit) => format!("{title}, {}", hit.sender),
            None => title.to_owned(),
        };
        let at = DateTime::from_timestamp_millis(i64::try_from(hit.at).unwrap_or(0)).unwrap_or_default();
        format!("{} {who}: {}", at.with_timezone(&Local).format("%Y-%m-%d %H:%M"), marked(&hit.snippet))
    }
}

/// The text with marks around what was found.
fn marked(snippet: &Snippet) -> String {
    let mut marked = String::new();
    for (at, letter) in snippet.text.chars().enumerate() {
        if snippet.highlights.iter().any(|range| range.start == at) {
            marked.push('«');
        }
        marked.push(letter);
        if snippet.highlights.iter().any(|range| range.end == at + 1) {
            marked.push('»');
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use whimbrel_client::testing::FakeServer;

    use super::*;

    #[tokio::test]
    async fn what_was_found_is_listed_with_its_place_the_newest_first() {
        let fake = FakeServer::start().await;
        let (ann, bob, chat) = fake.friends("ann", "bob");
        let birds = fake.group("Birds", ann, &[bob]);
        fake.say(chat, ann, "The night train is late");
        fake.say(birds, bob, "Owls by night");
        for number in 0..60 {
            fake.say(chat, ann, &format!("rain {number}"));
        }
        let builder = Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(bob));
        let (client, _events) =
            builder.first_sync(whimbrel_client::FirstSync::Everything).connect().await.expect("a client");
        client.wait_online().await.expect("it comes online");
        let sheet = search(&client, "NIGHT").await.expect("found");
        assert_eq!(sheet.title, "2 messages with NIGHT");
        let ends: Vec<&str> = sheet.lines.iter().map(|line| &line["2023-11-14 22:13 ".len()..]).collect();
        assert_eq!(ends, ["Birds, you: Owls by «night»", "ann: The «night» train is late"]);
        let sheet = search(&client, "rain").await.expect("found");
        assert_eq!((sheet.title.as_str(), sheet.lines.len()), ("50 and more messages with rain", 51));
        assert_eq!(search(&client, "sun").await.expect("nothing").lines, ["Nothing on this device."]);
        assert!(search(&client, "\"\"").await.is_err());
        client.close().await;
    }
}
