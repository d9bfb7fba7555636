//! Searching by REST: what is asked, what is answered, and what is refused.

use serde_json::{Value, json};
use whimbrel_api::Config;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::{NewRow, PlaceBatch};

use crate::support::{Answer, Api, Person, config};

fn readable() -> Api {
    Api::with(Config { bodies_readable: true, ..config() })
}

/// The body of a text: field 1 of `Body` is a `Text`, whose field 1 is the text.
fn body(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short text");
    [&[0x0a, len + 2, 0x0a, len][..], text.as_bytes()].concat()
}

async fn say(api: &Api, chat: &str, sender: &Person, texts: &[&str]) {
    let conversation = ConversationId::from_bytes(*uuid::Uuid::parse_str(chat).expect("an id").as_bytes());
    let head = api.store.heads(&[conversation]).await.expect("answers")[0].clone().expect("there");
    let rows = texts.iter().zip(1..).map(|(text, step)| NewRow {
        message: Message {
            conversation,
            seq: Seq(head.seq.0 + step),
            sender: UserId(sender.id),
            device: DeviceId::from_bytes([3; 16]),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 0,
            body: body(text).into(),
            at: head.at + 1000 * step,
        },
        hash: [0; 32],
        n: head.n + step,
        own: step,
        in_group: false,
    });
    let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
    api.store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
}

async fn search(api: &Api, who: &Person, query: &str) -> Answer {
    api.by(who, &format!("GET /v1/search?{query}"), Value::Null).await
}

fn snippets(page: &Value) -> Vec<&str> {
    page["hits"].as_array().expect("a list").iter().map(|hit| hit["snippet"].as_str().expect("a text")).collect()
}

#[tokio::test]
async fn what_was_said_is_found_in_pages_with_what_was_found_marked() {
    let api = readable();
    let people = api.people("p", 3).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    let other = api.befriend(&people[0], &people[2]).await;
    say(&api, &chat, &people[0], &["早上好 one", "Good Morning two", "good evening", "GOOD morning four"]).await;
    say(&api, &other, &people[2], &["a good morning to you"]).await;
    let first = search(&api, &people[0], "q=good%20morning&limit=2").await.good();
    assert_eq!((snippets(&first).len(), &first["by"]), (2, &json!("index")));
    let next = first["next"].as_str().expect("there is more");
    let second = search(&api, &people[0], &format!("q=good%20morning&limit=2&after={next}")).await.good();
    let mut all = [snippets(&first), snippets(&second)].concat();
    all.sort_unstable();
    assert_eq!(all, ["GOOD morning four", "Good Morning two", "a good morning to you"]);
    let query = format!("q=%22good+morning%22&conversation={chat}&sender={}&kinds=1,2", people[0].id);
    let in_one = search(&api, &people[0], &query).await.good();
    assert_eq!(snippets(&in_one), ["GOOD morning four", "Good Morning two"]);
    let hit = &in_one["hits"][0];
    assert_eq!((&hit["conversation"], &hit["highlights"], &hit["kind"]), (&json!(chat), &json!([[0, 12]]), &json!(1)));
    let at = hit["at"].as_u64().expect("a time");
    let before = search(&api, &people[0], &format!("q=morning&conversation={chat}&until={at}")).await.good();
    assert_eq!(snippets(&before), ["Good Morning two"]);
    let since = search(&api, &people[0], &format!("q=morning&conversation={chat}&since={at}")).await.good();
    assert_eq!(snippets(&since), ["GOOD morning four"]);
    let chinese = search(&api, &people[1], "q=%E4%B8%8A%E5%A5%BD").await.good();
    assert_eq!((snippets(&chinese), &chinese["hits"][0]["highlights"]), (vec!["早上好 one"], &json!([[1, 3]])));
    assert_eq!(snippets(&search(&api, &people[2], "q=evening").await.good()).len(), 0, "not theirs");
    assert_eq!(search(&api, &people[0], "q=g").await.good()["by"], "scan");
}

#[tokio::test]
async fn what_cannot_be_searched_is_refused_with_a_sentence() {
    let api = readable();
    let people = api.people("p", 3).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    let words: String = (0..11).map(|number| format!("w{number}+")).collect();
    for (query, field, part) in [
        ("q=", "q", "no word"),
        ("q=%22%20%22", "q", "no word"),
        (&format!("q={words}"), "q", "at most 10 words"),
        (&format!("q={}", "x".repeat(201)), "q", "at most 200 letters"),
        ("q=a&limit=0", "limit", "1 to 100"),
        ("q=a&limit=101", "limit", "1 to 100"),
        ("q=a&kinds=1,x", "kinds", "numbers"),
        ("q=a&after=zz", "after", "next"),
    ] {
        let answer = search(&api, &people[0], query).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "invalid"), "{query}");
        assert_eq!(answer.body["field"], field, "{query}");
        assert!(answer.text("message").contains(part), "{}", answer.body);
    }
    assert_eq!(search(&api, &people[0], "limit=2").await.code(), "bad_request");
    assert_eq!(search(&api, &people[0], "q=a&what=b").await.code(), "bad_request");
    assert_eq!(search(&api, &people[2], &format!("q=a&conversation={chat}")).await.code(), "no_such_conversation");
    assert_eq!(api.call("GET /v1/search?q=a", None, Value::Null).await.code(), "unauthenticated");
}

#[tokio::test]
async fn where_bodies_are_encrypted_nothing_is_searched() {
    let api = Api::new();
    let people = api.people("p", 1).await;
    let answer = search(&api, &people[0], "q=hello").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (409, "search_unavailable"));
    assert!(answer.text("message").contains("clients search their own store"), "{}", answer.body);
}

#[tokio::test]
async fn nobody_searches_without_end() {
    let api = readable();
    let people = api.people("p", 2).await;
    let mut answers = 0;
    let refused = loop {
        let answer = search(&api, &people[0], "q=hello").await;
        if answer.status != 200 {
            break answer;
        }
        answers += 1;
        assert!(answers < 1000, "searches without end");
    };
    assert!(answers >= 30);
    assert_eq!(refused.code(), "too_many_attempts");
    assert!(refused.headers.contains_key("retry-after"));
    search(&api, &people[1], "q=hello").await.good();
}
