//! How one user has conversations shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use whimbrel_core::{Audience, MessageKind, UserId};

use crate::support::{Answer, Api, Person};

async fn change(api: &Api, who: &Person, conversation: &str, body: Value) -> Answer {
    api.by(who, &format!("PUT /v1/conversations/{conversation}/settings"), body).await
}

async fn list(api: &Api, who: &Person) -> Vec<Value> {
    let page = api.by(who, "GET /v1/conversations/settings", Value::Null).await.good();
    page["settings"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn each_part_changes_alone_and_is_read_back_and_taken_back() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let (anna, bert) = (&people[0], &people[1]);
    let id = api.befriend(anna, bert).await;
    assert!(list(&api, anna).await.is_empty());
    let draft = STANDARD.encode("hello");
    let mut seen = json!({"conversation_id": id, "pinned_at": 0, "muted_until": 0, "archived": false,
        "draft_key_version": 0, "draft": "", "cleared": 0, "hidden": 0});
    for (asked, expected) in [
        (json!({"muted_until": 1_790_000_000_000_u64}), json!({"muted_until": 1_790_000_000_000_u64})),
        (json!({"archived": true}), json!({"archived": true})),
        (json!({"draft": {"key_version": 1, "body": draft}}), json!({"draft_key_version": 1, "draft": draft})),
        (json!({"muted_until": u64::MAX}), json!({"muted_until": 9_007_199_254_740_991_u64})),
        (json!({"muted_until": 0, "archived": false}), json!({"muted_until": 0, "archived": false})),
        (json!({"draft": {"key_version": 0, "body": ""}}), json!({"draft_key_version": 0, "draft": ""})),
    ] {
        let mut answer = change(&api, anna, &id, asked.clone()).await.good();
        for (key, value) in expected.as_object().expect("parts") {
            seen[key] = value.clone();
        }
        assert_eq!(list(&api, anna).await, [answer.clone()]);
        assert!(
            answer.as_object_mut().expect("a setting").remove("changed_at").is_some_and(|at| at.as_u64() > Some(0))
        );
        assert_eq!(answer, seen, "{asked}");
    }
    let pinned = change(&api, anna, &id, json!({"pinned": true})).await.good();
    assert!(pinned["pinned_at"].as_u64() > Some(0));
    let unpinned = change(&api, anna, &id, json!({"pinned": false})).await.good();
    assert_eq!(unpinned["pinned_at"], 0);
    assert!(list(&api, bert).await.is_empty(), "nobody else's");
}

#[tokio::test]
async fn a_change_is_told_to_ones_own_devices_alone() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let id = api.befriend(&people[0], &people[1]).await;
    api.recorder.take_rows();
    change(&api, &people[0], &id, json!({"pinned": true})).await.good();
    let rows = api.recorder.take_rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message.kind, MessageKind::SETTING);
    assert_eq!(rows[0].audience, Audience::One(UserId(people[0].id)));
    let body: Value = serde_json::from_slice(&rows[0].message.body).expect("JSON");
    assert_eq!(body, json!({"conversation": id}));
}

#[tokio::test]
async fn clearing_and_deleting_move_the_beginning_to_the_end_for_oneself_alone() {
    let api = Api::new();
    let people = api.people("p", 3).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    api.add(&group, &[&people[1]]).await;
    let revision = api.see(&people[0], &group).await.good()["group"]["revision"].clone();
    let cleared = change(&api, &people[0], &group, json!({"clear": true})).await.good();
    assert_eq!((&cleared["cleared"], &cleared["hidden"]), (&revision, &json!(0)));
    let deleted = change(&api, &people[0], &group, json!({"delete": true})).await.good();
    assert_eq!((&deleted["cleared"], &deleted["hidden"]), (&revision, &revision));
    assert!(list(&api, &people[1]).await.is_empty());
    assert_eq!(api.see(&people[0], &group).await.good()["role"], "owner", "one is in it all the same");
}

#[tokio::test]
async fn conversations_that_one_was_never_in_cannot_be_set() {
    let api = Api::new();
    let people = api.people("p", 3).await;
    let direct = api.befriend(&people[0], &people[1]).await;
    let group = api.group(&people[0], json!({"name": "Birds", "listed": true})).await;
    let nowhere = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f";
    for id in [&*direct, &*group, nowhere] {
        change(&api, &people[2], id, json!({"pinned": true})).await.is(404, "no_such_conversation");
    }
    assert!(list(&api, &people[2]).await.is_empty());
    let private = api.recorder.take_rows();
    let private = private.iter().find(|row| row.audience == Audience::One(UserId(people[0].id))).expect("a row");
    let id = private.message.conversation.to_string();
    change(&api, &people[0], &id, json!({"pinned": true})).await.is(404, "no_such_conversation");
    // Who was in a group and left still has it in a list, and may put it away.
    api.add(&group, &[&people[2]]).await;
    api.act(&people[2], &group, "leave", Value::Null).await.good();
    change(&api, &people[2], &group, json!({"delete": true})).await.good();
}

#[tokio::test]
async fn what_is_wrong_with_a_setting_is_said() {
    let api = Api::new();
    let people = api.people("p", 2).await;
    let id = api.befriend(&people[0], &people[1]).await;
    for (body, field) in [
        (json!({}), None),
        (json!({"clear": false}), None),
        (json!({"draft": {"key_version": 1, "body": "no base64!"}}), Some("draft")),
        (json!({"draft": {"key_version": 1, "body": STANDARD.encode(vec![7; 16 * 1024 + 1])}}), Some("draft")),
    ] {
        let answer = change(&api, &people[0], &id, body).await;
        answer.is(422, "invalid");
        assert_eq!(answer.body["field"].as_str(), field);
    }
    let longest = json!({"draft": {"key_version": 1, "body": STANDARD.encode(vec![7; 16 * 1024])}});
    change(&api, &people[0], &id, longest).await.good();
    for body in [json!({"pinned": 1}), json!({"pin": true}), json!({"muted_until": -1}), json!({"draft": "x"})] {
        change(&api, &people[0], &id, body).await.is(400, "bad_request");
    }
    change(&api, &people[0], "x", json!({"pinned": true})).await.is(400, "bad_request");
    for limit in ["0", "501"] {
        let what = format!("GET /v1/conversations/settings?limit={limit}");
        api.by(&people[0], &what, Value::Null).await.is(422, "invalid");
    }
}

#[tokio::test]
async fn settings_are_listed_page_by_page_and_have_a_rate_of_their_own() {
    // Idea: more settings than one may change at once use up nothing of what relations may.
    let api = Api::new();
    let people = api.people("p", 8).await;
    let mut ids = Vec::new();
    for friend in &people[1..] {
        let id = api.befriend(&people[0], friend).await;
        change(&api, &people[0], &id, json!({"archived": true})).await.good();
        ids.push(id);
    }
    ids.sort();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let what = format!("GET /v1/conversations/settings?limit=3{after}");
        let page = api.by(&people[0], &what, Value::Null).await.good();
        let settings = page["settings"].as_array().expect("a list");
        assert!(settings.len() <= 3);
        seen.extend(settings.iter().map(|setting| setting["conversation_id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, ids);
    let mut refused = 0;
    while refused == 0 {
        let answer = change(&api, &people[0], &ids[0], json!({"archived": true})).await;
        refused += usize::from(answer.status == 429);
    }
    api.relate(&people[0], "block", &people[1]).await.good();
}
