//! Refresh tokens: rotation, repetition, theft.

use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_core::GoodbyeCode;

use crate::support::{Answer, Api, PASSWORD, config, person};

async fn refresh(api: &Api, token: &str) -> Answer {
    api.call("POST /v1/refresh", None, json!({"refresh_token": token})).await
}

#[tokio::test]
async fn each_refresh_gives_a_successor_and_a_good_access_token() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let mut token = anna.refresh;
    for _ in 0..3 {
        let answer = refresh(&api, &token).await;
        assert_eq!((answer.body["user_id"].as_u64(), answer.text("device_id")), (Some(anna.id), anna.device.clone()));
        api.call("GET /v1/me", Some(&answer.text("access_token")), Value::Null).await.good();
        assert_ne!(answer.text("refresh_token"), token);
        token = answer.text("refresh_token");
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_with_the_same_successor() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let lost = refresh(&api, &anna.refresh).await.text("refresh_token");
    let repeated = refresh(&api, &anna.refresh).await.text("refresh_token");
    assert_eq!(lost, repeated);
    refresh(&api, &repeated).await.good();
}

#[tokio::test]
async fn a_copied_token_logs_its_device_out_and_no_other() {
    // Idea: no time of grace; the predecessor comes back after its successor was given out.
    let api = Api::with(whimbrel_api::Config { refresh_grace: Duration::ZERO, ..config() });
    let anna = api.register("anna").await;
    let phone = person(&api.login("anna", PASSWORD).await);
    let successor = refresh(&api, &anna.refresh).await.text("refresh_token");
    tokio::time::sleep(Duration::from_millis(5)).await; // the store's clock counts milliseconds
    api.recorder.take_rows();
    refresh(&api, &anna.refresh).await.is(401, "refresh_reused");
    let revoked = api.recorder.take_revoked();
    assert_eq!((revoked.len(), revoked[0].code), (1, GoodbyeCode::LOGGED_OUT));
    assert_eq!(revoked[0].device.map(|device| device.to_string()), Some(anna.device));
    assert_eq!(api.recorder.take_rows().len(), 1, "the other devices are told");
    refresh(&api, &successor).await.is(401, "refresh_invalid");
    api.call("GET /v1/me", Some(&anna.access), Value::Null).await.is(401, "logged_out");
    refresh(&api, &phone.refresh).await.good();
}

#[tokio::test]
async fn nobodys_token_refreshes_nothing() {
    let api = Api::new();
    let anna = api.register("anna").await;
    for token in ["", "x", &anna.access, &"A".repeat(43)] {
        refresh(&api, token).await.is(401, "refresh_invalid");
    }
}

#[tokio::test]
async fn logging_in_again_on_a_device_ends_its_former_token() {
    let api = Api::new();
    let anna = api.register("anna").await;
    let form = json!({"handle": "anna", "password": PASSWORD, "device_id": anna.device});
    let again = person(&api.call("POST /v1/login", None, form).await);
    assert_eq!(again.device, anna.device);
    refresh(&api, &anna.refresh).await.is(401, "refresh_invalid");
    refresh(&api, &again.refresh).await.good();
}
