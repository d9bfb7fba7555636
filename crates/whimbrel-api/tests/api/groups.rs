//! A group from its beginning to its end, and what others see of it.

use serde_json::{Value, json};
use whimbrel_core::{Audience, Cursors, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::{CursorWrite, NewRow, PlaceBatch};

use crate::support::{Api, Person};

/// A time that is not soon over.
const LATER: u64 = 4_000_000_000_000;

/// The kinds of the rows that were announced, with the words of those in the group's own timeline.
fn told(api: &Api) -> (Vec<String>, Vec<UserId>) {
    let (mut words, mut users) = (Vec::new(), Vec::new());
    for row in api.recorder.take_rows() {
        match (row.message.kind, row.audience) {
            (MessageKind::GROUP, Audience::Group { revision, .. }) => {
                assert_eq!(revision, row.message.seq);
                assert_eq!(row.change.as_ref().map(|change| change.at), Some(revision));
                let body: Value = serde_json::from_slice(&row.message.body).expect("JSON");
                words.push(body["what"].as_str().expect("a word").to_owned());
            }
            (MessageKind::MEMBERSHIP, Audience::One(user)) => users.push(user),
            (kind, audience) => panic!("{kind:?} for {audience:?}"),
        }
    }
    users.sort_unstable();
    users.dedup();
    (words, users)
}

fn users(people: &[&Person]) -> Vec<UserId> {
    people.iter().map(|person| UserId(person.id)).collect()
}

async fn requests(api: &Api, who: &Person, what: &str) -> Vec<(String, u64)> {
    let page = api.by(who, what, Value::Null).await.good();
    let request =
        |one: &Value| (one["kind"].as_str().expect("a kind").to_owned(), one["user"]["id"].as_u64().expect("id"));
    page["requests"].as_array().expect("a list").iter().map(request).collect()
}

#[tokio::test]
async fn a_group_lives_from_its_creation_to_its_end() {
    // Idea: everything there is to do, once; what each step changed is read back, and who was told of it is checked.
    let api = Api::new();
    let people = api.people("p", 5).await;
    let [anna, bert, carol, dora, emil] = [0, 1, 2, 3, 4].map(|n| &people[n]);
    api.befriend(anna, bert).await;
    api.recorder.take_rows();
    let form = json!({"name": "Bird watchers", "announcement": "Bring binoculars.", "members": [bert.id, carol.id]});
    let group = api.group(anna, form).await;
    let created = told(&api);
    assert_eq!(created.0, ["created"]);
    assert!(created.1.contains(&UserId(bert.id)) && created.1.contains(&UserId(carol.id)), "{created:?}");
    let seen = api.see(bert, &group).await.good();
    assert_eq!((&seen["role"], &seen["group"]["size"]), (&json!("member"), &json!(2)), "friends are in it at once");
    assert_eq!(seen["group"]["announcement"], "Bring binoculars.");
    assert_eq!(seen["group"]["join"], "invitation");

    // Who is no friend is invited, and sees the group without what is for members.
    assert_eq!(requests(&api, carol, "GET /v1/groups/requests").await, [("invited".to_owned(), carol.id)]);
    let seen = api.see(carol, &group).await.good();
    assert_eq!((&seen["role"], &seen["group"]["announcement"]), (&Value::Null, &json!("")));
    let joined = api.act(carol, &group, "join", Value::Null).await.good();
    assert_eq!((&joined["size"], &joined["announcement"]), (&json!(3), &json!("Bring binoculars.")));
    assert_eq!(told(&api).0, ["joined"]);
    assert!(requests(&api, carol, "GET /v1/groups/requests").await.is_empty());

    // Settings, and the handle by which others find it.
    let path = format!("PATCH /v1/groups/{group}");
    let change =
        json!({"name": "Birds", "handle": "birds", "join": "approval", "listed": true, "avatar": "https://b/a"});
    let changed = api.by(anna, &path, change).await.good();
    assert_eq!(
        (&changed["handle"], &changed["join"], &changed["listed"]),
        (&json!("birds"), &json!("approval"), &json!(true))
    );
    assert_eq!(told(&api).0, ["settings"]);
    let found = api.by(dora, "GET /v1/groups/handle/birds", Value::Null).await.good();
    assert_eq!((&found["name"], &found["announcement"]), (&json!("Birds"), &json!("")));
    let found = api.by(dora, "GET /v1/groups/search?q=bir", Value::Null).await.good();
    assert_eq!(found["groups"].as_array().map(Vec::len), Some(1));

    // Asking, and the answers.
    let asked = api.act(dora, &group, "join", json!({"message": "It's Dora."})).await.good();
    assert_eq!(asked["size"], 3);
    let (words, whom) = told(&api);
    assert!(words.is_empty() && whom.contains(&UserId(anna.id)), "nothing changed for members: {words:?} {whom:?}");
    let waiting = api.by(anna, &format!("GET /v1/groups/{group}/requests"), Value::Null).await.good();
    assert_eq!(
        (&waiting["requests"][0]["message"], &waiting["requests"][0]["kind"]),
        (&json!("It's Dora."), &json!("asked"))
    );
    api.act(anna, &group, "reject", json!({"user": dora.id})).await.good();
    assert_eq!(told(&api).0, Vec::<String>::new());
    api.act(dora, &group, "join", Value::Null).await.good();
    api.act(anna, &group, "role", json!({"user": bert.id, "role": "admin"})).await.good();
    let (words, whom) = told(&api);
    assert_eq!(words, ["role"]);
    assert!(whom.contains(&UserId(bert.id)));
    assert_eq!(api.act(bert, &group, "approve", json!({"user": dora.id})).await.good()["size"], 4);
    let (words, whom) = told(&api);
    assert_eq!(words, ["joined"]);
    assert!(whom.contains(&UserId(dora.id)));

    // Mutes.
    api.act(bert, &group, "mute", json!({"user": carol.id, "until": u64::MAX})).await.good();
    assert_eq!(api.see(carol, &group).await.good()["muted_until"], 9_007_199_254_740_991_u64);
    api.act(bert, &group, "mute", json!({"user": carol.id, "until": 0})).await.good();
    let all = api.act(bert, &group, "mute_all", json!({"until": LATER})).await.good();
    assert_eq!(all["muted_until"], LATER);
    assert_eq!(told(&api).0, ["muted", "muted", "all_muted"]);

    // Going, by oneself and not; a new key each time, and none of it for those who went.
    api.act(carol, &group, "leave", Value::Null).await.good();
    let removed = api.act(bert, &group, "remove", json!({"user": dora.id})).await.good();
    assert_eq!((&removed["size"], &removed["key_version"]), (&json!(2), &json!(3)));
    assert_eq!(told(&api).0, ["left", "removed"]);
    let keys = async |who: &Person| {
        let page = api.by(who, &format!("GET /v1/groups/{group}/keys"), Value::Null).await.good();
        let keys = page["keys"].as_array().expect("a list").clone();
        assert!(keys.iter().all(|key| key["key"].as_str().map(str::len) == Some(44)));
        keys.iter().map(|key| key["version"].as_u64().expect("a version")).collect::<Vec<_>>()
    };
    assert_eq!((keys(anna).await, keys(carol).await, keys(dora).await), (vec![1, 2, 3], vec![1], vec![1, 2]));
    let seen = api.see(carol, &group).await.good();
    assert!(seen["until"].as_u64() > Some(0) && seen["group"]["announcement"] == "", "{seen}");

    // The owner stays until somebody else owns it.
    api.act(anna, &group, "leave", Value::Null).await.is(403, "forbidden");
    let given = api.act(anna, &group, "transfer", json!({"user": bert.id})).await.good();
    assert_eq!(given["owner"], bert.id);
    assert_eq!(api.see(anna, &group).await.good()["role"], "admin");
    api.act(anna, &group, "leave", Value::Null).await.good();
    assert_eq!(told(&api).0, ["owner", "left"]);
    let ended = api.act(bert, &group, "dissolve", Value::Null).await.good();
    assert!(ended["dissolved_at"].is_u64() && ended["handle"].is_null(), "{ended}");
    assert_eq!(told(&api).0, ["dissolved"]);
    api.see(emil, &group).await.is(404, "no_such_group");
    assert!(api.see(bert, &group).await.good()["group"]["dissolved_at"].is_u64());
    api.group(emil, json!({"name": "Others", "handle": "birds"})).await;
}

#[tokio::test]
async fn a_change_is_announced_before_it_is_answered() {
    // Idea: the recorder takes its time; if the answer came first, it would hold nothing yet.
    let api = Api::new();
    let people = api.people("p", 1).await;
    *api.recorder.delay.lock().expect("not poisoned") = std::time::Duration::from_millis(50);
    api.recorder.take_rows();
    api.group(&people[0], json!({"name": "Birds"})).await;
    assert!(!api.recorder.take_rows().is_empty());
}

#[tokio::test]
async fn only_those_who_may_know_of_a_group_see_it() {
    let api = Api::new();
    let people = api.people("p", 5).await;
    let [owner, invited, proposed, former, stranger] = [0, 1, 2, 3, 4].map(|n| &people[n]);
    let form = json!({"name": "Hidden birds", "handle": "hidden", "join": "approval"});
    let group = api.group(owner, form).await;
    api.add(&group, &[former]).await;
    api.act(owner, &group, "invite", json!({"users": [invited.id]})).await.good();
    api.act(former, &group, "invite", json!({"users": [proposed.id]})).await.good();
    api.act(former, &group, "leave", Value::Null).await.good();
    let by_handle = async |who| api.by(who, "GET /v1/groups/handle/hidden", Value::Null).await;
    for who in [owner, invited, former] {
        assert_eq!(api.see(who, &group).await.good()["group"]["name"], "Hidden birds");
        assert_eq!(by_handle(who).await.good()["id"], group);
    }
    for who in [proposed, stranger] {
        api.see(who, &group).await.is(404, "no_such_group");
        by_handle(who).await.is(404, "no_such_group");
        for part in ["members", "requests", "keys", "messages/1/read_by"] {
            api.by(who, &format!("GET /v1/groups/{group}/{part}"), Value::Null).await.is(404, "no_such_group");
        }
        assert!(requests(&api, who, "GET /v1/groups/requests").await.is_empty());
    }
    assert_eq!(requests(&api, owner, &format!("GET /v1/groups/{group}/requests")).await.len(), 2);
    // A proposal becomes an invitation with an admin's yes; then they know.
    api.act(owner, &group, "approve", json!({"user": proposed.id})).await.good();
    assert_eq!(api.see(proposed, &group).await.good()["role"], Value::Null);
    assert_eq!(requests(&api, proposed, "GET /v1/groups/requests").await.len(), 1);
    api.act(proposed, &group, "decline", Value::Null).await.good();
    api.see(proposed, &group).await.is(404, "no_such_group");
    let found = api.by(stranger, "GET /v1/groups/search?q=hidden", Value::Null).await.good();
    assert_eq!(found["groups"], json!([]));
    let others = api.by(former, "GET /v1/groups", Value::Null).await.good();
    assert_eq!(others["groups"][0]["group"]["id"], group, "who left still has it in the list");
}

#[tokio::test]
async fn groups_members_and_requests_come_page_by_page() {
    let api = Api::new();
    let people = api.people("p", 12).await;
    let owner = &people[0];
    let group = api.group(owner, json!({"name": "Birds", "join": "approval", "listed": true})).await;
    api.add(&group, &people[1..6].iter().collect::<Vec<_>>()).await;
    for asker in &people[6..11] {
        api.act(asker, &group, "join", Value::Null).await.good();
    }
    let mut groups = vec![group.clone()];
    for n in 0..4 {
        groups.push(api.group(owner, json!({"name": format!("Birds {n}"), "listed": true})).await);
        api.act(owner, &groups[n + 1], "invite", json!({"users": [people[11].id]})).await.good();
    }
    groups.sort();
    let all = async |who: &Person, what: &str, list: &str, key: fn(&Value) -> String| {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = api.by(who, &format!("{what}limit=2{after}"), Value::Null).await.good();
            let entries = page[list].as_array().expect("a list");
            assert!(entries.len() <= 2);
            seen.extend(entries.iter().map(key));
            if page["next"].is_null() {
                return seen;
            }
            after = format!("&after={}", page["next"].to_string().trim_matches('"'));
        }
    };
    let text = |value: &Value| value.to_string().trim_matches('"').to_owned();
    let ids = |people: &[Person]| people.iter().map(|person| person.id.to_string()).collect::<Vec<_>>();
    let of_user: fn(&Value) -> String = |one| one["user"]["id"].to_string();
    assert_eq!(all(owner, &format!("GET /v1/groups/{group}/members?"), "members", of_user).await, ids(&people[..6]));
    assert_eq!(
        all(owner, &format!("GET /v1/groups/{group}/requests?"), "requests", of_user).await,
        ids(&people[6..11])
    );
    let of_group: fn(&Value) -> String = |one| one["group"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(all(owner, "GET /v1/groups?", "groups", of_group).await, groups);
    let found: fn(&Value) -> String = |one| one["id"].as_str().expect("an id").to_owned();
    assert_eq!(all(&people[11], "GET /v1/groups/search?q=bir&", "groups", found).await, groups);
    let invited: fn(&Value) -> String = |one| one["group"].as_str().expect("an id").to_owned();
    let own = all(&people[11], "GET /v1/groups/requests?", "requests", invited).await;
    assert_eq!(own, groups.iter().filter(|id| **id != group).cloned().collect::<Vec<_>>());
    let whole = api.by(owner, &format!("GET /v1/groups/{group}/members"), Value::Null).await.good();
    assert_eq!((whole["members"].as_array().map(Vec::len), text(&whole["next"])), (Some(6), "null".to_owned()));
    assert_eq!(whole["members"][0]["role"], "owner");
    for limit in ["0", "501"] {
        for what in ["/v1/groups?", "/v1/groups/search?q=b&", "/v1/groups/requests?"] {
            api.by(owner, &format!("GET {what}limit={limit}"), Value::Null).await.is(422, "invalid");
        }
        for part in ["members", "requests", "keys", "messages/1/read_by"] {
            api.by(owner, &format!("GET /v1/groups/{group}/{part}?limit={limit}"), Value::Null)
                .await
                .is(422, "invalid");
        }
    }
}

#[tokio::test]
async fn the_administrator_fills_and_ends_groups_without_asking() {
    let api = Api::new();
    let people = api.people("p", 1000).await;
    let form = json!({"owner": people[0].id, "name": "All of us", "announcement": "Hello.", "history_for_all": true});
    let answer = api.admin("POST /v1/admin/groups", form).await;
    assert_eq!(answer.status, 201);
    let group = answer.text("id");
    assert_eq!(answer.body["announcement"], "Hello.");
    api.recorder.take_rows();
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    let add = async || api.admin(&format!("POST /v1/admin/groups/{group}/members"), json!({"users": ids})).await.good();
    let first = add().await;
    assert_eq!((&first["size"], &first["announcement"]), (&json!(1000), &json!("Hello.")));
    let (words, whom) = told(&api);
    assert_eq!((words, whom), (vec!["added".to_owned()], users(&people[1..].iter().collect::<Vec<_>>())));
    let seen = api.see(&people[999], &group).await.good();
    assert_eq!(seen["role"], "member");
    let keys = api.by(&people[999], &format!("GET /v1/groups/{group}/keys"), Value::Null).await.good();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.admin(&format!("DELETE /v1/admin/groups/{group}"), Value::Null).await.status, 204);
    assert!(api.see(&people[7], &group).await.good()["group"]["dissolved_at"].is_u64());
}

