//! Whatever is wrong with a request, the answer has the one shape.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Api, PASSWORD};

fn raw(what: &str, kind: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let (method, path) = what.split_once(' ').expect("method and path");
    let request = Request::builder().method(method).uri(path);
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    request.body(body.into()).expect("a request")
}

#[tokio::test]
async fn what_is_not_in_the_documented_form_is_a_bad_request() {
    let api = Api::new();
    let secret = "hunter2 hunter2";
    let deep = format!("{{\"handle\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for body in [
        "",
        "{",
        "nonsense",
        "[]",
        "null",
        r#"{"handle":"anna"}"#,
        r#""hunter2 hunter2""#,
        r#"{"handle":"anna","password":"hunter2 hunter2","admin":true}"#,
        r#"{"handle":"anna","handle":"bert","password":"hunter2 hunter2"}"#,
        r#"{"handle":7,"password":"hunter2 hunter2"}"#,
        r#"{"handle":"anna","password":["hunter2 hunter2"]}"#,
        r#"{"handle":"anna","password":"hunter2 hunter2","device_id":"hunter2 hunter2"}"#,
        r#"{"handle":"anna","password":"hunter2 hunter2"} trailing"#,
        &deep,
    ] {
        let answer = api.send(raw("POST /v1/register", Some("application/json"), body.to_owned())).await;
        answer.is(400, "bad_request");
        assert!(!answer.body.to_string().contains(secret), "no answer quotes a password: {}", answer.body);
    }
    let invalid_utf8 = raw("POST /v1/register", Some("application/json"), vec![b'"', 0xff, b'"']);
    api.send(invalid_utf8).await.is(400, "bad_request");
}

#[tokio::test]
async fn other_faults_have_codes_of_their_own() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let body = json!({"handle": "bert", "password": PASSWORD}).to_string();
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        api.send(raw("POST /v1/register", kind, body.clone())).await.is(415, "unsupported_media_type");
    }
    let with_charset = raw("POST /v1/register", Some("application/json; charset=utf-8"), body);
    assert_eq!(api.send(with_charset).await.status, 201);
    api.call("GET /v1/nothing", None, Value::Null).await.is(404, "not_found");
    api.call("GET /", None, Value::Null).await.is(404, "not_found");
    let wrong_method = api.call("PUT /v1/me", Some(&anna.access), Value::Null).await;
    wrong_method.is(405, "method_not_allowed");
    for what in [
        "GET /v1/users/x",
        "GET /v1/users/-1",
        "GET /v1/users",
        "GET /v1/users?handle=a&x=1",
        "GET /v1/relations?limit=x",
        "DELETE /v1/devices/x",
        "GET /v1/users/99999999999999999999",
    ] {
        api.call(what, Some(&anna.access), Value::Null).await.is(400, "bad_request");
    }
    api.call("GET /v1/users?handle=nobody", Some(&anna.access), Value::Null).await.is(404, "no_such_user");
    api.call("GET /v1/users/18446744073709551615", Some(&anna.access), Value::Null).await.is(404, "no_such_user");
    api.call("POST /v1/logout", Some(&anna.access), json!({"everything": true})).await.is(400, "bad_request");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large_whether_announced_or_not() {
    let api = Api::new();
    let long = format!(r#"{{"handle":"anna","password":"{}"}}"#, "x".repeat(65_536));
    api.send(raw("POST /v1/register", Some("application/json"), long.clone())).await.is(413, "too_large");
    let chunks = long.into_bytes().chunks(1000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let stream = Body::from_stream(Chunks(chunks.into_iter()));
    api.send(raw("POST /v1/register", Some("application/json"), stream)).await.is(413, "too_large");
    let anna = api.register("anna").await;
    let mut request = raw("POST /v1/logout", None, "x".repeat(65_537));
    request.headers_mut().insert("authorization", format!("Bearer {}", anna.access).parse().expect("a value"));
    api.send(request).await.is(413, "too_large");
}

/// A body whose length nobody announces.
struct Chunks(std::vec::IntoIter<Vec<u8>>);

impl futures_util::Stream for Chunks {
    type Item = Result<Vec<u8>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next().map(Ok))
    }
}

#[tokio::test]
async fn an_unacceptable_value_is_named_by_its_field() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let good = json!({"handle": "bert", "password": PASSWORD});
    let long = |n| json!("x".repeat(n));
    for (field, value) in [
        ("handle", json!("")),
        ("handle", json!("b")),
        ("handle", json!("Bert")),
        ("handle", json!("-bert")),
        ("handle", json!("bert!")),
        ("handle", long(33)),
        ("password", json!("short77")),
        ("password", long(257)),
        ("display_name", json!("")),
        ("display_name", json!("  ")),
        ("display_name", json!("a\u{0}b")),
        ("display_name", long(65)),
        ("platform", long(33)),
        ("device_name", long(65)),
        ("device_id", json!("00000000-0000-0000-0000-000000000000")),
    ] {
        let mut form = good.clone();
        form[field] = value;
        let answer = api.call("POST /v1/register", None, form).await;
        answer.is(422, "invalid");
        assert_eq!(answer.body["field"], field);
    }
    for avatar in ["javascript:alert(1)", "https://a b", &format!("https://{}", "x".repeat(512))] {
        let answer = api.call("PATCH /v1/me", Some(&anna.access), json!({"avatar": avatar})).await;
        answer.is(422, "invalid");
        assert_eq!(answer.body["field"], "avatar");
    }
    let taken = api.call("POST /v1/register", None, json!({"handle": "anna", "password": PASSWORD})).await;
    taken.is(409, "handle_taken");
    assert_eq!(taken.body["field"], "handle");
    let umlauts = json!({"handle": "bert", "password": "ä".repeat(8), "display_name": "Bärbel"});
    assert_eq!(api.call("POST /v1/register", None, umlauts).await.status, 201, "characters count, not bytes");
}

#[tokio::test]
async fn a_request_keeps_its_id_if_that_is_a_plain_one() {
    let api = Api::new();
    let ask = |id: &str| {
        Request::builder().uri("/healthz").header("x-request-id", id).body(Body::empty()).expect("a request")
    };
    assert_eq!(api.send(ask("abc-123")).await.headers["x-request-id"], "abc-123");
    for odd in ["a b", &"x".repeat(65), "<script>"] {
        let id = api.send(ask(odd)).await.headers["x-request-id"].clone();
        assert_eq!(id.len(), 36, "a new one instead of {odd}");
    }
}
