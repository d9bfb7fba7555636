//! What two people can be to each other.

use serde_json::{Value, json};
use whimbrel_core::MessageKind;

use crate::support::{Api, Person};

/// The ways into each state, as seen by the first of the two.
const STATES: [(&str, &[(bool, &str)]); 6] = [
    ("none", &[]),
    ("sent", &[(true, "request")]),
    ("received", &[(false, "request")]),
    ("friends", &[(true, "request"), (false, "accept")]),
    ("blocking", &[(true, "block")]),
    ("blocked", &[(false, "block")]),
];

/// What the first one's action leads to: the state that they see then, or the code of the refusal.
const MATRIX: [(&str, [(&str, &str); 7]); 6] = [
    (
        "none",
        [
            ("request", "request_sent"),
            ("cancel", "!not_applicable"),
            ("accept", "!not_applicable"),
            ("decline", "!not_applicable"),
            ("remove", "!not_applicable"),
            ("block", "none+"),
            ("unblock", "none"),
        ],
    ),
    (
        "sent",
        [
            ("request", "!not_applicable"),
            ("cancel", "none"),
            ("accept", "!not_applicable"),
            ("decline", "!not_applicable"),
            ("remove", "!not_applicable"),
            ("block", "none+"),
            ("unblock", "request_sent"),
        ],
    ),
    (
        "received",
        [
            ("request", "friends"),
            ("cancel", "!not_applicable"),
            ("accept", "friends"),
            ("decline", "none"),
            ("remove", "!not_applicable"),
            ("block", "none+"),
            ("unblock", "request_received"),
        ],
    ),
    (
        "friends",
        [
            ("request", "!not_applicable"),
            ("cancel", "!not_applicable"),
            ("accept", "!not_applicable"),
            ("decline", "!not_applicable"),
            ("remove", "none"),
            ("block", "friends+"),
            ("unblock", "friends"),
        ],
    ),
    (
        "blocking",
        [
            ("request", "!blocked"),
            ("cancel", "!not_applicable"),
            ("accept", "!not_applicable"),
            ("decline", "!not_applicable"),
            ("remove", "!not_applicable"),
            ("block", "none+"),
            ("unblock", "none"),
        ],
    ),
    (
        "blocked",
        [
            ("request", "!blocked"),
            ("cancel", "!not_applicable"),
            ("accept", "!not_applicable"),
            ("decline", "!not_applicable"),
            ("remove", "!not_applicable"),
            ("block", "none+"),
            ("unblock", "none"),
        ],
    ),
];

async fn pair(api: &Api, name: &str) -> (Person, Person) {
    (api.register(&format!("a-{name}")).await, api.register(&format!("b-{name}")).await)
}

async fn befriend(api: &Api, a: &Person, b: &Person) {
    api.relate(a, "request", b).await.good();
    api.relate(b, "accept", a).await.good();
}

#[tokio::test]
async fn every_action_in_every_state_leads_where_the_table_says() {
    // Idea: a fresh pair for each cell, led into the state, then the action; what is answered is also read back.
    let api = Api::new();
    for ((state, way), (name, actions)) in STATES.iter().zip(MATRIX) {
        assert_eq!(*state, name);
        for (action, expected) in actions {
            let cell = format!("{state}-{action}");
            let (a, b) = pair(&api, &cell).await;
            for (first, step) in *way {
                let (who, whom) = if *first { (&a, &b) } else { (&b, &a) };
                api.relate(who, step, whom).await.good();
            }
            let answer = api.relate(&a, action, &b).await;
            if let Some(code) = expected.strip_prefix('!') {
                assert_eq!(answer.code(), code, "{cell}");
                continue;
            }
            let relation = answer.good();
            let seen = format!(
                "{}{}",
                relation["state"].as_str().expect("a state"),
                if relation["blocked"] == true { "+" } else { "" }
            );
            assert_eq!(seen, expected, "{cell}");
            let read = api.call(&format!("GET /v1/relations/{}", b.id), Some(&a.access), Value::Null).await.good();
            assert_eq!(read, relation, "{cell}");
        }
    }
}

