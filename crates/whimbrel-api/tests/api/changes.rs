//! Nobody gets more of the writer than a rate, and nobody has two changes under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Api, Person, request};

/// Sends all at once; says how many went well, while the others were refused with a time to come back within `longest`
/// seconds.
async fn made(api: &Arc<Api>, who: &Person, changes: Vec<(String, Value)>, longest: u64) -> usize {
    let mut tasks = JoinSet::new();
    for (what, body) in changes {
        let (api, request) = (api.clone(), request(&what, Some(&who.access), body));
        tasks.spawn(async move { api.send(request).await });
    }
    let mut made = 0;
    for answer in tasks.join_all().await {
        if answer.status.is_success() {
            made += 1;
            continue;
        }
        answer.is(429, "too_many_attempts");
        assert!(answer.retry_after().is_some_and(|seconds| (1..=longest).contains(&seconds)), "{:?}", answer.headers);
    }
    made
}

fn profiles(count: usize) -> Vec<(String, Value)> {
    (0..count).map(|n| ("PATCH /v1/me".to_owned(), json!({"display_name": format!("Anna {n}")}))).collect()
}

#[tokio::test]
async fn profile_changes_have_a_rate() {
    let api = Arc::new(Api::new());
    let anna = api.register("anna").await;
    let began = Instant::now();
    let made = made(&api, &anna, profiles(100), 10).await;
    let earned = began.elapsed().as_secs() as usize / 10;
    assert!((3..=3 + earned).contains(&made), "{made} changes");
    let bert = api.register("bert").await;
    api.call("PATCH /v1/me", Some(&bert.access), json!({"display_name": "Bert"})).await.good();
}

#[tokio::test]
async fn relation_changes_have_a_rate_and_those_of_the_administrator_have_none() {
    // Idea: blocks of one stranger, then unused; the administrator makes more friends of the same user than that.
    let api = Arc::new(Api::new());
    let (anna, bert) = (api.register("anna").await, api.register("bert").await);
    let began = Instant::now();
    let blocks = vec![(format!("POST /v1/relations/{}/block", bert.id), Value::Null); 100];
    let made = made(&api, &anna, blocks, 1).await;
    let earned = began.elapsed().as_secs() as usize;
    assert!((30..=30 + earned).contains(&made), "{made} changes");

    let users: Vec<Value> = (0..50).map(|n| json!({"handle": format!("friend{n}")})).collect();
    let users = api.admin("POST /v1/admin/users", json!({"users": users})).await.good();
    let pairs: Vec<Value> =
        users["users"].as_array().expect("users").iter().map(|user| json!([anna.id, user["user"]["id"]])).collect();
    let befriended = api.admin("POST /v1/admin/relations", json!({"pairs": pairs})).await.good();
    let all = befriended["pairs"].as_array().expect("pairs").iter().all(|pair| pair["conversation_id"].is_string());
    assert!(all, "{befriended}");
    api.admin(&format!("DELETE /v1/admin/users/{}", anna.id), Value::Null).await.good();
}

#[tokio::test]
async fn log_outs_have_a_rate() {
    let api = Arc::new(Api::new());
    let anna = api.register("anna").await;
    for _ in 0..30 {
        let nobody = format!("DELETE /v1/devices/{}", uuid());
        api.call(&nobody, Some(&anna.access), Value::Null).await.is(404, "no_such_device");
    }
    let began = Instant::now();
    loop {
        let answer = api.call(&format!("DELETE /v1/devices/{}", uuid()), Some(&anna.access), Value::Null).await;
        if answer.status == 429 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "never refused");
    }
}

fn uuid() -> &'static str {
    "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77"
}

#[tokio::test]
async fn changes_of_one_user_are_made_one_after_another_and_others_do_not_wait() {
    // Idea: being told takes a while, and three changes of one user take three times as long, one of another's once.
    let api = Arc::new(Api::new());
    let (anna, bert) = (api.register("anna").await, api.register("bert").await);
    let slow = Duration::from_millis(400);
    *api.recorder.delay.lock().expect("not poisoned") = slow;
    let began = Instant::now();
    let annas = async {
        assert_eq!(made(&api, &anna, profiles(3), 10).await, 3);
        began.elapsed()
    };
    let berts = async {
        assert_eq!(made(&api, &bert, profiles(1), 10).await, 1);
        began.elapsed()
    };
    let (annas, berts) = tokio::join!(annas, berts);
    assert!(annas >= 3 * slow, "{annas:?}");
    assert!(berts < annas, "{berts:?} after {annas:?}");
}
