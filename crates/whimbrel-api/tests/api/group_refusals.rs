//! What is refused in a group, with which code.

use serde_json::{Value, json};
use whimbrel_core::limits::{GROUP_REQUESTS_MAX, GROUPS_MAX};

use crate::support::{Answer, Api, Person};

/// A time that is not soon over.
const LATER: u64 = 4_000_000_000_000;

const NOWHERE: &str = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f";

#[tokio::test]
async fn what_may_not_be_said_of_a_group_is_named_by_its_field() {
    let api = Api::new();
    let people = api.people("p", 1).await;
    let who = &people[0];
    let group = api.group(who, json!({"name": "Birds"})).await;
    let long = |n: usize| json!("ä".repeat(n));
    let wrong = [
        ("name", json!("")),
        ("name", json!("  ")),
        ("name", json!("a\u{0}b")),
        ("name", long(101)),
        ("handle", json!("b")),
        ("handle", json!("Birds")),
        ("handle", json!("x".repeat(33))),
        ("avatar", json!("javascript:alert(1)")),
        ("announcement", long(2001)),
        ("member_limit", json!(0)),
        ("member_limit", json!(100_001)),
    ];
    for (field, value) in &wrong {
        let mut form = json!({"name": "Birds"});
        form[*field] = value.clone();
        let created = api.by(who, "POST /v1/groups", form.clone()).await;
        let changed = api.by(who, &format!("PATCH /v1/groups/{group}"), json!({*field: value})).await;
        form["owner"] = json!(who.id);
        let for_somebody = api.admin("POST /v1/admin/groups", form).await;
        for answer in [created, changed, for_somebody] {
            answer.is(422, "invalid");
            assert_eq!(answer.body["field"], *field);
        }
    }
    let best = json!({"name": "ä".repeat(100), "announcement": "ä".repeat(2000), "member_limit": 100_000});
    api.by(who, &format!("PATCH /v1/groups/{group}"), best).await.good();
    api.by(who, &format!("PATCH /v1/groups/{group}"), json!({})).await.is(422, "invalid");
    let many: Vec<_> = (1..=1001).collect();
    api.by(who, "POST /v1/groups", json!({"name": "Birds", "members": many})).await.is(422, "invalid");
    for users in [json!([]), json!(many)] {
        api.act(who, &group, "invite", json!({"users": users})).await.is(422, "invalid");
        api.admin(&format!("POST /v1/admin/groups/{group}/members"), json!({"users": users})).await.is(422, "invalid");
    }
    api.act(who, &group, "join", json!({"message": long(201)})).await.is(422, "invalid");
    for q in ["", "%20", &"x".repeat(101)] {
        api.by(who, &format!("GET /v1/groups/search?q={q}"), Value::Null).await.is(422, "invalid");
    }
    for (what, body) in [
        ("POST /v1/groups".to_owned(), json!({"name": "Birds", "owner": 1})),
        ("POST /v1/groups".to_owned(), json!({"name": "Birds", "join": "never"})),
        ("POST /v1/groups".to_owned(), json!({})),
        (format!("PATCH /v1/groups/{group}"), json!({"muted_until": 0})),
        (format!("POST /v1/groups/{group}/role"), json!({"user": 1, "role": "owner"})),
        (format!("POST /v1/groups/{group}/mute"), json!({"user": 1})),
        (format!("POST /v1/groups/{group}/leave"), json!({"x": 1})),
        ("GET /v1/groups/x".to_owned(), Value::Null),
        (format!("GET /v1/groups/{group}/messages/x/read_by"), Value::Null),
        ("GET /v1/groups?after=7".to_owned(), Value::Null),
    ] {
        api.by(who, &what, body).await.is(400, "bad_request");
    }
    api.act(who, &group, "burn", Value::Null).await.is(404, "not_found");
}

/// Everything that can be done in a group, with a body.
fn actions(user: u64) -> Vec<(&'static str, Value)> {
    let one = json!({"user": user});
    vec![
        ("join", Value::Null),
        ("decline", Value::Null),
        ("leave", Value::Null),
        ("invite", json!({"users": [user]})),
        ("approve", one.clone()),
        ("reject", one.clone()),
        ("remove", one.clone()),
        ("role", json!({"user": user, "role": "admin"})),
        ("transfer", one),
        ("mute", json!({"user": user, "until": LATER})),
        ("mute_all", json!({"until": LATER})),
        ("dissolve", Value::Null),
    ]
}