#[tokio::test]
async fn friends_have_a_conversation_with_the_same_key_and_a_new_version_each_time() {
    let api = Api::new();
    let (a, b) = pair(&api, "x").await;
    let see = async |who: &Person, whom: &Person| {
        api.call(&format!("GET /v1/relations/{}", whom.id), Some(&who.access), Value::Null).await.good()
    };
    assert_eq!(see(&a, &b).await["state"], "none");
    let greeting = json!({"greeting": "It's me."});
    let asked = api.call(&format!("POST /v1/relations/{}/request", b.id), Some(&a.access), greeting).await.good();
    assert_eq!((&asked["state"], &asked["conversation_id"]), (&json!("request_sent"), &Value::Null));
    assert_eq!(see(&b, &a).await["greeting"], "It's me.");
    api.recorder.take_rows();
    api.relate(&b, "accept", &a).await.good();
    let kinds: Vec<_> = api.recorder.take_rows().iter().map(|row| row.message.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == MessageKind::RELATION).count(), 2, "both are told: {kinds:?}");
    let (of_a, of_b) = (see(&a, &b).await, see(&b, &a).await);
    assert_eq!((&of_a["keys"], &of_a["conversation_id"]), (&of_b["keys"], &of_b["conversation_id"]));
    assert_eq!(of_a["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(of_a["keys"][0]["key"].as_str().map(str::len), Some(44));
    api.relate(&a, "remove", &b).await.good();
    befriend(&api, &b, &a).await;
    let again = see(&a, &b).await;
    assert_eq!(again["conversation_id"], of_a["conversation_id"], "a pair keeps its conversation");
    let versions: Vec<_> = again["keys"].as_array().expect("keys").iter().map(|key| &key["version"]).collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(again["keys"][0], of_a["keys"][0], "an old version stays");
}

#[tokio::test]
async fn a_change_is_announced_before_it_is_answered() {
    // Idea: the recorder takes its time; if the answer came first, it would hold nothing yet.
    let api = Api::new();
    let (a, b) = pair(&api, "x").await;
    *api.recorder.delay.lock().expect("not poisoned") = std::time::Duration::from_millis(50);
    api.recorder.take_rows();
    api.relate(&a, "request", &b).await.good();
    assert_eq!(api.recorder.take_rows().len(), 2);
}

#[tokio::test]
async fn relations_are_listed_page_by_page() {
    let api = Api::new();
    let anna = api.register("anna").await;
    for name in ["b1", "b2", "b3", "b4", "b5"] {
        let friend = api.register(name).await;
        befriend(&api, &anna, &friend).await;
    }
    let (mut seen, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let what = format!("GET /v1/relations?after={from}&limit=2");
        let page = api.call(&what, Some(&anna.access), Value::Null).await.good();
        let relations = page["relations"].as_array().expect("a list");
        assert!(relations.len() <= 2);
        seen.extend(relations.iter().map(|relation| relation["peer"]["handle"].clone()));
        after = page["next"].as_u64();
    }
    assert_eq!(seen, ["b1", "b2", "b3", "b4", "b5"]);
    let whole = api.call("GET /v1/relations", Some(&anna.access), Value::Null).await.good();
    assert_eq!((whole["relations"].as_array().map(Vec::len), &whole["next"]), (Some(5), &Value::Null));
    for limit in ["0", "501"] {
        let what = format!("GET /v1/relations?limit={limit}");
        api.call(&what, Some(&anna.access), Value::Null).await.is(422, "invalid");
    }
}

#[tokio::test]
async fn nobody_is_related_to_themselves_to_nobody_or_by_unknown_actions() {
    let api = Api::new();
    let (a, b) = pair(&api, "x").await;
    api.relate(&a, "request", &a).await.is(409, "not_applicable");
    for nobody in ["0", "999", "9223372036854775808", "18446744073709551615"] {
        let what = format!("POST /v1/relations/{nobody}/request");
        api.call(&what, Some(&a.access), Value::Null).await.is(404, "no_such_user");
        let what = format!("GET /v1/relations/{nobody}");
        api.call(&what, Some(&a.access), Value::Null).await.is(404, "no_such_user");
    }
    api.relate(&a, "marry", &b).await.is(404, "not_found");
    let what = format!("POST /v1/relations/{}/request", b.id);
    api.call(&what, Some(&a.access), json!({"greeting": "x".repeat(201)})).await.is(422, "invalid");
}
