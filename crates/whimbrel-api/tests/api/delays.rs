//! Attempts are delayed, never locked out.

use std::time::{Duration, Instant};

use serde_json::json;
use whimbrel_api::{Config, DelayPolicy};

use crate::support::{Answer, Api, PASSWORD, config, request};

/// So long that no busy machine gets past it by being slow.
fn delay(free: u32) -> DelayPolicy {
    let long = Duration::from_secs(60);
    DelayPolicy { free, first: long, longest: long, forget: 10 * long }
}

async fn login_from(api: &Api, address: &str, handle: &str, password: &str) -> Answer {
    let form = json!({"handle": handle, "password": password});
    api.send_from(address, request("POST /v1/login", None, form)).await
}

#[tokio::test]
async fn wrong_passwords_delay_an_account_and_the_right_one_ends_the_delay() {
    // Idea: guess until delayed; the right password waits as well, then it opens and everything is free again.
    let brief = Duration::from_secs(2);
    let api = Api::with(Config { account_delay: DelayPolicy { first: brief, ..delay(3) }, ..config() });
    api.register("anna").await;
    api.register("bert").await;
    for _ in 0..3 {
        login_from(&api, "9.9.9.9", "anna", "wrong password").await.is(401, "bad_credentials");
    }
    let delayed = login_from(&api, "9.9.9.9", "anna", PASSWORD).await;
    delayed.is(429, "too_many_attempts");
    assert!(delayed.retry_after().is_some_and(|seconds| (1..=2).contains(&seconds)));
    login_from(&api, "8.8.8.8", "anna", PASSWORD).await.is(429, "too_many_attempts");
    login_from(&api, "9.9.9.9", "bert", PASSWORD).await.good();
    let began = Instant::now();
    while login_from(&api, "9.9.9.9", "anna", PASSWORD).await.status == 429 {
        assert!(began.elapsed() < 10 * brief, "locked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..3 {
        login_from(&api, "9.9.9.9", "anna", "wrong password").await.is(401, "bad_credentials");
    }
}

#[tokio::test]
async fn no_number_of_wrong_passwords_locks_an_account() {
    // Idea: hammer for longer than the longest delay; who then waits that long at most gets in.
    let (first, longest) = (Duration::from_millis(200), Duration::from_millis(400));
    let api = Api::with(Config { account_delay: DelayPolicy { first, longest, ..delay(1) }, ..config() });
    api.register("anna").await;
    let until = Instant::now() + Duration::from_millis(600);
    while Instant::now() < until {
        login_from(&api, "9.9.9.9", "anna", "wrong password").await;
    }
    tokio::time::sleep(Duration::from_millis(450)).await;
    login_from(&api, "9.9.9.9", "anna", PASSWORD).await.good();
}

#[tokio::test]
async fn guesses_at_many_accounts_delay_the_address() {
    let api = Api::with(Config { address_delay: delay(5), ..config() });
    api.register("anna").await;
    for guess in 0..5 {
        login_from(&api, "9.9.9.9", &format!("nobody{guess}"), "password1").await.is(401, "bad_credentials");
    }
    login_from(&api, "9.9.9.9", "anna", PASSWORD).await.is(429, "too_many_attempts");
    login_from(&api, "8.8.8.8", "anna", PASSWORD).await.good();
}

#[tokio::test]
async fn attempts_at_once_do_not_slip_through_together() {
    let api = std::sync::Arc::new(Api::with(Config { account_delay: delay(3), ..config() }));
    api.register("anna").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let api = api.clone();
        tasks.spawn(async move { login_from(&api, "9.9.9.9", "anna", "wrong password").await.status.as_u16() });
    }
    let admitted = tasks.join_all().await.into_iter().filter(|status| *status == 401).count();
    assert_eq!(admitted, 3);
}

#[tokio::test]
async fn an_unknown_handle_is_delayed_like_a_known_one() {
    let api = Api::with(Config { account_delay: delay(2), ..config() });
    api.register("anna").await;
    let mut seen = Vec::new();
    for handle in ["anna", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..3 {
            let answer = login_from(&api, "9.9.9.9", handle, "wrong password").await;
            answers.push((answer.status, answer.body));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][2].0, 429);
}

#[tokio::test]
async fn an_unknown_handle_costs_the_same_time_as_a_wrong_password() {
    // Idea: hashing is made slow enough to be seen; the fastest of several attempts of both kinds are compared.
    let hashing = whimbrel_api::Hashing { memory_kib: 4096, passes: 4, concurrency: 2, queue: 8 };
    let api = Api::with(Config { hashing, ..config() });
    api.register("anna").await;
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..5 {
        for (kind, handle) in ["anna", "nobody"].into_iter().enumerate() {
            let began = Instant::now();
            login_from(&api, "9.9.9.9", handle, "wrong password").await.is(401, "bad_credentials");
            fastest[kind] = fastest[kind].min(began.elapsed());
        }
    }
    let [known, unknown] = fastest.map(|time| time.as_secs_f64());
    assert!(unknown > known * 0.5 && unknown < known * 2.0, "known {known}, unknown {unknown}");
}

#[tokio::test]
async fn a_stolen_access_token_cannot_guess_the_password_without_delay() {
    let api = Api::with(Config { account_delay: delay(2), ..config() });
    let anna = api.register("anna").await;
    for _ in 0..2 {
        let change = json!({"old": "wrong password", "new": "battery staple"});
        api.call("POST /v1/password", Some(&anna.access), change).await.is(401, "bad_credentials");
    }
    let delete = json!({"password": "wrong password"});
    api.call("DELETE /v1/account", Some(&anna.access), delete).await.is(429, "too_many_attempts");
}

#[tokio::test]
async fn registrations_from_one_address_are_delayed() {
    let api = Api::with(Config { registration_delay: delay(2), ..config() });
    api.register("anna").await;
    api.register("bert").await;
    let form = json!({"handle": "carol", "password": PASSWORD});
    api.call("POST /v1/register", None, form).await.is(429, "too_many_attempts");
}
