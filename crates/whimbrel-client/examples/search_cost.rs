//! What searching a device's own store costs: nothing opened is stored, so messages are opened as they are looked at.
//!
//! `cargo run --release -p whimbrel-client --example search_cost [-- MESSAGES]` (100,000 if left out; the fake server takes longest)
//!
//! A device on a file gets so many sealed messages of 100 bytes, in one conversation. Then it is searched for a word that
//! nobody has said (everything is looked at), for one that stands in one message of a thousand (a page of 50), and for one
//! that is everywhere.

use std::time::{Duration, Instant};

use whimbrel_client::testing::FakeServer;
use whimbrel_client::{Client, FirstSync, Search};

const RARE: u64 = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let fake = FakeServer::start().await;
    let (ann, bob, chat) = fake.friends("ann", "bob");
    for number in 0..count {
        let word = if number % RARE == 0 { "midnight" } else { "morning" };
        fake.say_unheard(chat, ann, &format!("{:-<90} {word}", format!("message {number}")));
    }
    let folder = tempfile::tempdir()?;
    let builder = Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(bob));
    let builder = builder.store_file(folder.path().join("device")).first_sync(FirstSync::Everything);
    let began = Instant::now();
    let (client, _events) = builder.connect().await?;
    client.wait_online().await?;
    println!("{count} messages were stored in {:.1} s", began.elapsed().as_secs_f64());
    for (word, wanted) in [("nowhere", 1), ("midnight", 50), ("message", 50)] {
        let search = Search::new(word)?;
        let (mut hits, mut next, mut pages, mut longest) = (0, None, 0, Duration::ZERO);
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            let page = client.search(&search, next.as_ref(), wanted - hits).await?;
            (hits, next, pages) = (hits + page.hits.len(), page.next, pages + 1);
            longest = longest.max(asked.elapsed());
            if next.is_none() || hits >= wanted {
                break;
            }
        }
        let (took, longest) = (began.elapsed().as_secs_f64() * 1000.0, longest.as_secs_f64() * 1000.0);
        println!("{word}: {hits} found in {took:.1} ms, {pages} pages, the longest {longest:.1} ms");
    }
    client.close().await;
    Ok(())
}
