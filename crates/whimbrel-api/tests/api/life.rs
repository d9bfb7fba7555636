//! An account from its beginning to its end, and whose devices are whose.

use serde_json::{Value, json};
use whimbrel_core::{GoodbyeCode, MessageKind, UserId};

use crate::support::{Api, PASSWORD, config, person};

#[tokio::test]
async fn an_account_lives_from_registering_to_deletion() {
    // Idea: one person does everything there is, and what each step changed is read back by another call.
    let api = Api::new();
    let form = json!({"handle": "anna", "password": PASSWORD, "display_name": "Anna", "platform": "linux",
        "device_name": "desk", "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77"});
    let answer = api.call("POST /v1/register", None, form).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["user"]["display_name"], "Anna");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let anna = person(&answer);
    assert_eq!(anna.device, "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77");
    assert_eq!(api.tokens.check(&anna.access).expect("a token").device.to_string(), anna.device);

    let changed = api.call("PATCH /v1/me", Some(&anna.access), json!({"avatar": "https://example.com/a.png"})).await;
    assert_eq!(changed.good()["avatar"], "https://example.com/a.png");
    let me = api.call("GET /v1/me", Some(&anna.access), Value::Null).await.good();
    assert_eq!((&me["display_name"], &me["avatar"]), (&json!("Anna"), &json!("https://example.com/a.png")));
    let by_id = api.call(&format!("GET /v1/users/{}", anna.id), Some(&anna.access), Value::Null).await.good();
    let by_handle = api.call("GET /v1/users?handle=anna", Some(&anna.access), Value::Null).await.good();
    assert_eq!((&by_id, &by_handle), (&me, &me));

    api.recorder.take_rows();
    let phone = person(&api.login("anna", PASSWORD).await);
    let rows = api.recorder.take_rows();
    assert_eq!(rows.len(), 1, "the new device is told of");
    assert_eq!(rows[0].message.kind, MessageKind::ACCOUNT);
    let devices = api.call("GET /v1/devices", Some(&phone.access), Value::Null).await.good();
    let current: Vec<_> = devices["devices"].as_array().expect("a list").iter().map(|d| &d["current"]).collect();
    assert_eq!(current, [false, true]);
    assert_eq!(devices["devices"][0]["platform"], "linux");

    let change = json!({"old": PASSWORD, "new": "battery staple"});
    let changed = api.call("POST /v1/password", Some(&phone.access), change).await.good();
    assert_eq!(changed, json!({"logged_out": [anna.device]}));
    let revoked = api.recorder.take_revoked();
    assert_eq!((revoked.len(), revoked[0].code), (1, GoodbyeCode::LOGGED_OUT));
    assert_eq!(revoked[0].device.map(|device| device.to_string()), Some(anna.device.clone()));
    api.call("GET /v1/me", Some(&anna.access), Value::Null).await.is(401, "logged_out");
    api.login("anna", PASSWORD).await.is(401, "bad_credentials");
    let desk = person(&api.login("anna", "battery staple").await);

    api.call("DELETE /v1/account", Some(&desk.access), json!({"password": PASSWORD})).await.is(401, "bad_credentials");
    api.recorder.take_revoked();
    let gone = api.call("DELETE /v1/account", Some(&desk.access), json!({"password": "battery staple"})).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    let revoked = api.recorder.take_revoked();
    let told = (revoked.len(), revoked[0].user, revoked[0].device, revoked[0].code);
    assert_eq!(told, (1, UserId(anna.id), None, GoodbyeCode::ACCOUNT_GONE));
    api.login("anna", "battery staple").await.is(401, "bad_credentials");
    let again = json!({"handle": "anna", "password": PASSWORD});
    api.call("POST /v1/register", None, again).await.is(409, "handle_taken");
}

#[tokio::test]
async fn the_token_of_a_deleted_account_opens_nothing() {
    // Idea: the token itself is good for minutes; every operation that asks for one is tried with it.
    let api = Api::new();
    let anna = api.register("anna").await;
    let bert = api.register("bert").await;
    api.call("GET /v1/me", Some(&anna.access), Value::Null).await.good();
    api.admin(&format!("DELETE /v1/admin/users/{}", anna.id), Value::Null).await.good();
    assert!(api.tokens.check(&anna.access).is_ok());
    for what in ["GET /v1/me", "GET /v1/devices", "GET /v1/relations", "POST /v1/logout", "GET /v1/users?handle=bert"] {
        api.call(what, Some(&anna.access), Value::Null).await.is(401, "logged_out");
    }
    api.relate(&anna, "request", &bert).await.is(401, "logged_out");
    api.call("PATCH /v1/me", Some(&anna.access), json!({"display_name": "x"})).await.is(401, "logged_out");
    api.call("POST /v1/refresh", None, json!({"refresh_token": anna.refresh})).await.is(401, "refresh_invalid");
    api.relate(&bert, "request", &anna).await.is(404, "no_such_user");
}

