//! Many at once, each answered for itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use whimbrel_core::GoodbyeCode;

use crate::support::{Api, PASSWORD};

#[tokio::test]
async fn users_are_created_together_and_fail_alone() {
    let api = Api::new();
    let users = json!({"users": [{"handle": "anna", "display_name": "Anna", "password": PASSWORD}, {"handle": "Bert!"},
        {"handle": "carol"}, {"handle": "anna"}, {"handle": "dora", "password": "short"}]});
    let answer = api.admin("POST /v1/admin/users", users).await.good();
    let seen: Vec<_> = answer["users"].as_array().expect("a list").iter().map(outcome).collect();
    assert_eq!(seen, ["Anna", "invalid", "carol", "handle_taken", "invalid"]);
    api.login("anna", PASSWORD).await.good();
}

fn outcome(one: &Value) -> String {
    let text = one["user"]["display_name"].as_str().or_else(|| one["error"]["code"].as_str());
    text.unwrap_or("neither").to_owned()
}

async fn thousand(api: &Api) -> Vec<u64> {
    let users: Vec<_> = (0..1000).map(|n| json!({"handle": format!("user{n}")})).collect();
    let answer = api.admin("POST /v1/admin/users", json!({"users": users})).await.good();
    answer["users"].as_array().expect("a list").iter().map(|u| u["user"]["id"].as_u64().expect("an id")).collect()
}

#[tokio::test]
async fn a_thousand_at_once_get_accounts_tokens_and_friends() {
    let api = Api::new();
    let ids = thousand(&api).await;
    let tokens: Vec<_> = ids.iter().map(|id| json!({"user": id, "platform": "load", "ttl_s": 86_400})).collect();
    let answer = api.admin("POST /v1/admin/tokens", json!({"tokens": tokens})).await.good();
    let tokens = answer["tokens"].as_array().expect("a list").clone();
    assert_eq!(tokens.len(), 1000);
    assert!(tokens.iter().zip(&ids).all(|(token, id)| token["user"] == *id));
    assert_eq!(api.recorder.take_rows().len(), 1000, "each new device is told of");

    let pairs: Vec<_> = ids.iter().zip(ids.iter().cycle().skip(1)).map(|(a, b)| json!([a, b])).collect();
    let answer = api.admin("POST /v1/admin/relations", json!({"pairs": pairs})).await.good();
    let befriended = answer["pairs"].as_array().expect("a list");
    assert!(befriended.iter().all(|pair| pair["conversation_id"].is_string()), "{answer}");
    let token = tokens[7]["access_token"].as_str().expect("a token");
    let relations = api.call("GET /v1/relations", Some(token), Value::Null).await.good();
    let friends: Vec<_> = relations["relations"].as_array().expect("a list").iter().map(|r| &r["state"]).collect();
    assert_eq!(friends, ["friends", "friends"]);
}

#[tokio::test]
async fn more_than_a_thousand_or_none_are_refused() {
    let api = Api::new();
    for (what, field, one) in [
        ("POST /v1/admin/users", "users", json!({"handle": "x1"})),
        ("POST /v1/admin/tokens", "tokens", json!({"user": 1})),
        ("POST /v1/admin/relations", "pairs", json!([1, 2])),
    ] {
        for count in [0, 1001] {
            let answer = api.admin(what, json!({field: vec![one.clone(); count]})).await;
            answer.is(422, "invalid");
            assert_eq!(answer.body["field"], field);
        }
    }
}

#[tokio::test]
async fn tokens_are_issued_for_the_asked_time_and_fail_alone() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let asked = json!({"tokens": [{"user": anna.id, "ttl_s": 60}, {"user": 999}, {"user": anna.id, "ttl_s": 86_401},
        {"user": anna.id, "ttl_s": 0}, {"user": anna.id, "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77"}]});
    let answer = api.admin("POST /v1/admin/tokens", asked).await.good();
    let tokens = answer["tokens"].as_array().expect("a list");
    let codes: Vec<_> = tokens.iter().map(|token| token["error"]["code"].as_str().unwrap_or("fine")).collect();
    assert_eq!(codes, ["fine", "no_such_user", "invalid", "invalid", "fine"]);
    let bearer = api.tokens.check(tokens[0]["access_token"].as_str().expect("a token")).expect("a good one");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!((now + 50..=now + 60).contains(&bearer.expires_at));
    assert_eq!(tokens[0]["access_expires_at"], bearer.expires_at * 1000);
    assert_eq!(tokens[4]["device_id"], "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77");
    let token = tokens[4]["access_token"].as_str().expect("a token");
    api.call("GET /v1/me", Some(token), Value::Null).await.good();
}

#[tokio::test]
async fn befriending_completes_whatever_the_two_had_begun() {
    let api = Api::new();
    let (a, b, c, d) =
        (api.register("a1").await, api.register("b1").await, api.register("c1").await, api.register("d1").await);
    api.relate(&a, "request", &b).await.good();
    api.relate(&c, "request", &a).await.good();
    api.relate(&d, "block", &b).await.good();
    let pairs = json!([[a.id, b.id], [a.id, c.id], [a.id, d.id], [a.id, a.id], [b.id, d.id], [a.id, 999]]);
    let befriend = async || api.admin("POST /v1/admin/relations", json!({"pairs": pairs})).await.good();
    let first = befriend().await;
    let codes: Vec<_> =
        first["pairs"].as_array().expect("a list").iter().map(|p| p["error"]["code"].as_str()).collect();
    assert_eq!(codes, [None, None, None, Some("not_applicable"), Some("blocked"), Some("no_such_user")]);
    assert!(!api.recorder.take_rows().is_empty());
    assert_eq!(befriend().await, first, "friends stay friends");
}

#[tokio::test]
async fn an_account_is_deleted_by_the_administrator() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let what = format!("DELETE /v1/admin/users/{}", anna.id);
    assert_eq!(api.admin(&what, Value::Null).await.status, 204);
    assert_eq!(api.recorder.take_revoked()[0].code, GoodbyeCode::ACCOUNT_GONE);
    api.admin(&what, Value::Null).await.is(404, "no_such_user");
}

#[tokio::test]
async fn the_administrators_bodies_may_be_longer_but_not_endless() {
    let api = Api::new();
    let name = "x".repeat(64);
    let users: Vec<_> = (0..900).map(|n| json!({"handle": format!("u{n}"), "display_name": name})).collect();
    let body = json!({"users": users});
    assert!(body.to_string().len() > 64 * 1024);
    let answer = tokio::time::timeout(Duration::from_secs(30), api.admin("POST /v1/admin/users", body)).await;
    answer.expect("in time").good();
    let endless = json!({"users": [{"handle": "x".repeat(1 << 20)}]});
    api.admin("POST /v1/admin/users", endless).await.is(413, "too_large");
}
