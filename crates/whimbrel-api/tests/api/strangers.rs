//! What the API answers somebody without a token: nearly nothing.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use whimbrel_api::{Config, MetricsAccess};
use whimbrel_core::{DeviceId, UserId};
use whimbrel_rpc::token::Bearer;

use crate::support::{ADMIN_KEY, Api, DOCUMENT, config, request};

/// All that anybody may ask.
const OPEN: [&str; 6] =
    ["post /v1/register", "post /v1/login", "post /v1/refresh", "get /healthz", "get /readyz", "get /openapi.json"];

/// Every operation of the document, with its parameters filled in.
fn operations() -> Vec<(String, String)> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let filled = path.replace("{user}", "1").replace("{id}", "1").replace("{action}", "accept");
            let filled = filled.replace("{handle}", "birds").replace("{seq}", "1");
            operations.push((format!("{method} {path}"), format!("{} {filled}", method.to_uppercase())));
        }
    }
    assert!(operations.len() >= 50, "the whole document");
    operations
}

#[tokio::test]
async fn nothing_but_the_open_list_answers_without_a_token() {
    // Idea: walk the whole document, with no token, garbage, a token of another server, and each other's kind of key.
    let api = Api::new();
    let foreign = whimbrel_rpc::token::TokenKey::new(&vec![9; 32].into()).issue(Bearer {
        user: UserId(1),
        device: DeviceId::generate(),
        expires_at: 4_000_000_000,
    });
    for (name, what) in operations() {
        if name == "get /metrics" {
            api.send_from("9.9.9.9", request(&what, None, Value::Null)).await.is(403, "forbidden");
            continue;
        }
        if OPEN.contains(&&*name) {
            let answer = api.call(&what, None, Value::Null).await;
            assert!(!["unauthenticated", "logged_out"].contains(&answer.code()), "{name}: {}", answer.body);
            continue;
        }
        for token in [None, Some(""), Some("garbage"), Some(&*foreign)] {
            let answer = api.call(&what, token, Value::Null).await;
            answer.is(401, "unauthenticated");
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{name}");
        }
    }
}

#[tokio::test]
async fn a_users_token_is_no_administrators_key_nor_the_reverse() {
    let api = Api::new();
    let anna = api.register("anna").await;
    for (name, what) in operations() {
        if OPEN.contains(&&*name) || name == "get /metrics" {
            continue;
        }
        let wrong = if name.contains("/admin/") { &*anna.access } else { ADMIN_KEY };
        api.call(&what, Some(wrong), Value::Null).await.is(401, "unauthenticated");
    }
}

#[tokio::test]
async fn without_an_administrators_key_there_is_no_administration() {
    let api = Api::with(Config { admin_key: None, ..config() });
    for key in [None, Some(""), Some(ADMIN_KEY)] {
        api.call("POST /v1/admin/users", key, json!({"users": [{"handle": "x1"}]})).await.is(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_expired_token_is_told_apart() {
    let api = Api::new();
    let bearer = Bearer { user: UserId(1), device: DeviceId::generate(), expires_at: 1_000_000_000 };
    api.call("GET /v1/me", Some(&api.tokens.issue(bearer)), Value::Null).await.is(401, "token_expired");
}

#[tokio::test]
async fn metrics_are_for_this_machine_unless_configured() {
    let api = Api::new();
    let metrics = || request("GET /metrics", None, Value::Null);
    assert_eq!(api.send_from("127.0.0.1", metrics()).await.good(), "whimbrel_up 1\n");
    let through_a_proxy = Request::builder().uri("/metrics").header("x-forwarded-for", "9.9.9.9");
    api.send(through_a_proxy.body(Body::empty()).expect("a request")).await.is(403, "forbidden");
    let open = Api::with(Config { metrics: MetricsAccess::Everyone, ..config() });
    open.send_from("9.9.9.9", metrics()).await.good();
}

#[tokio::test]
async fn closed_registration_is_closed_to_all_but_the_administrator() {
    let api = Api::with(Config { registration: whimbrel_api::Registration::Closed, ..config() });
    let form = json!({"handle": "anna", "password": "correct horse"});
    api.call("POST /v1/register", None, form).await.is(403, "registration_closed");
    let users = json!({"users": [{"handle": "anna", "password": "correct horse"}]});
    api.admin("POST /v1/admin/users", users).await.good();
    api.login("anna", "correct horse").await.good();
}

#[tokio::test]
async fn only_configured_origins_may_read_answers() {
    let api = Api::with(Config { allowed_origins: vec!["https://chat.example.com".into()], ..config() });
    let ask = |origin: &str, method: &str| {
        let request = Request::builder().method(method).uri("/v1/me").header("origin", origin);
        request.header("access-control-request-method", "GET").body(Body::empty()).expect("a request")
    };
    let allowed = api.send(ask("https://chat.example.com", "OPTIONS")).await;
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://chat.example.com");
    let allowed = api.send(ask("https://chat.example.com", "GET")).await;
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://chat.example.com");
    for method in ["OPTIONS", "GET"] {
        let other = api.send(ask("https://evil.example.com", method)).await;
        assert!(!other.headers.contains_key("access-control-allow-origin"));
    }
    let own_only = Api::new();
    assert!(
        !own_only
            .send(ask("https://chat.example.com", "GET"))
            .await
            .headers
            .contains_key("access-control-allow-origin")
    );
}

#[tokio::test]
async fn readiness_ends_when_the_server_is_about_to_stop_and_when_the_store_is_away() {
    let api = Api::new();
    let ready = async || api.call("GET /readyz", None, Value::Null).await;
    assert_eq!(ready().await.good(), json!({"status": "ready"}));
    api.role.drain();
    ready().await.is(503, "unavailable");
    api.call("GET /healthz", None, Value::Null).await.good();
    let api = Api::new();
    api.close().await;
    let away = api.call("GET /readyz", None, Value::Null).await;
    away.is(503, "unavailable");
    assert_eq!(away.body["message"], "the store is away", "nothing of the inside is told");
    let away = api.call("POST /v1/refresh", None, json!({"refresh_token": "x"})).await;
    away.is(503, "unavailable");
    assert!(away.retry_after().is_some());
}