#[tokio::test]
async fn of_a_group_that_is_not_or_that_one_may_not_know_of_the_answers_are_the_same() {
    // Idea: no answer tells an unlisted group, or one that has ended, from none, whatever is tried.
    let api = Api::new();
    let people = api.people("p", 6).await;
    let form = json!({"name": "Hidden", "handle": "hidden", "join": "invitation"});
    let group = api.group(&people[0], form).await;
    let ended = api.group(&people[0], json!({"name": "Ended", "join": "open", "listed": true})).await;
    api.act(&people[0], &ended, "dissolve", Value::Null).await.good();
    // Nor is a conversation of another kind a group.
    let direct = api.befriend(&people[0], &people[4]).await;
    let tried = async |who: &Person, id: &str| -> Vec<Answer> {
        let mut answers = Vec::new();
        for (action, body) in actions(people[5].id) {
            answers.push(api.act(who, id, action, body).await);
        }
        answers.push(api.by(who, &format!("PATCH /v1/groups/{id}"), json!({"name": "x"})).await);
        for part in ["", "/members", "/requests", "/keys", "/messages/1/read_by"] {
            answers.push(api.by(who, &format!("GET /v1/groups/{id}{part}"), Value::Null).await);
        }
        answers
    };
    let of_none = tried(&people[1], NOWHERE).await;
    assert_eq!(of_none.len(), 18);
    for (who, id) in [(&people[2], &group), (&people[3], &ended), (&people[4], &direct)] {
        for (other, none) in tried(who, id).await.iter().zip(&of_none) {
            none.is(404, "no_such_group");
            assert_eq!((other.status, &other.body), (none.status, &none.body));
        }
    }
}