/// A message, as an archiver places it.
async fn say(api: &Api, who: &Person, group: &str, seq: Seq) {
    let message = Message {
        conversation: group.parse().expect("an id"),
        seq,
        sender: UserId(who.id),
        device: who.device.parse().expect("an id"),
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 0,
        body: "hello".into(),
        at: LATER,
    };
    let row = NewRow { message, hash: [7; 32], n: 1, own: 0, in_group: true };
    api.store.commit(PlaceBatch { rows: vec![row], cursors: Vec::new() }).await.expect("placed");
}

#[tokio::test]
async fn who_has_read_is_told_to_members() {
    // Idea: two who were in the group when the row was placed, one of whom reads it, and one who came later.
    let api = Api::new();
    let people = api.people("p", 5).await;
    let [anna, bert, carol, late, stranger] = [0, 1, 2, 3, 4].map(|n| &people[n]);
    for friend in [bert, carol] {
        api.befriend(anna, friend).await;
    }
    let form = json!({"name": "Birds", "listed": true, "members": [bert.id, carol.id]});
    let group = api.group(anna, form).await;
    say(&api, anna, &group, Seq(2)).await;
    api.add(&group, &[late]).await;
    let what = format!("GET /v1/groups/{group}/messages/2/read_by");
    let counts = |page: &Value| [&page["of"], &page["read"], &page["delivered"]].map(|n| n.as_u64().expect("a number"));
    let page = api.by(anna, &what, Value::Null).await.good();
    assert_eq!(counts(&page), [2, 0, 0], "{page}");
    let cursors = Cursors { delivered: Seq(3), read: Seq(2) };
    let write = CursorWrite { conversation: group.parse().expect("an id"), user: UserId(bert.id), cursors };
    api.store.commit(PlaceBatch { rows: Vec::new(), cursors: vec![write] }).await.expect("committed");
    let page = api.by(late, &what, Value::Null).await.good();
    assert_eq!((counts(&page), &page["readers"]), ([0, 0, 0], &json!([])), "who does not see it is told nothing of it");
    let page = api.by(carol, &what, Value::Null).await.good();
    assert_eq!(counts(&page), [2, 1, 1], "{page}");
    let readers = page["readers"].as_array().expect("a list");
    let of = |person: &Person| readers.iter().find(|one| one["user"]["id"] == person.id);
    assert_eq!(of(bert).map(|one| (&one["read"], &one["delivered"])), Some((&json!(2), &json!(3))), "{page}");
    assert_eq!(of(carol).map(|one| &one["read"]), Some(&json!(0)), "{page}");
    assert!(of(late).is_none(), "it was not said to those who came later: {page}");
    let first = api.by(anna, &format!("{what}?limit=1"), Value::Null).await.good();
    assert_eq!(first["readers"].as_array().map(Vec::len), Some(1));
    let rest = api.by(anna, &format!("{what}?after={}", first["next"]), Value::Null).await.good();
    assert_eq!(rest["readers"].as_array().map(Vec::len), Some(readers.len() - 1));
    api.by(stranger, &what, Value::Null).await.is(403, "forbidden");
    for nothing_said in [1, 99] {
        let what = format!("GET /v1/groups/{group}/messages/{nothing_said}/read_by");
        assert_eq!(counts(&api.by(anna, &what, Value::Null).await.good()), [0, 0, 0]);
    }
}

#[tokio::test]
async fn changes_of_groups_have_a_rate() {
    let api = Api::new();
    let people = api.people("p", 1).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    let mut made = 0_u64;
    loop {
        let answer = api.act(&people[0], &group, "mute_all", json!({"until": LATER + made})).await;
        if answer.status == 429 {
            assert!(answer.retry_after().is_some());
            break;
        }
        answer.good();
        made += 1;
        assert!(made < 1000, "never refused");
    }
    assert!(made >= 29);
}
