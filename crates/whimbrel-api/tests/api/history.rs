//! Pages of history: what is shown to whom, and how one goes on from a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::{NewRow, PlaceBatch};

use crate::support::{Answer, Api, Person};

/// Rows behind the head, as an archiver would place them.
async fn say(api: &Api, chat: &str, sender: &Person, rows: &[(MessageKind, Vec<u8>)]) {
    let conversation = ConversationId::from_bytes(*uuid::Uuid::parse_str(chat).expect("an id").as_bytes());
    let head = api.store.heads(&[conversation]).await.expect("answers")[0].clone().expect("there");
    let rows = rows.iter().zip(1..).map(|((kind, body), step)| NewRow {
        message: Message {
            conversation,
            seq: Seq(head.seq.0 + step),
            sender: UserId(sender.id),
            device: DeviceId::from_bytes([3; 16]),
            message_id: MessageId::generate(),
            kind: *kind,
            key_version: 1,
            body: body.clone().into(),
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

fn texts(count: u64) -> Vec<(MessageKind, Vec<u8>)> {
    (1..=count).map(|number| (MessageKind::TEXT, format!("text {number}").into_bytes())).collect()
}

async fn page(api: &Api, who: &Person, chat: &str, query: &str) -> Answer {
    api.by(who, &format!("GET /v1/conversations/{chat}/messages?{query}"), Value::Null).await
}

fn seqs(page: &Value) -> Vec<u64> {
    let messages = page["messages"].as_array().expect("a list");
    messages.iter().map(|message| message["seq"].as_u64().expect("a place")).collect()
}

/// From the end to the first message by what each page says, and back; nothing is left out, and nothing comes twice.
#[tokio::test]
async fn pages_lead_from_the_end_to_the_beginning_and_back() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    say(&api, &chat, &people[0], &texts(25)).await;
    let newest = page(&api, &people[1], &chat, "limit=10").await.good();
    let (first, last) = (newest["first"].as_u64().expect("one"), newest["last"].as_u64().expect("one"));
    assert_eq!((first, newest["newer"].clone()), (1, Value::Null));
    let mut all = seqs(&newest);
    let mut older = newest["older"].clone();
    while let Some(before) = older.as_u64() {
        let part = page(&api, &people[1], &chat, &format!("before={before}&limit=10")).await.good();
        assert!(part["newer"].as_u64() == Some(before - 1));
        all.splice(0..0, seqs(&part));
        older = part["older"].clone();
    }
    assert_eq!(all, (first..=last).collect::<Vec<_>>());
    let (mut again, mut newer) = (Vec::new(), json!(0));
    while let Some(after) = newer.as_u64() {
        let part = page(&api, &people[1], &chat, &format!("after={after}&limit=7")).await.good();
        again.extend(seqs(&part));
        newer = part["newer"].clone();
    }
    assert_eq!(again, all);
    let beyond = page(&api, &people[1], &chat, "after=1000").await.good();
    assert_eq!((seqs(&beyond).len(), &beyond["older"], &beyond["newer"]), (0, &json!(last + 1), &json!(0)));
}

#[tokio::test]
async fn a_message_is_shown_as_it_stands() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    say(&api, &chat, &people[0], &texts(9)).await;
    let around = page(&api, &people[1], &chat, "around=5&limit=3").await.good();
    assert_eq!(seqs(&around), [4, 5, 6]);
    let message = &around["messages"][1];
    let body = STANDARD.decode(message["body"].as_str().expect("text")).expect("base64");
    assert!(body.starts_with(b"text "));
    assert_eq!(
        (&message["sender"], &message["kind"], &message["key_version"]),
        (&json!(people[0].id), &json!(1), &json!(1))
    );
    assert_eq!(message["device_id"], "03030303-0303-0303-0303-030303030303");
    let at = message["at"].as_u64().expect("a time");
    assert_eq!(seqs(&page(&api, &people[1], &chat, &format!("at={at}&limit=2")).await.good()), [5, 6]);
    assert_eq!(seqs(&page(&api, &people[1], &chat, &format!("at={}&limit=2", at + 1)).await.good()), [6, 7]);
}

#[tokio::test]
async fn only_what_the_reader_may_see_is_shown() {
    let api = Api::new();
    let people = api.people("p", 4).await;
    let group = api.group(&people[0], json!({"name": "Birds", "join": "open"})).await;
    say(&api, &group, &people[0], &texts(3)).await;
    api.add(&group, &[&people[1]]).await;
    say(&api, &group, &people[0], &texts(3)).await;
    let seen = page(&api, &people[1], &group, "").await.good();
    assert_eq!(seqs(&seen), [5, 6, 7, 8], "from their coming on");
    assert_eq!(seqs(&page(&api, &people[1], &group, "before=5").await.good()), [] as [u64; 0]);
    api.by(&people[1], &format!("PUT /v1/conversations/{group}/settings"), json!({"clear": true})).await.good();
    say(&api, &group, &people[0], &texts(1)).await;
    assert_eq!(seqs(&page(&api, &people[1], &group, "around=6").await.good()), [9], "what was cleared is gone");
    assert_eq!(seqs(&page(&api, &people[0], &group, "").await.good()).len(), 9, "for nobody else");
    api.act(&people[1], &group, "leave", Value::Null).await.good();
    say(&api, &group, &people[0], &texts(1)).await;
    assert_eq!(seqs(&page(&api, &people[1], &group, "").await.good()), [9, 10], "to their leaving");
    page(&api, &people[2], &group, "").await.is(404, "no_such_conversation");
    page(&api, &people[2], &uuid::Uuid::nil().to_string(), "").await.is(404, "no_such_conversation");
    let about = format!("GET /v1/conversations/{group}/follow_ups?from=1&upto=9");
    api.by(&people[2], &about, Value::Null).await.is(404, "no_such_conversation");
    api.call(&about, None, Value::Null).await.is(401, "unauthenticated");
}

#[tokio::test]
async fn follow_ups_come_in_pages_by_their_messages() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    let about = |target: u64| [&target.to_be_bytes()[..], b"like"].concat();
    let mut rows = texts(4);
    for target in [4, 3, 4, 5, 2] {
        rows.push((MessageKind::REACTION, about(target)));
    }
    rows.push((MessageKind::EDIT, about(3)));
    say(&api, &chat, &people[0], &rows).await;
    let first = seqs(&page(&api, &people[0], &chat, "after=0").await.good())[0] + 1;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("GET /v1/conversations/{chat}/follow_ups?from=3&upto=5&limit=2{after}");
        let part = api.by(&people[1], &path, Value::Null).await.good();
        found.extend(seqs(&part));
        match part["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(found, [7, 11, 6, 8, 9].map(|place| place + first - 2));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    for (query, status, code) in [
        ("before=1&after=2", 422, "invalid"),
        ("around=1&at=2", 422, "invalid"),
        ("limit=0", 422, "invalid"),
        ("limit=501", 422, "invalid"),
        ("before=x", 400, "bad_request"),
        ("before=-1", 400, "bad_request"),
        ("sideways=1", 400, "bad_request"),
    ] {
        page(&api, &people[0], &chat, query).await.is(status, code);
    }
    page(&api, &people[0], "nothing", "").await.is(400, "bad_request");
    for (query, status, code) in [
        ("from=1&upto=2&after=3", 422, "invalid"),
        ("from=1&upto=2&limit=0", 422, "invalid"),
        ("from=1", 400, "bad_request"),
    ] {
        let path = format!("GET /v1/conversations/{chat}/follow_ups?{query}");
        api.by(&people[0], &path, Value::Null).await.is(status, code);
    }
}

/// The owner's to say; it shows in the group, and is told in its row.
#[tokio::test]
async fn how_long_a_group_keeps_messages_is_its_owners_to_say() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    api.add(&group, &[&people[1]]).await;
    api.act(&people[0], &group, "role", json!({"user": people[1].id, "role": "admin"})).await.good();
    let path = format!("PATCH /v1/groups/{group}");
    let keep = json!({"keep": {"age_s": 86_400, "messages": 1000}});
    api.by(&people[1], &path, keep.clone()).await.is(403, "forbidden");
    let both = json!({"name": "Owls", "keep": {"age_s": 1, "messages": 0}});
    api.by(&people[1], &path, both).await.is(403, "forbidden");
    let settled = api.by(&people[0], &path, keep.clone()).await.good();
    assert_eq!(settled["keep"], keep["keep"]);
    let seen = api.see(&people[1], &group).await.good();
    assert_eq!((&seen["group"]["keep"], &seen["group"]["name"]), (&keep["keep"], &json!("Birds")));
    api.by(&people[0], &path, keep).await.is(409, "not_applicable");
    api.by(&people[0], &path, json!({"keep": {"age_s": 5}})).await.is(400, "bad_request");
}