#[tokio::test]
async fn every_refusal_has_a_code_and_a_sentence() {
    let api = Api::new();
    let people = api.people("p", 6).await;
    let [owner, admin, member, stranger, asker, friend] = [0, 1, 2, 3, 4, 5].map(|n| &people[n]);
    let form = json!({"name": "Birds", "handle": "birds", "join": "approval", "listed": true});
    let group = api.group(owner, form.clone()).await;
    api.add(&group, &[admin, member]).await;
    api.act(owner, &group, "role", json!({"user": admin.id, "role": "admin"})).await.good();
    api.act(asker, &group, "join", Value::Null).await.good();
    let one = |person: &Person| json!({"user": person.id});
    let nobody = json!({"user": 999_999});
    let role = |person: &Person, role: &str| json!({"user": person.id, "role": role});

    for (who, action, body, status, code) in [
        // Not the right role.
        (member, "remove", one(admin), 403, "forbidden"),
        (member, "mute_all", json!({"until": LATER}), 403, "forbidden"),
        (member, "approve", one(asker), 403, "forbidden"),
        (admin, "remove", one(owner), 403, "forbidden"),
        (admin, "mute", json!({"user": owner.id, "until": LATER}), 403, "forbidden"),
        (admin, "role", role(member, "admin"), 403, "forbidden"),
        (admin, "transfer", one(admin), 403, "forbidden"),
        (admin, "dissolve", Value::Null, 403, "forbidden"),
        (owner, "leave", Value::Null, 403, "forbidden"),
        (stranger, "mute_all", json!({"until": LATER}), 403, "forbidden"),
        // Not in the group.
        (owner, "remove", one(stranger), 409, "not_a_member"),
        (owner, "mute", json!({"user": stranger.id, "until": LATER}), 409, "not_a_member"),
        (owner, "role", role(stranger, "admin"), 409, "not_a_member"),
        (owner, "transfer", one(stranger), 409, "not_a_member"),
        // Nobody at all.
        (owner, "invite", json!({"users": [999_999]}), 404, "no_such_user"),
        // Nothing to do.
        (member, "join", Value::Null, 409, "not_applicable"),
        (asker, "join", Value::Null, 409, "not_applicable"),
        (stranger, "decline", Value::Null, 409, "not_applicable"),
        (owner, "approve", one(stranger), 409, "not_applicable"),
        (owner, "reject", one(member), 409, "not_applicable"),
        (owner, "transfer", one(owner), 409, "not_applicable"),
        (owner, "role", role(admin, "admin"), 409, "not_applicable"),
    ] {
        let answer = api.act(who, &group, action, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{action} {body}: {}", answer.body);
    }
    for action in ["remove", "transfer"] {
        let answer = api.act(owner, &group, action, nobody.clone()).await;
        assert!(["no_such_user", "not_a_member"].contains(&answer.code()), "{action}: {}", answer.body);
    }
    let taken = api.by(stranger, "POST /v1/groups", form).await;
    taken.is(409, "handle_taken");
    assert_eq!(taken.body["field"], "handle");
    let other = api.group(stranger, json!({"name": "Others"})).await;
    api.by(stranger, &format!("PATCH /v1/groups/{other}"), json!({"handle": "birds"})).await.is(409, "handle_taken");
    for user in [999_999_u64, 0, 1 << 63, u64::MAX] {
        let form = json!({"name": "Birds", "members": [user]});
        api.by(friend, "POST /v1/groups", form).await.is(404, "no_such_user");
        let add = format!("POST /v1/admin/groups/{group}/members");
        api.admin(&add, json!({"users": [user]})).await.is(404, "no_such_user");
        api.admin("POST /v1/admin/groups", json!({"owner": user, "name": "x"})).await.is(404, "no_such_user");
    }
    let size = api.see(owner, &group).await.good()["group"]["size"].clone();
    assert_eq!(size, 3, "nothing of it was done");
    let less = api.by(owner, &format!("PATCH /v1/groups/{group}"), json!({"member_limit": 2})).await;
    less.is(409, "not_applicable");

    let full = json!({"name": "Two", "join": "open", "listed": true, "member_limit": 2});
    let full = api.group(owner, full).await;
    api.act(member, &full, "join", Value::Null).await.good();
    api.act(stranger, &full, "join", Value::Null).await.is(409, "group_full");
    let add = api.admin(&format!("POST /v1/admin/groups/{full}/members"), json!({"users": [stranger.id]})).await;
    add.is(409, "group_full");

    api.act(owner, &group, "dissolve", Value::Null).await.good();
    for (who, action, body) in [
        (member, "invite", json!({"users": [friend.id]})),
        (owner, "mute_all", json!({"until": LATER})),
        (owner, "dissolve", Value::Null),
    ] {
        api.act(who, &group, action, body).await.is(409, "not_applicable");
    }
    api.admin(&format!("DELETE /v1/admin/groups/{NOWHERE}"), Value::Null).await.is(404, "no_such_group");
    api.admin(&format!("DELETE /v1/admin/groups/{group}"), Value::Null).await.is(409, "not_applicable");
}

#[tokio::test]
async fn nobody_is_in_more_groups_than_the_limit_and_no_group_has_more_requests_than_it_may() {
    let api = Api::new();
    let people = api.people("p", GROUP_REQUESTS_MAX as usize + 3).await;
    let (owner, busy) = (&people[0], &people[1]);
    let mut last = String::new();
    for _ in 0..GROUPS_MAX {
        let form = json!({"owner": busy.id, "name": "One of many"});
        last = api.admin("POST /v1/admin/groups", form).await.good()["id"].as_str().expect("an id").to_owned();
    }
    api.by(busy, "POST /v1/groups", json!({"name": "One more"})).await.is(409, "too_many_groups");
    let open = api.group(owner, json!({"name": "Open", "join": "open", "listed": true})).await;
    api.act(busy, &open, "join", Value::Null).await.is(409, "too_many_groups");
    let add = api.admin(&format!("POST /v1/admin/groups/{open}/members"), json!({"users": [busy.id]})).await;
    add.is(409, "too_many_groups");
    api.act(busy, &last, "dissolve", Value::Null).await.good();
    let form = json!({"name": "Asked", "join": "approval", "listed": true});
    let group = api.group(owner, form).await;
    let users: Vec<_> = people[2..2 + GROUP_REQUESTS_MAX as usize].iter().map(|person| person.id).collect();
    api.act(owner, &group, "invite", json!({"users": users})).await.good();
    let late = people.last().expect("people");
    api.act(owner, &group, "invite", json!({"users": [late.id]})).await.is(409, "too_many_requests");
    api.act(late, &group, "join", Value::Null).await.is(409, "too_many_requests");
}