#[tokio::test]
async fn changes_fail_clearly_while_a_deleted_account_is_still_believed_in() {
    // Idea: another API deleted the account, so that this one's memory of the device is stale; the directory refuses.
    let api = Api::with(whimbrel_api::Config { recheck: std::time::Duration::from_secs(600), ..config() });
    let anna = api.register("anna").await;
    let bert = api.register("bert").await;
    api.call("GET /v1/me", Some(&anna.access), Value::Null).await.good();
    api.store.delete_user(UserId(anna.id), 1).await.expect("deleted");
    api.call("GET /v1/me", Some(&anna.access), Value::Null).await.is(404, "no_such_user");
    api.call("PATCH /v1/me", Some(&anna.access), json!({"display_name": "x"})).await.is(404, "no_such_user");
    api.relate(&anna, "request", &bert).await.is(404, "no_such_user");
    api.call("POST /v1/logout", Some(&anna.access), json!({"all": true})).await.is(404, "no_such_user");
    let change = json!({"old": PASSWORD, "new": PASSWORD});
    api.call("POST /v1/password", Some(&anna.access), change).await.is(404, "no_such_user");
    let relations = api.call("GET /v1/relations", Some(&anna.access), Value::Null).await.good();
    assert_eq!(relations["relations"], json!([]));
}

#[tokio::test]
async fn a_device_logs_out_itself_or_all_and_nobody_else_can() {
    let api = Api::new();
    let desk = api.register("anna").await;
    let phone = person(&api.login("anna", PASSWORD).await);
    let bert = api.register("bert").await;
    let foreign = format!("DELETE /v1/devices/{}", desk.device);
    api.call(&foreign, Some(&bert.access), Value::Null).await.is(404, "no_such_device");
    let seen = api.call("GET /v1/devices", Some(&bert.access), Value::Null).await.good();
    assert_eq!(seen["devices"].as_array().map(Vec::len), Some(1), "one's own only");
    api.call("GET /v1/me", Some(&desk.access), Value::Null).await.good();

    assert_eq!(api.call(&foreign, Some(&phone.access), Value::Null).await.status, 204);
    api.call("GET /v1/me", Some(&desk.access), Value::Null).await.is(401, "logged_out");
    api.call("POST /v1/refresh", None, json!({"refresh_token": desk.refresh})).await.is(401, "refresh_invalid");
    api.call(&foreign, Some(&phone.access), Value::Null).await.is(404, "no_such_device");

    let tablet = person(&api.login("anna", PASSWORD).await);
    assert_eq!(api.call("POST /v1/logout", Some(&tablet.access), Value::Null).await.status, 204);
    api.call("GET /v1/me", Some(&tablet.access), Value::Null).await.is(401, "logged_out");
    api.call("GET /v1/me", Some(&phone.access), Value::Null).await.good();
    api.recorder.take_revoked();
    assert_eq!(api.call("POST /v1/logout", Some(&phone.access), json!({"all": true})).await.status, 204);
    let revoked = api.recorder.take_revoked();
    assert_eq!(revoked.iter().map(|r| r.code).collect::<Vec<_>>(), [GoodbyeCode::LOGGED_OUT]);
    api.call("GET /v1/me", Some(&phone.access), Value::Null).await.is(401, "logged_out");
    api.call("GET /v1/me", Some(&bert.access), Value::Null).await.good();
}

#[tokio::test]
async fn nobody_has_more_devices_than_the_limit() {
    let api = Api::new();
    api.register("anna").await;
    for _ in 1..whimbrel_core::limits::DEVICES_MAX {
        api.login("anna", PASSWORD).await.good();
    }
    api.login("anna", PASSWORD).await.is(409, "too_many_devices");
}

#[tokio::test]
async fn an_account_without_a_password_never_logs_in_by_itself() {
    let api = Api::new();
    api.admin("POST /v1/admin/users", json!({"users": [{"handle": "robot"}]})).await.good();
    api.login("robot", "").await.is(401, "bad_credentials");
    api.login("robot", PASSWORD).await.is(401, "bad_credentials");
}

#[tokio::test]
async fn passwords_rest_as_argon2id_and_tokens_as_hashes() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let hash = api.store.password_hash(UserId(anna.id)).await.expect("a store");
    assert!(hash.flatten().is_some_and(|hash| hash.starts_with("$argon2id$")));
    api.close().await;
    for path in crate::files::walk(api.folder()) {
        let bytes = std::fs::read(path).expect("a file");
        for secret in [PASSWORD, &anna.refresh, &anna.access] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}
