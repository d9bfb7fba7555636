//! A group from its beginning to its end, what others see of it, and every refusal.

use serde_json::{Value, json};
use whimbrel_core::limits::{GROUP_REQUESTS_MAX, GROUPS_MAX};
use whimbrel_core::{Audience, MessageKind, UserId};

use crate::support::{Answer, Api, Person};

/// A time that is not soon over.
const LATER: u64 = 4_000_000_000_000;

const NOWHERE: &str = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f";

/// The kinds of the rows that were announced, with the words of those in the group's own timeline.
fn told(api: &Api) -> (Vec<String>, Vec<UserId>) {
    let (mut words, mut users) = (Vec::new(), Vec::new());
    for row in api.recorder.take_rows() {
        match (row.message.kind, row.audience) {
            (MessageKind::GROUP, Audience::Group { revision, .. }) => {
                assert_eq!(revision, row.message.seq);
                assert_eq!(row.change.as_ref().map(|change| change.at), Some(revision));
                let body: Value = serde_json::from_slice(&row.message.body).expect("JSON");
                words.push(body["what"].as_str().expect("a word").to_owned());
            }
            (MessageKind::MEMBERSHIP, Audience::One(user)) => users.push(user),
            (kind, audience) => panic!("{kind:?} for {audience:?}"),
        }
    }
    users.sort_unstable();
    users.dedup();
    (words, users)
}

fn users(people: &[&Person]) -> Vec<UserId> {
    people.iter().map(|person| UserId(person.id)).collect()
}

async fn requests(api: &Api, who: &Person, what: &str) -> Vec<(String, u64)> {
    let page = api.by(who, what, Value::Null).await.good();
    let request =
        |one: &Value| (one["kind"].as_str().expect("a kind").to_owned(), one["user"]["id"].as_u64().expect("id"));
    page["requests"].as_array().expect("a list").iter().map(request).collect()
}