/// Page by page, by the user and by the administrator alike; nothing that others said, and no key.
#[tokio::test]
async fn what_is_kept_of_a_user_is_theirs_to_take_along() {
    let api = Api::new();
    let people = api.people("p", 3).await;
    let chat = api.befriend(&people[0], &people[1]).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    api.add(&group, &[&people[1]]).await;
    say(&api, &chat, &people[0], &texts(3)).await;
    say(&api, &chat, &people[1], &texts(2)).await;
    say(&api, &group, &people[1], &texts(4)).await;
    api.by(&people[1], &format!("PUT /v1/conversations/{chat}/settings"), json!({"pinned": true})).await.good();
    let own = api.by(&people[1], "GET /v1/account/export", Value::Null).await.good();
    let account = &own["account"];
    assert_eq!(account["user"]["id"], people[1].id);
    assert_eq!(account["relations"][0]["conversation_id"], chat);
    assert_eq!((&account["groups"][0]["name"], &account["groups"][0]["role"]), (&json!("Birds"), &json!("member")));
    assert_eq!(
        (account["settings"].as_array().map(Vec::len), account["devices"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
    assert!(!own.to_string().contains("\"keys\""), "keys are asked for elsewhere");
    let said = own["messages"].as_array().expect("a list");
    assert_eq!(said.len(), 6);
    assert!(said.iter().all(|one| one["message"]["sender"] == people[1].id));
    let by_admin = api.admin(&format!("GET /v1/admin/users/{}/export", people[1].id), Value::Null).await.good();
    assert_eq!(by_admin, own);
    let behind = format!("GET /v1/account/export?after={chat}.999");
    let rest = api.by(&people[1], &behind, Value::Null).await.good();
    assert!(rest["account"].is_null() && rest["messages"].as_array().is_some_and(|said| said.len() <= 4));
    api.by(&people[1], "GET /v1/account/export?after=x", Value::Null).await.is(422, "invalid");
    api.admin("GET /v1/admin/users/999/export", Value::Null).await.is(404, "no_such_user");
    api.by(&people[1], "GET /v1/admin/users/1/export", Value::Null).await.is(401, "unauthenticated");
}

/// The account is gone, and what was said is noted to be erased; without asking for it nothing is.
#[tokio::test]
async fn who_deletes_their_account_may_have_erased_what_they_said() {
    let api = Api::new();
    let people = [api.register("anna").await, api.register("bert").await, api.register("cleo").await];
    let erasures = async || api.store.erasures(9).await.expect("answers");
    let form = |erase: Value| json!({"password": crate::support::PASSWORD, "erase": erase});
    let plain = json!({"password": crate::support::PASSWORD});
    assert_eq!(api.by(&people[0], "DELETE /v1/account", plain).await.status, 204);
    assert!(erasures().await.is_empty());
    assert_eq!(api.by(&people[1], "DELETE /v1/account", form(json!(true))).await.status, 204);
    assert_eq!(erasures().await, [UserId(people[1].id)]);
    let erase = format!("POST /v1/admin/users/{}/erase", people[0].id);
    assert_eq!(api.admin(&erase, Value::Null).await.status, 202);
    assert_eq!(erasures().await, [UserId(people[0].id), UserId(people[1].id)], "also of an account that is gone");
    api.by(&people[2], &erase, Value::Null).await.is(401, "unauthenticated");
}
