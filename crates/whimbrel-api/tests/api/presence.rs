//! Who is here, as REST says it, and how one lets oneself be seen.

use serde_json::{Value, json};
use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};
use whimbrel_store::{Route, UserStatus};

use crate::support::{Api, Person};

async fn presence(api: &Api, who: &Person, of: &[u64]) -> Vec<(u64, String, u64)> {
    let users: Vec<String> = of.iter().map(u64::to_string).collect();
    let answer = api.by(who, &format!("GET /v1/presence?users={}", users.join(",")), Value::Null).await.good();
    let read = |presence: &Value| {
        let number = |key: &str| presence[key].as_u64().expect("a number");
        (number("user"), presence["state"].as_str().expect("a state").to_owned(), number("last_seen"))
    };
    answer["presences"].as_array().expect("a list").iter().map(read).collect()
}

async fn online(api: &Api, who: &Person) {
    let connector = ConnectorId::generate();
    api.status.renew(connector).await.expect("a lease");
    let route = Route { session: SessionId::generate(), device: DeviceId::generate(), connector, since: 1 };
    api.status.online(&[(UserId(who.id), route)]).await.expect("answers");
}

async fn set(api: &Api, who: &Person, form: Value) -> Value {
    api.by(who, "PUT /v1/me/presence", form).await.good()
}

/// Three who are here: a friend, a stranger and oneself; and one friend who is not. In the order asked, with repeats.
#[tokio::test]
async fn friends_are_shown_and_nobody_else() {
    let api = Api::new();
    let people = api.people("user", 4).await;
    let [me, here, away, stranger] = &people[..] else { unreachable!("four people") };
    api.befriend(me, here).await;
    api.befriend(me, away).await;
    for who in [me, here, stranger] {
        online(&api, who).await;
    }
    let nobody = 999_999;
    let shown = presence(&api, me, &[away.id, here.id, stranger.id, me.id, nobody, here.id]).await;
    let states: Vec<_> = shown.iter().map(|(user, state, _)| (*user, state.as_str())).collect();
    let unknown = |user| (user, "unknown");
    let expected = [(away.id, "offline"), (here.id, "online"), unknown(stranger.id), unknown(me.id), unknown(nobody)];
    assert_eq!(states[..5], expected);
    assert_eq!(states[5], (here.id, "online"));
    api.relate(here, "block", me).await.good();
    assert_eq!(presence(&api, me, &[here.id]).await, [(here.id, "unknown".into(), 0)]);
}

#[tokio::test]
async fn who_is_invisible_looks_offline_since_then_and_sees_it_on_their_own_devices() {
    let api = Api::new();
    let people = api.people("user", 2).await;
    let [me, friend] = &people[..] else { unreachable!("two people") };
    api.befriend(me, friend).await;
    online(&api, friend).await;
    assert_eq!(presence(&api, me, &[friend.id]).await[0].1, "online");
    assert_eq!(
        set(&api, friend, json!({"invisible": true})).await,
        json!({"invisible": true, "last_seen_hidden": false})
    );
    let shown = presence(&api, me, &[friend.id]).await;
    assert!(shown[0].1 == "offline" && shown[0].2 > 1_700_000_000_000, "{shown:?}");
    let own = api.by(friend, "GET /v1/me/presence", Value::Null).await.good();
    assert_eq!(own, json!({"invisible": true, "last_seen_hidden": false}));
    set(&api, friend, json!({"last_seen_hidden": true})).await;
    assert_eq!(presence(&api, me, &[friend.id]).await, [(friend.id, "offline".into(), 0)]);
    set(&api, friend, json!({"invisible": false})).await;
    assert_eq!(presence(&api, me, &[friend.id]).await, [(friend.id, "online".into(), 0)]);
    let told: Vec<_> = api.recorder.rows.lock().expect("no panic").drain(..).map(|row| row.message.body).collect();
    assert_eq!(told.iter().filter(|body| **body == r#"{"what":"presence"}"#).count(), 3);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let api = Api::new();
    let people = api.people("user", 1).await;
    let me = &people[0];
    let ask = async |users: &str| api.by(me, &format!("GET /v1/presence?users={users}"), Value::Null).await;
    let many: Vec<String> = (1..=200).map(|user: u64| user.to_string()).collect();
    ask(&many.join(",")).await.good();
    for users in ["", "0", "a", "1,,2", &format!("{},201", many.join(","))] {
        let answer = ask(users).await;
        answer.is(422, "invalid");
        assert_eq!(answer.text("field"), "users");
    }
    api.by(me, "PUT /v1/me/presence", json!({})).await.is(422, "invalid");
    api.by(me, "PUT /v1/me/presence", json!({"visible": true})).await.is(400, "bad_request");
}