#[tokio::test]
async fn a_group_lives_from_its_creation_to_its_end() {
    // Idea: everything there is to do, once; what each step changed is read back, and who was told of it is checked.
    let api = Api::new();
    let people = api.people("p", 5).await;
    let [anna, bert, carol, dora, emil] = [0, 1, 2, 3, 4].map(|n| &people[n]);
    api.befriend(anna, bert).await;
    api.recorder.take_rows();
    let form = json!({"name": "Bird watchers", "announcement": "Bring binoculars.", "members": [bert.id, carol.id]});
    let group = api.group(anna, form).await;
    let created = told(&api);
    assert_eq!(created.0, ["created"]);
    assert!(created.1.contains(&UserId(bert.id)) && created.1.contains(&UserId(carol.id)), "{created:?}");
    let seen = api.see(bert, &group).await.good();
    assert_eq!((&seen["role"], &seen["group"]["size"]), (&json!("member"), &json!(2)), "friends are in it at once");
    assert_eq!(seen["group"]["announcement"], "Bring binoculars.");
    assert_eq!(seen["group"]["join"], "invitation");

    // Who is no friend is invited, and sees the group without what is for members.
    assert_eq!(requests(&api, carol, "GET /v1/groups/requests").await, [("invited".to_owned(), carol.id)]);
    let seen = api.see(carol, &group).await.good();
    assert_eq!((&seen["role"], &seen["group"]["announcement"]), (&Value::Null, &json!("")));
    let joined = api.act(carol, &group, "join", Value::Null).await.good();
    assert_eq!((&joined["size"], &joined["announcement"]), (&json!(3), &json!("Bring binoculars.")));
    assert_eq!(told(&api).0, ["joined"]);
    assert!(requests(&api, carol, "GET /v1/groups/requests").await.is_empty());

    // Settings, and the handle by which others find it.
    let path = format!("PATCH /v1/groups/{group}");
    let change =
        json!({"name": "Birds", "handle": "birds", "join": "approval", "listed": true, "avatar": "https://b/a"});
    let changed = api.by(anna, &path, change).await.good();
    assert_eq!(
        (&changed["handle"], &changed["join"], &changed["listed"]),
        (&json!("birds"), &json!("approval"), &json!(true))
    );
    assert_eq!(told(&api).0, ["settings"]);
    let found = api.by(dora, "GET /v1/groups/handle/birds", Value::Null).await.good();
    assert_eq!((&found["name"], &found["announcement"]), (&json!("Birds"), &json!("")));
    let found = api.by(dora, "GET /v1/groups/search?q=bir", Value::Null).await.good();
    assert_eq!(found["groups"].as_array().map(Vec::len), Some(1));

    // Asking, and the answers.
    let asked = api.act(dora, &group, "join", json!({"message": "It's Dora."})).await.good();
    assert_eq!(asked["size"], 3);
    let (words, whom) = told(&api);
    assert!(words.is_empty() && whom.contains(&UserId(anna.id)), "nothing changed for members: {words:?} {whom:?}");
    let waiting = api.by(anna, &format!("GET /v1/groups/{group}/requests"), Value::Null).await.good();
    assert_eq!(
        (&waiting["requests"][0]["message"], &waiting["requests"][0]["kind"]),
        (&json!("It's Dora."), &json!("asked"))
    );
    api.act(anna, &group, "reject", json!({"user": dora.id})).await.good();
    assert_eq!(told(&api).0, Vec::<String>::new());
    api.act(dora, &group, "join", Value::Null).await.good();
    api.act(anna, &group, "role", json!({"user": bert.id, "role": "admin"})).await.good();
    let (words, whom) = told(&api);
    assert_eq!(words, ["role"]);
    assert!(whom.contains(&UserId(bert.id)));
    assert_eq!(api.act(bert, &group, "approve", json!({"user": dora.id})).await.good()["size"], 4);
    let (words, whom) = told(&api);
    assert_eq!(words, ["joined"]);
    assert!(whom.contains(&UserId(dora.id)));

    // Mutes.
    api.act(bert, &group, "mute", json!({"user": carol.id, "until": u64::MAX})).await.good();
    assert_eq!(api.see(carol, &group).await.good()["muted_until"], 9_007_199_254_740_991_u64);
    api.act(bert, &group, "mute", json!({"user": carol.id, "until": 0})).await.good();
    let all = api.act(bert, &group, "mute_all", json!({"until": LATER})).await.good();
    assert_eq!(all["muted_until"], LATER);
    assert_eq!(told(&api).0, ["muted", "muted", "all_muted"]);

    // Going, by oneself and not; a new key each time, and none of it for those who went.
    api.act(carol, &group, "leave", Value::Null).await.good();
    let removed = api.act(bert, &group, "remove", json!({"user": dora.id})).await.good();
    assert_eq!((&removed["size"], &removed["key_version"]), (&json!(2), &json!(3)));
    assert_eq!(told(&api).0, ["left", "removed"]);
    let keys = async |who: &Person| {
        let page = api.by(who, &format!("GET /v1/groups/{group}/keys"), Value::Null).await.good();
        let keys = page["keys"].as_array().expect("a list").clone();
        assert!(keys.iter().all(|key| key["key"].as_str().map(str::len) == Some(44)));
        keys.iter().map(|key| key["version"].as_u64().expect("a version")).collect::<Vec<_>>()
    };
    assert_eq!((keys(anna).await, keys(carol).await, keys(dora).await), (vec![1, 2, 3], vec![1], vec![1, 2]));
    let seen = api.see(carol, &group).await.good();
    assert!(seen["until"].as_u64() > Some(0) && seen["group"]["announcement"] == "", "{seen}");

    // The owner stays until somebody else owns it.
    api.act(anna, &group, "leave", Value::Null).await.is(403, "forbidden");
    let given = api.act(anna, &group, "transfer", json!({"user": bert.id})).await.good();
    assert_eq!(given["owner"], bert.id);
    assert_eq!(api.see(anna, &group).await.good()["role"], "admin");
    api.act(anna, &group, "leave", Value::Null).await.good();
    assert_eq!(told(&api).0, ["owner", "left"]);
    let ended = api.act(bert, &group, "dissolve", Value::Null).await.good();
    assert!(ended["dissolved_at"].is_u64() && ended["handle"].is_null(), "{ended}");
    assert_eq!(told(&api).0, ["dissolved"]);
    api.see(emil, &group).await.is(404, "no_such_group");
    assert!(api.see(bert, &group).await.good()["group"]["dissolved_at"].is_u64());
    api.group(emil, json!({"name": "Others", "handle": "birds"})).await;
}

