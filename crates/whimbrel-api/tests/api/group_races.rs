//! Changes of a group that meet.

use serde_json::{Value, json};
use whimbrel_core::MessageKind;

use crate::support::{Api, Person};

/// What the rows of a group that were announced say, in order.
fn told(api: &Api, group: &str) -> Vec<Value> {
    let rows = api.recorder.take_rows().into_iter().filter(|row| row.message.kind == MessageKind::GROUP);
    let rows = rows.filter(|row| row.message.conversation.to_string() == group);
    rows.map(|row| serde_json::from_slice(&row.message.body).expect("JSON")).collect()
}

async fn make_admins(api: &Api, owner: &Person, group: &str, people: &[&Person]) {
    api.add(group, people).await;
    for person in people {
        api.act(owner, group, "role", json!({"user": person.id, "role": "admin"})).await.good();
    }
}

#[tokio::test]
async fn of_two_admins_who_approve_at_once_one_is_told_that_it_is_done() {
    let api = Api::new();
    let people = api.people("p", 3 + 20).await;
    let (owner, one, other) = (&people[0], &people[1], &people[2]);
    let group = api.group(owner, json!({"name": "Birds", "join": "approval", "listed": true})).await;
    make_admins(&api, owner, &group, &[one, other]).await;
    for asker in &people[3..] {
        api.act(asker, &group, "join", Value::Null).await.good();
        api.recorder.take_rows();
        let yes = json!({"user": asker.id});
        let (first, second) =
            tokio::join!(api.act(one, &group, "approve", yes.clone()), api.act(other, &group, "approve", yes.clone()));
        let mut codes = [first.code().to_owned(), second.code().to_owned()];
        codes.sort();
        assert_eq!(codes, ["none", "not_applicable"]);
        assert_eq!(told(&api, &group).len(), 1, "one row for one who came");
        assert_eq!(api.see(asker, &group).await.good()["role"], "member");
    }
    assert_eq!(api.see(owner, &group).await.good()["group"]["size"], 23);
}

#[tokio::test]
async fn a_yes_and_a_no_at_once_are_one_of_the_two() {
    let api = Api::new();
    let people = api.people("p", 3 + 10).await;
    let (owner, one, other) = (&people[0], &people[1], &people[2]);
    let group = api.group(owner, json!({"name": "Birds", "join": "approval", "listed": true})).await;
    make_admins(&api, owner, &group, &[one, other]).await;
    for asker in &people[3..] {
        api.act(asker, &group, "join", Value::Null).await.good();
        let body = json!({"user": asker.id});
        let (yes, no) =
            tokio::join!(api.act(one, &group, "approve", body.clone()), api.act(other, &group, "reject", body.clone()));
        let role = api.see(asker, &group).await.good()["role"].clone();
        match yes.status.is_success() {
            true => {
                no.is(409, "not_applicable");
                assert_eq!(role, "member");
            }
            false => {
                yes.is(409, "not_applicable");
                no.good();
                assert_eq!(role, Value::Null);
            }
        }
    }
}

#[tokio::test]
async fn a_group_is_never_given_to_somebody_who_leaves_at_that_moment() {
    // Idea: whatever comes first, the other one is refused, and the owner is a member.
    let api = Api::new();
    for round in 0..10 {
        let people = api.people(&format!("p{round}-"), 2).await;
        let (owner, heir) = (&people[0], &people[1]);
        let group = api.group(owner, json!({"name": "Birds"})).await;
        api.add(&group, &[heir]).await;
        let (given, left) = tokio::join!(
            api.act(owner, &group, "transfer", json!({"user": heir.id})),
            api.act(heir, &group, "leave", Value::Null),
        );
        let now = api.see(owner, &group).await.good();
        match given.status.is_success() {
            true => {
                left.is(403, "forbidden");
                assert_eq!((&now["group"]["owner"], &now["role"]), (&json!(heir.id), &json!("admin")));
                assert_eq!(api.see(heir, &group).await.good()["role"], "owner");
            }
            false => {
                given.is(409, "not_a_member");
                left.good();
                assert_eq!((&now["group"]["owner"], &now["role"]), (&json!(owner.id), &json!("owner")));
            }
        }
    }
}

#[tokio::test]
async fn the_last_place_is_taken_once() {
    let api = Api::new();
    let people = api.people("p", 9).await;
    let group =
        api.group(&people[0], json!({"name": "Birds", "join": "open", "listed": true, "member_limit": 2})).await;
    let joins = people[1..].iter().map(|person| api.act(person, &group, "join", Value::Null));
    let answers = futures_util::future::join_all(joins).await;
    let came = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(came, 1);
    answers.iter().filter(|answer| !answer.status.is_success()).for_each(|answer| answer.is(409, "group_full"));
}

#[tokio::test]
async fn a_handle_is_given_to_one_of_those_who_want_it() {
    let api = Api::new();
    let people = api.people("p", 6).await;
    let form = json!({"name": "Birds", "handle": "birds", "listed": true});
    let creates = people.iter().map(|person| api.by(person, "POST /v1/groups", form.clone()));
    let answers = futures_util::future::join_all(creates).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status.is_success()).collect();
    assert_eq!(made.len(), 1);
    answers.iter().filter(|answer| !answer.status.is_success()).for_each(|answer| answer.is(409, "handle_taken"));
    let found = api.by(&people[0], "GET /v1/groups/handle/birds", Value::Null).await.good();
    assert_eq!(found["id"], made[0].body["id"]);
}