#[tokio::test]
async fn a_change_is_announced_before_it_is_answered() {
    // Idea: the recorder takes its time; if the answer came first, it would hold nothing yet.
    let api = Api::new();
    let people = api.people("p", 1).await;
    *api.recorder.delay.lock().expect("not poisoned") = std::time::Duration::from_millis(50);
    api.recorder.take_rows();
    api.group(&people[0], json!({"name": "Birds"})).await;
    assert!(!api.recorder.take_rows().is_empty());
}

#[tokio::test]
async fn only_those_who_may_know_of_a_group_see_it() {
    let api = Api::new();
    let people = api.people("p", 5).await;
    let [owner, invited, proposed, former, stranger] = [0, 1, 2, 3, 4].map(|n| &people[n]);
    let form = json!({"name": "Hidden birds", "handle": "hidden", "join": "approval"});
    let group = api.group(owner, form).await;
    api.add(&group, &[former]).await;
    api.act(owner, &group, "invite", json!({"users": [invited.id]})).await.good();
    api.act(former, &group, "invite", json!({"users": [proposed.id]})).await.good();
    api.act(former, &group, "leave", Value::Null).await.good();
    let by_handle = async |who| api.by(who, "GET /v1/groups/handle/hidden", Value::Null).await;
    for who in [owner, invited, former] {
        assert_eq!(api.see(who, &group).await.good()["group"]["name"], "Hidden birds");
        assert_eq!(by_handle(who).await.good()["id"], group);
    }
    for who in [proposed, stranger] {
        api.see(who, &group).await.is(404, "no_such_group");
        by_handle(who).await.is(404, "no_such_group");
        for part in ["members", "requests", "keys", "messages/1/read_by"] {
            api.by(who, &format!("GET /v1/groups/{group}/{part}"), Value::Null).await.is(404, "no_such_group");
        }
        assert!(requests(&api, who, "GET /v1/groups/requests").await.is_empty());
    }
    assert_eq!(requests(&api, owner, &format!("GET /v1/groups/{group}/requests")).await.len(), 2);
    // A proposal becomes an invitation with an admin's yes; then they know.
    api.act(owner, &group, "approve", json!({"user": proposed.id})).await.good();
    assert_eq!(api.see(proposed, &group).await.good()["role"], Value::Null);
    assert_eq!(requests(&api, proposed, "GET /v1/groups/requests").await.len(), 1);
    api.act(proposed, &group, "decline", Value::Null).await.good();
    api.see(proposed, &group).await.is(404, "no_such_group");
    let found = api.by(stranger, "GET /v1/groups/search?q=hidden", Value::Null).await.good();
    assert_eq!(found["groups"], json!([]));
    let others = api.by(former, "GET /v1/groups", Value::Null).await.good();
    assert_eq!(others["groups"][0]["group"]["id"], group, "who left still has it in the list");
}

#[tokio::test]
async fn groups_members_and_requests_come_page_by_page() {
    let api = Api::new();
    let people = api.people("p", 12).await;
    let owner = &people[0];
    let group = api.group(owner, json!({"name": "Birds", "join": "approval", "listed": true})).await;
    api.add(&group, &people[1..6].iter().collect::<Vec<_>>()).await;
    for asker in &people[6..11] {
        api.act(asker, &group, "join", Value::Null).await.good();
    }
    let mut groups = vec![group.clone()];
    for n in 0..4 {
        groups.push(api.group(owner, json!({"name": format!("Birds {n}"), "listed": true})).await);
        api.act(owner, &groups[n + 1], "invite", json!({"users": [people[11].id]})).await.good();
    }
    groups.sort();
    let all = async |who: &Person, what: &str, list: &str, key: fn(&Value) -> String| {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = api.by(who, &format!("{what}limit=2{after}"), Value::Null).await.good();
            let entries = page[list].as_array().expect("a list");
            assert!(entries.len() <= 2);
            seen.extend(entries.iter().map(key));
            if page["next"].is_null() {
                return seen;
            }
            after = format!("&after={}", page["next"].to_string().trim_matches('"'));
        }
    };
    let text = |value: &Value| value.to_string().trim_matches('"').to_owned();
    let ids = |people: &[Person]| people.iter().map(|person| person.id.to_string()).collect::<Vec<_>>();
    let of_user: fn(&Value) -> String = |one| one["user"]["id"].to_string();
    assert_eq!(all(owner, &format!("GET /v1/groups/{group}/members?"), "members", of_user).await, ids(&people[..6]));
    assert_eq!(
        all(owner, &format!("GET /v1/groups/{group}/requests?"), "requests", of_user).await,
        ids(&people[6..11])
    );
    let of_group: fn(&Value) -> String = |one| one["group"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(all(owner, "GET /v1/groups?", "groups", of_group).await, groups);
    let found: fn(&Value) -> String = |one| one["id"].as_str().expect("an id").to_owned();
    assert_eq!(all(&people[11], "GET /v1/groups/search?q=bir&", "groups", found).await, groups);
    let invited: fn(&Value) -> String = |one| one["group"].as_str().expect("an id").to_owned();
    let own = all(&people[11], "GET /v1/groups/requests?", "requests", invited).await;
    assert_eq!(own, groups.iter().filter(|id| **id != group).cloned().collect::<Vec<_>>());
    let whole = api.by(owner, &format!("GET /v1/groups/{group}/members"), Value::Null).await.good();
    assert_eq!((whole["members"].as_array().map(Vec::len), text(&whole["next"])), (Some(6), "null".to_owned()));
    assert_eq!(whole["members"][0]["role"], "owner");
    for limit in ["0", "501"] {
        for what in ["/v1/groups?", "/v1/groups/search?q=b&", "/v1/groups/requests?"] {
            api.by(owner, &format!("GET {what}limit={limit}"), Value::Null).await.is(422, "invalid");
        }
        for part in ["members", "requests", "keys", "messages/1/read_by"] {
            api.by(owner, &format!("GET /v1/groups/{group}/{part}?limit={limit}"), Value::Null)
                .await
                .is(422, "invalid");
        }
    }
}

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

#[tokio::test]
async fn the_administrator_fills_and_ends_groups_without_asking() {
    let api = Api::new();
    let people = api.people("p", 1000).await;
    let form = json!({"owner": people[0].id, "name": "All of us", "announcement": "Hello.", "history_for_all": true});
    let answer = api.admin("POST /v1/admin/groups", form).await;
    assert_eq!(answer.status, 201);
    let group = answer.text("id");
    assert_eq!(answer.body["announcement"], "Hello.");
    api.recorder.take_rows();
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    let add = async || api.admin(&format!("POST /v1/admin/groups/{group}/members"), json!({"users": ids})).await.good();
    let first = add().await;
    assert_eq!((&first["size"], &first["announcement"]), (&json!(1000), &json!("Hello.")));
    let (words, whom) = told(&api);
    assert_eq!((words, whom), (vec!["added".to_owned()], users(&people[1..].iter().collect::<Vec<_>>())));
    let seen = api.see(&people[999], &group).await.good();
    assert_eq!(seen["role"], "member");
    let keys = api.by(&people[999], &format!("GET /v1/groups/{group}/keys"), Value::Null).await.good();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.admin(&format!("DELETE /v1/admin/groups/{group}"), Value::Null).await.status, 204);
    assert!(api.see(&people[7], &group).await.good()["group"]["dissolved_at"].is_u64());
}

#[tokio::test]
async fn who_has_read_is_told_to_members() {
    let api = Api::new();
    let people = api.people("p", 4).await;
    let group = api.group(&people[0], json!({"name": "Birds", "listed": true})).await;
    api.add(&group, &[&people[1], &people[2]]).await;
    let what = format!("GET /v1/groups/{group}/messages/1/read_by?limit=2");
    let page = api.by(&people[0], &what, Value::Null).await.good();
    assert!(page["of"].is_u64() && page["read"].is_u64() && page["delivered"].is_u64(), "{page}");
    assert!(page["readers"].as_array().is_some_and(|readers| readers.len() <= 2));
    api.by(&people[3], &what, Value::Null).await.is(403, "forbidden");
}

#[tokio::test]
async fn changes_of_groups_have_a_rate() {
    let api = Api::new();
    let people = api.people("p", 1).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    let mut made = 0_u64;
    loop {
        let answer = api.act(&people[0], &group, "mute_all", json!({"until": LATER + made})).await;
        if answer.status == 429 {
            assert!(answer.retry_after().is_some());
            break;
        }
        answer.good();
        made += 1;
        assert!(made < 1000, "never refused");
    }
    assert!(made >= 29);
}
